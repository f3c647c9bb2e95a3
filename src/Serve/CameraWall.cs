using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Live.Watching;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Pictures;

namespace CudaTrainer.Serve;

/// <summary>Watches cameras on a thread of its own, and keeps what the page shows of them. All members may be used on any thread.</summary>
internal sealed class CameraWall : IDisposable
{
    /// <summary>Of each camera.</summary>
    private const int MostAnswers = 120;

    private const int MostEvents = 100;

    /// <summary>Of a picture, in pixels.</summary>
    private const int MostWidth = 640;

    private readonly Lock _lock = new();
    private readonly IRunObserver _observer;
    private readonly CancellationTokenSource _stop;
    private readonly string? _folder;
    private readonly Dictionary<string, Queue<LiveAnswer>> _answers = [];
    private readonly Dictionary<string, (DateTimeOffset At, byte[] Png)> _pictures = [];
    private readonly List<EventNews> _events = [];
    private readonly LiveLines _lines = new();
    private readonly Thread _thread;
    private Wall _wall = null!;
    private LoadChanged? _load;

    private CameraWall(ServeOptions options, IRunObserver observer, CancellationToken stop)
    {
        (_observer, _folder) = (observer, options.Watch.Events.Events is { } events ? Path.GetFullPath(events) : null);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stop);
        _thread = new Thread(Run) { IsBackground = true, Name = "cameras" };
    }

    public IReadOnlyList<CameraStatus> Cameras => _wall.Cameras;

    /// <summary>Their names, for what opens the output.</summary>
    public HeaderLine Header => _wall.Header[^1];

    /// <summary>Newest first; those of earlier runs that were saved, too.</summary>
    public IReadOnlyList<EventNews> Events
    {
        get
        {
            lock (_lock)
            {
                return [.. _events];
            }
        }
    }

    /// <summary>Null while every window is computed.</summary>
    public LoadChanged? Load
    {
        get
        {
            lock (_lock)
            {
                return _load is { Of: > 1 } ? _load : null;
            }
        }
    }

    /// <summary>Loads the models; cameras are connected to by <see cref="Start"/>.</summary>
    /// <exception cref="Engine.RunException">As <see cref="Wall.Open"/>.</exception>
    public static CameraWall Open(ServeOptions options, IRunObserver observer, CancellationToken stop)
    {
        CameraWall cameras = new(options, observer, stop);
        cameras._wall = Wall.Open(
            options.Watch with { Prediction = options.Prediction }, options.CameraAddresses, cameras.Tell, cameras._stop.Token);
        cameras._events.AddRange(cameras._folder is { } folder ? EventFolder.Latest(folder, MostEvents) : []);
        return cameras;
    }

    public void Start() => _thread.Start();

    /// <summary>The latest answers of a camera, oldest first.</summary>
    public IReadOnlyList<LiveAnswer> AnswersOf(string camera)
    {
        lock (_lock)
        {
            return [.. _answers.GetValueOrDefault(camera) ?? []];
        }
    }

    /// <summary>When the latest picture of a camera was taken; null before there is one.</summary>
    public DateTimeOffset? PicturedAt(string camera) => _wall.Picture(camera)?.At;

    /// <summary>The latest picture of a camera as PNG; null before there is one.</summary>
    public byte[]? PictureOf(string camera)
    {
        if (_wall.Picture(camera) is not { } picture)
        {
            return null;
        }

        lock (_lock)
        {
            if (_pictures.TryGetValue(camera, out (DateTimeOffset At, byte[] Png) known) && known.At == picture.At)
            {
                return known.Png;
            }
        }

        byte[] png = Png.Encode(picture.Rgb, picture.Width, picture.Height, (int)Math.Clamp(picture.Height * picture.Aspect, 1, MostWidth));
        lock (_lock)
        {
            _pictures[camera] = (picture.At, png);
        }

        return png;
    }

    /// <summary>The path of a file of an event; null where there is none.</summary>
    /// <param name="file">As an event of <see cref="Events"/> names it; <see cref="EventFolder.Latest"/> has looked at those saved.</param>
    public string? FileOf(string file) => _folder is { } folder && Path.Combine(folder, file) is var path && File.Exists(path) ? path : null;

    public void Dispose()
    {
        _stop.Cancel();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _wall?.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        try
        {
            _wall.Run(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The server is stopping.
        }
    }

    private void Tell(LiveNews news)
    {
        lock (_lock)
        {
            switch (news)
            {
                case LiveAnswer answer:
                    Queue<LiveAnswer> answers = _answers.TryGetValue(answer.Camera, out Queue<LiveAnswer>? known)
                        ? known
                        : _answers[answer.Camera] = new Queue<LiveAnswer>();
                    answers.Enqueue(answer);
                    if (answers.Count > MostAnswers)
                    {
                        answers.Dequeue();
                    }

                    return;
                case EventNews one:
                    _events.RemoveAll(known => known.Id == one.Id);
                    _events.Insert(0, one);
                    _events.RemoveRange(Math.Min(MostEvents, _events.Count), Math.Max(0, _events.Count - MostEvents));
                    break;
                case LoadChanged load:
                    _load = load;
                    break;
            }
        }

        if (_lines.Of(news) is { } line)
        {
            _observer.Message(line.Severity, line.Text);
        }
    }
}
