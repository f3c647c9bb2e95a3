using System.Diagnostics;
using System.Text.RegularExpressions;
using CudaTrainer.Data.Video;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Live.Watching;

/// <summary>How a feed reads its camera.</summary>
/// <param name="Fast">Files as fast as they are taken.</param>
/// <param name="TapSeconds">Seconds of packets that are kept; 0 for none.</param>
internal sealed record FeedPlan(WindowPlan Windows, bool Fast, TimeSpan Late, TimeSpan Stall, double TapSeconds, long TapBytes);

/// <summary>A window that is complete, with the times of the camera's clock and of ours.</summary>
/// <param name="Completed">When the frame that completed it was decoded, by <see cref="Stopwatch"/>.</param>
/// <param name="End">Wall-clock time of the window's end.</param>
internal sealed record FeedWindow(
    CameraFeed Feed, CameraSession Session, DueWindow Window, long Completed, double Late, DateTimeOffset End);

/// <summary>
/// One camera: connects, takes its frames into windows, and connects again with growing pauses. Belongs to the thread that polls it;
/// <see cref="Status"/> and <see cref="Picture"/> are for any thread.
/// </summary>
internal sealed partial class CameraFeed : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1), LongestPause = TimeSpan.FromMinutes(1),
        PauseAfterRefusal = TimeSpan.FromSeconds(30), Steady = TimeSpan.FromSeconds(30);

    /// <summary>Cameras take a while to begin, whatever is asked of them afterwards.</summary>
    private static readonly TimeSpan LeastToOpen = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan PicturePause = TimeSpan.FromSeconds(0.5);

    /// <summary>Of pictures that nobody computes with.</summary>
    private static readonly (int Width, int Height) PreviewSize = (320, 180);

    private readonly Camera _camera;
    private readonly WindowScorer _scorer;
    private readonly FeedPlan _plan;
    private readonly Action _arrived;
    private readonly Action<CameraChanged> _tell;
    private readonly CancellationToken _stop;
    private readonly int _phase;
    private readonly CameraDrift _drift;
    private readonly Lock _lock = new();
    private volatile int _of = 1;
    private VideoFrameReader? _reader;
    private RollingWindow? _rolling;
    private CameraSession? _session;
    private PacketTap? _tap;

    /// <summary>Of the connection before, which whoever was told of its end may still take clips from until the next call.</summary>
    private PacketTap? _finished;
    private CameraPicture? _picture;
    private CameraStatus _status;
    private TimeSpan _pause = FirstPause;
    private long _next, _began, _pictured, _framesBefore, _leftOutBefore, _passedOverBefore;
    private bool _isEnding;

    /// <param name="phase">Which of several windows is computed where not all are; another one for each camera.</param>
    /// <param name="arrived">Called on another thread when there is something to poll.</param>
    public CameraFeed(Camera camera, Predictor predictor, FeedPlan plan, int phase, Action arrived, Action<CameraChanged> tell,
        CancellationToken stop)
    {
        (_camera, Predictor, _scorer, _plan, _phase, _arrived, _tell, _stop) =
            (camera, predictor, predictor.Scorer, plan, phase, arrived, tell, stop);
        _drift = new CameraDrift(predictor, camera.Name);
        _status = new CameraStatus(camera.Name, camera.Address.Text, CameraState.Connecting, null, DateTimeOffset.UtcNow);
    }

    public Predictor Predictor { get; }

    public Camera Camera => _camera;

    public CameraStatus Status
    {
        get
        {
            lock (_lock)
            {
                return _status;
            }
        }
    }

    public CameraPicture? Picture
    {
        get
        {
            lock (_lock)
            {
                return _picture;
            }
        }
    }

    /// <summary>Whether nothing more comes.</summary>
    public bool HasEnded => Status.State == CameraState.Ended;

    /// <summary>Seconds that the frame taken last had waited.</summary>
    public double Waited { get; private set; }

    /// <summary>Frames and packets that were lost so far because the machine did not keep up.</summary>
    public long Lost => Status.LeftOut + Status.PassedOver;

    /// <summary>Of windows one of so many is computed from now on.</summary>
    public void Thin(int of) => _of = of;

    /// <summary>
    /// Takes frames until a window is complete, and connects where it is time to; null if there is nothing now. The frames of a window are
    /// valid until the next call.
    /// </summary>
    /// <param name="ended">A connection that ended with this call.</param>
    public FeedWindow? Poll(out CameraSession? ended)
    {
        ended = null;
        _finished?.Dispose();
        _finished = null;
        if (HasEnded || (_reader is null && Stopwatch.GetTimestamp() < _next))
        {
            return null;
        }

        try
        {
            if (_reader is null)
            {
                Connect();
            }

            return Take(out ended);
        }
        catch (Exception exception) when (exception is VideoException or InsufficientMemoryException or OutOfMemoryException)
        {
            Break(VideoFault.Internal, exception.Message, out ended);
            return null;
        }
    }

    /// <summary>Notes the answer for a window.</summary>
    /// <returns>What it changes in how well the model fits.</returns>
    public IReadOnlyList<LiveNews> Answered(DueWindow window, LiveAnswer answer)
    {
        IReadOnlyList<LiveNews> news = _drift.Add(window, answer, Status);
        Change(status => status with { Answer = answer, Windows = status.Windows + 1, Drift = _drift.Current });
        return news;
    }

    public void Dispose()
    {
        _reader?.Dispose();
        _finished?.Dispose();
    }

    private void Connect()
    {
        bool isFile = _camera.Address.Kind == CameraKind.File, hasPictures = _scorer.Kind.HasRgb();
        _rolling = _scorer.Open(_plan.Windows);
        _tap = _plan.TapSeconds > 0 ? new PacketTap(_plan.TapSeconds, _plan.TapBytes) : null;
        (_session, _began, _isEnding) = (null, Stopwatch.GetTimestamp(), false);
        Change(status => status with { Connections = status.Connections + 1 });
        (_framesBefore, _leftOutBefore, _passedOverBefore) = (Status.Frames, Status.LeftOut, Status.PassedOver);
        if (Status.State != CameraState.Connecting || Status.Connections == 1)
        {
            Tell(CameraState.Connecting, null);
        }

        (int width, int height) = hasPictures ? _scorer.PictureSize : PreviewSize;
        _reader = new VideoFrameReader(_camera.Address.Target, new VideoFrameOptions
        {
            Width = width,
            Height = height,
            PictureEvery = hasPictures ? 0 : 1,
            Motion = _scorer.Kind.HasMotion(),
            Zone = _camera.Zone,
            Ahead = hasPictures ? 64 : 512,
            TimeLimit = _plan.Stall,
            Live = new LiveReading
            {
                IsAddress = !isFile,
                Paced = isFile && !_plan.Fast,
                KeepsUp = !(isFile && _plan.Fast),
                Late = _plan.Late,
                OpenLimit = _plan.Stall > LeastToOpen ? _plan.Stall : LeastToOpen,
                Tap = _tap,
                Arrived = _arrived,
                Wants = IsWanted,
            },
        }, _stop);
    }

    private FeedWindow? Take(out CameraSession? ended)
    {
        ended = null;
        Count();
        foreach (VideoFrame gone in _rolling!.Release())
        {
            _reader!.Return(gone);
        }

        if (_isEnding)
        {
            return Last(out ended);
        }

        VideoFrame? latest = null;
        while (true)
        {
            while (_rolling.TakeDue() is { } due)
            {
                if (Offer(due, latest) is { } window)
                {
                    return window;
                }
            }

            foreach (VideoFrame gone in _rolling.Release())
            {
                _reader!.Return(gone);
            }

            latest = _reader!.TryNext();
            if (latest is null)
            {
                break;
            }

            Note(latest);
            if (!_rolling.TryAdd(latest))
            {
                Break(VideoFault.InvalidArgument, _rolling.Overflow, out ended);
                return null;
            }
        }

        if (!_reader.HasEnded)
        {
            return null;
        }

        // A connection that broke leaves no window worth an answer; a file is answered to its end.
        _isEnding = !_camera.Address.IsEndless && _reader.Result.Fault == VideoFault.None;
        if (_isEnding)
        {
            return Last(out ended);
        }

        Break(_reader.Result.Fault, _reader.Result.Reason, out ended);
        return null;
    }

    /// <summary>The windows that the end of a file leaves over.</summary>
    private FeedWindow? Last(out CameraSession? ended)
    {
        ended = null;
        while (_rolling!.TakeLast(_reader!.Result.Info.Duration.TotalSeconds) is { } due)
        {
            if (Offer(due, null) is { } window)
            {
                return window;
            }
        }

        Break(VideoFault.None, "", out ended);
        return null;
    }

    private FeedWindow? Offer(DueWindow due, VideoFrame? latest)
    {
        if (!due.IsWhole || !IsComputed((long)Math.Round(due.Start / _plan.Windows.Stride)))
        {
            Change(status => status with { Skipped = status.Skipped + 1 });
            return null;
        }

        latest ??= due.Frames[^1];
        double since = Stopwatch.GetElapsedTime(latest.Decoded).TotalSeconds + latest.Late;
        DateTimeOffset taken = DateTimeOffset.UtcNow - TimeSpan.FromSeconds(since);

        // A file that is read fast has the times that it would have at its own speed.
        DateTimeOffset end = _plan.Fast && _camera.Address.Kind == CameraKind.File
            ? _session!.Began + TimeSpan.FromSeconds(due.End)
            : taken - TimeSpan.FromSeconds(latest.Seconds - due.End);
        return new FeedWindow(this, _session!, due, latest.Decoded, latest.Late, end);
    }

    private void Note(VideoFrame frame)
    {
        Waited = Stopwatch.GetElapsedTime(frame.Decoded).TotalSeconds;
        DateTimeOffset taken = DateTimeOffset.UtcNow - TimeSpan.FromSeconds(Waited + frame.Late);
        if (_session is null)
        {
            _session = new CameraSession(_camera, Status.Connections, _tap, taken);
            Tell(CameraState.Live, null);
        }

        if (_pause > FirstPause && Stopwatch.GetElapsedTime(_began) > Steady)
        {
            _pause = FirstPause;
        }

        bool isPictured = frame.Rgb.Length > 0 && Stopwatch.GetElapsedTime(_pictured) > PicturePause;
        ((int width, int height), (int shownWidth, int shownHeight)) = (_reader!.Size, _reader.ShownSize);
        CameraPicture? picture = null;
        if (isPictured)
        {
            _pictured = Stopwatch.GetTimestamp();
            picture = new CameraPicture([.. frame.Rgb], width, height, (double)shownWidth / shownHeight, taken);
        }

        lock (_lock)
        {
            _picture = picture ?? _picture;
            _status = _status with
            {
                Frames = _framesBefore + _rolling!.Count + 1,
                FrameRate = frame.Seconds > 0 ? frame.Index / frame.Seconds : 0,
                Width = shownWidth,
                Height = shownHeight,
            };
        }
    }

    /// <summary>Notes what was lost, also where no frame comes through any more.</summary>
    private void Count()
    {
        if (_reader is { } reader)
        {
            Change(status => status with
            {
                LeftOut = _leftOutBefore + reader.LeftOut,
                PassedOver = _passedOverBefore + reader.PassedOver,
            });
        }
    }

    /// <summary>Ends a connection, and decides when the next is made.</summary>
    private void Break(VideoFault fault, string reason, out CameraSession? ended)
    {
        Count();
        ended = _session;
        VideoFrameReader? reader = _reader;
        if (reader is { HasEnded: true })
        {
            reader.Dispose();
            _finished = _tap;
        }
        else
        {
            // Its thread may still fill the tap, which then goes with it.
            reader?.Abandon();
        }

        (_reader, _rolling, _session) = (null, null, null);
        _tap = null;
        if (_camera.Address.IsEndless && fault is not (VideoFault.InvalidArgument or VideoFault.LibraryMissing))
        {
            TimeSpan pause = fault == VideoFault.Refused && _pause < PauseAfterRefusal ? PauseAfterRefusal : _pause;
            _next = Stopwatch.GetTimestamp() + (long)(pause.TotalSeconds * Stopwatch.Frequency);
            _pause = TimeSpan.FromTicks(Math.Min(2 * _pause.Ticks, LongestPause.Ticks));
            Tell(CameraState.Waiting, Describe(fault, reason), pause);
            return;
        }

        Tell(CameraState.Ended, fault == VideoFault.None ? null : Describe(fault, reason));
    }

    /// <summary>Without credentials, and without the part of FFmpeg that says it.</summary>
    private string Describe(VideoFault fault, string reason) => fault == VideoFault.None
        ? "the other side ended it"
        : OfFfmpeg().Replace(_camera.Address.Hide(reason), "");

    [GeneratedRegex(@"^\[[a-z0-9_,]+\] |\?timeout=0")]
    private static partial Regex OfFfmpeg();

    private void Tell(CameraState state, string? reason, TimeSpan? pause = null)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        Change(status => status with { State = state, Reason = reason, Since = now });
        _tell(new CameraChanged(now, _camera.Name, state, reason) { Pause = pause?.TotalSeconds });
    }

    private void Change(Func<CameraStatus, CameraStatus> change)
    {
        lock (_lock)
        {
            _status = change(_status);
        }
    }

    private bool IsComputed(long window) => _of == 1 || (window + _phase) % _of == 0;

    /// <summary>Whether a frame is in a window that is computed, or shortly before one; on the reading thread.</summary>
    private bool IsWanted(double seconds)
    {
        if (_of == 1)
        {
            return true;
        }

        const double before = 0.25;
        (double length, double stride) = _plan.Windows;
        long last = (long)Math.Floor((seconds + before) / stride);
        for (long window = Math.Max(0, (long)Math.Ceiling((seconds - length - before) / stride)); window <= last; window++)
        {
            if (IsComputed(window))
            {
                return true;
            }
        }

        return false;
    }
}
