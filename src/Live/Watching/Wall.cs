using System.Diagnostics;
using System.Runtime.ExceptionServices;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Live.Watching;

/// <summary>
/// Watches cameras: each is read by a thread of its own, and one thread, that of <see cref="Run"/>, answers for the windows of all, so that
/// they share the batches of a backbone. No camera waits for another that is slow or away.
/// </summary>
/// <remarks>
/// In each round every camera gives at most one window, which shares the machine fairly. When it does not keep up, all cameras are thinned
/// alike (<see cref="LoadControl"/>), and those who watch are told.
/// </remarks>
public sealed class Wall : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(5), Tick = TimeSpan.FromMilliseconds(200);

    /// <summary>Seconds that a frame may wait before the machine counts as behind.</summary>
    private const double LongWait = 1;

    /// <summary>Bytes of packets that are kept of each camera: 100 s of 5 Mbit/s.</summary>
    private const long TapBytes = 64 << 20;

    /// <summary>What is left for events that are being saved and told when it ends.</summary>
    private static readonly TimeSpan EventsLimit = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, Predictor> _predictors = [];
    private readonly List<CameraFeed> _feeds = [];
    private readonly AutoResetEvent _arrived = new(false);
    private readonly WatchOptions _options;
    private readonly Action<LiveNews> _tell;
    private readonly Lock _telling = new();
    private readonly LoadControl _load = new();
    private readonly LiveMetrics _metrics;
    private LiveEvents? _events;
    private volatile ExceptionDispatchInfo? _failure;

    private Wall(WatchOptions options, Action<LiveNews> tell)
    {
        (_options, _tell) = (options, tell);
        _metrics = new LiveMetrics(() => Cameras, () => _load.Of);
    }

    /// <summary>The cameras at this moment; on any thread.</summary>
    public IReadOnlyList<CameraStatus> Cameras => [.. _feeds.Select(feed => feed.Status)];

    /// <summary>What opens the output.</summary>
    public IReadOnlyList<HeaderLine> Header => [.. _predictors.Values.First().Header,
        new HeaderLine("cameras", string.Join(", ", _feeds.Select(feed => feed.Camera.Name)))];

    /// <summary>The latest picture of a camera, at most two a second; null before there is one. On any thread.</summary>
    /// <param name="camera">Name.</param>
    public CameraPicture? Picture(string camera) => _feeds.Find(feed => feed.Camera.Name == camera)?.Picture;

    /// <summary>Loads the models; no camera is connected to yet.</summary>
    /// <param name="addresses">Besides those of <see cref="WatchOptions.Cameras"/>.</param>
    /// <param name="tell">Told what happens, never from two threads at once; must return quickly. What it throws ends
    /// <see cref="Run"/> with the first of it; it is told the rest nevertheless.</param>
    /// <exception cref="RunException">There is no such model or device, or a camera is none.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static Wall Open(WatchOptions options, IReadOnlyList<string> addresses, Action<LiveNews> tell, CancellationToken stop)
    {
        IReadOnlyList<Camera> cameras = CamerasOf(options, addresses);
        var wall = new Wall(options, tell);
        double kept = LiveEvents.TapSeconds(options.Events);
        var plan = new FeedPlan(options.Plan, options.Fast, TimeSpan.FromSeconds(options.Late), TimeSpan.FromSeconds(options.Stall),
            kept > 0 ? kept + options.Plan.Length : 0, TapBytes);
        try
        {
            foreach (Camera camera in cameras)
            {
                string checkpoint = camera.Checkpoint ?? options.Prediction.Checkpoint;
                if (!wall._predictors.TryGetValue(checkpoint, out Predictor? predictor))
                {
                    predictor = OpenPredictor(options, camera, checkpoint, stop);
                    wall._predictors.Add(checkpoint, predictor);
                    options.Events.Require(predictor.Info.ClassList);
                }

                wall._feeds.Add(new CameraFeed(camera, predictor, plan, wall._feeds.Count, () => wall._arrived.Set(), wall.Tell, stop));
            }

            wall._events = new LiveEvents(options.Events, wall.LimitsOf, wall.Tell);
            return wall;
        }
        catch
        {
            wall.Dispose();
            throw;
        }
    }

    /// <summary>Watches until every camera is over, the time is up, or it is stopped.</summary>
    /// <returns>Whether any camera delivered a frame.</returns>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public bool Run(CancellationToken stop)
    {
        long began = Stopwatch.GetTimestamp(), looked = began;
        MachineUse use = new();
        long lost = 0;
        double waited = 0;
        while (!_feeds.TrueForAll(feed => feed.HasEnded)
            && (_options.For == 0 || Stopwatch.GetElapsedTime(began).TotalSeconds < _options.For))
        {
            stop.ThrowIfCancellationRequested();
            _failure?.Throw();
            if (!Round())
            {
                _arrived.WaitOne(Tick);
            }

            waited = Math.Max(waited, _feeds.Max(feed => feed.Waited));
            TimeSpan passed = Stopwatch.GetElapsedTime(looked);
            if (passed < Look || _options.Fast)
            {
                continue;
            }

            long lostNow = _feeds.Sum(feed => feed.Lost);
            (double own, double idle) = use.Look();
            if (_load.Look(lostNow > lost || waited > LongWait, own, idle))
            {
                _feeds.ForEach(feed => feed.Thin(_load.Of));
                Tell(new LoadChanged(DateTimeOffset.UtcNow, _load.Of, _load.Load));
            }

            (looked, lost, waited) = (Stopwatch.GetTimestamp(), lostNow, 0);
        }

        return _feeds.Exists(feed => feed.Status.Frames > 0);
    }

    /// <summary>Ends the events once <see cref="Run"/> is over, and waits until they are saved and told.</summary>
    /// <remarks>Disposing does so too, but cannot say that whoever listens did not take it.</remarks>
    internal void Finish()
    {
        _events!.Stop(EventsLimit);
        _failure?.Throw();
    }

    public void Dispose()
    {
        _events?.Stop(EventsLimit);
        _events?.Dispose();
        foreach (CameraFeed feed in _feeds)
        {
            feed.Dispose();
        }

        foreach (Predictor predictor in _predictors.Values)
        {
            predictor.Dispose();
        }

        _metrics.Dispose();
        _arrived.Dispose();
    }

    private static Predictor OpenPredictor(WatchOptions options, Camera camera, string checkpoint, CancellationToken stop)
    {
        try
        {
            return Predictor.Open(options.Prediction with { Checkpoint = checkpoint }, stop);
        }
        catch (Exception exception) when (camera.Checkpoint is not null && options.Cameras is { } table
            && exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            throw new FileFormatException(table, $"line {camera.Line}: {exception.Message.TrimEnd('.')}",
                "The column 'checkpoint' takes a model, or nothing for that of all.", exception);
        }
    }

    private static IReadOnlyList<Camera> CamerasOf(WatchOptions options, IReadOnlyList<string> addresses)
    {
        try
        {
            List<Camera> cameras = [.. options.Cameras is null ? [] : CameraList.Read(options.Cameras), .. CameraList.Of(addresses)];
            if (cameras.Count == 0)
            {
                throw new RunException("There is no camera to watch.",
                    $"Name addresses, or a table of them with {SettingName.Of(nameof(WatchOptions.Cameras))}.");
            }

            if (cameras.GroupBy(camera => camera.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
            {
                throw new RunException($"The camera '{twice.Key}' is there twice.", "Name each once.");
            }

            return options.Zone is null ? cameras
                : [.. cameras.Select(camera => camera with { Zone = camera.Zone ?? CameraList.ZoneOf(options.Zone) })];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            string table = options.Cameras!;
            throw new RunException(
                $"{SettingName.Of(nameof(WatchOptions.Cameras))}: {exception.Message.Replace(table, CameraAddress.Shown(table))}",
                "Name a CSV file with the columns name and address.", exception);
        }
        catch (FormatException exception)
        {
            throw new RunException($"{char.ToUpperInvariant(exception.Message[0])}{exception.Message[1..]}.",
                "Give rtsp://host/path, http(s)://…, /dev/videoN, a file, or - for standard input.", exception);
        }
    }

    /// <summary>At most one window of each camera.</summary>
    /// <returns>Whether there was any.</returns>
    private bool Round()
    {
        List<FeedWindow> due = [];
        foreach (CameraFeed feed in _feeds)
        {
            if (feed.Poll(out CameraSession? ended) is { } window)
            {
                due.Add(window);
            }

            if (ended is not null)
            {
                _events!.SessionEnded(ended);
            }
        }

        foreach (IGrouping<Predictor, FeedWindow> group in due.GroupBy(window => window.Feed.Predictor))
        {
            FeedWindow[] windows = [.. group];
            ClipAnswer[] answers = group.Key.Scorer.Answer([.. windows.Select(window => window.Window)]);
            for (int i = 0; i < windows.Length; i++)
            {
                Answer(group.Key, windows[i], answers[i]);
            }
        }

        return due.Count > 0;
    }

    private void Answer(Predictor predictor, FeedWindow window, ClipAnswer found)
    {
        DueWindow due = window.Window;
        Camera camera = window.Feed.Camera;
        bool isViolence = predictor.Info.ClassList.IsViolence;
        var answer = new LiveAnswer(DateTimeOffset.UtcNow, camera.Name, window.End - TimeSpan.FromSeconds(due.End - due.Start), window.End,
            isViolence ? found.Violent : null, predictor.LabelOf(found.Scores, camera.Threshold))
        {
            From = due.Start,
            To = due.End,
            Probabilities = predictor.ProbabilitiesOf(found.Scores),
            Distance = found.Distance,
            Attention = found.Attention,
            FrameSeconds = [.. due.Frames.Select(frame => frame.Seconds)],
            Latency = Stopwatch.GetElapsedTime(window.Completed).TotalSeconds + window.Late,
        };
        IReadOnlyList<LiveNews> drift = window.Feed.Answered(due, answer);
        _metrics.Answered(answer);
        Tell(answer);
        foreach (LiveNews news in drift)
        {
            Tell(news);
        }

        _events!.Add(window.Session, answer);
    }

    /// <summary>Of events of a camera.</summary>
    private (double Threshold, double Release) LimitsOf(Camera camera)
    {
        double threshold = camera.Threshold ?? _predictors[camera.Checkpoint ?? _options.Prediction.Checkpoint].Threshold;
        return (threshold, Math.Min(_options.Release ?? threshold, threshold));
    }

    /// <summary>
    /// Threads that read, save and send tell of what they do, and none of them may end, or leave an event half ended, because whoever
    /// listens throws.
    /// </summary>
    private void Tell(LiveNews news)
    {
        lock (_telling)
        {
            try
            {
                _tell(news);
            }
            catch (Exception exception)
            {
                _failure ??= ExceptionDispatchInfo.Capture(exception);
            }
        }
    }
}
