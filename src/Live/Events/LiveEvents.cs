using CudaTrainer.Engine;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>
/// From the answers of all cameras to events, to what is saved of them and to those who are told. All members may be used on any thread;
/// none waits for a disk or for a network but <see cref="Stop"/>.
/// </summary>
public sealed class LiveEvents : IDisposable
{
    private readonly EventOptions _options;
    private readonly Func<Camera, (double Threshold, double Release)> _limits;
    private readonly Action<LiveNews> _news;
    private readonly TimeProvider _time;
    private readonly EventArchive? _archive;
    private readonly List<NoticeQueue> _notices = [];
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Watched> _cameras = [];
    private bool _isStopped;

    /// <param name="options">Without problems.</param>
    /// <param name="limits">p(violent) from which an event of a camera begins and below which it ends; NaN for models of other classes,
    /// which are called by the largest probability.</param>
    /// <param name="news">Told of events on the thread that adds the answer, and of trouble on any; must not throw.</param>
    /// <exception cref="RunException">The folder of events cannot be written, or a file of a secret not be read.</exception>
    public LiveEvents(EventOptions options, Func<Camera, (double Threshold, double Release)> limits, Action<LiveNews> news)
        : this(options, limits, news, TimeProvider.System, NoticeLimits.Default)
    {
    }

    internal LiveEvents(EventOptions options, Func<Camera, (double Threshold, double Release)> limits, Action<LiveNews> news,
        TimeProvider time, NoticeLimits notices)
    {
        (_options, _limits, _news, _time) = (options, limits, news, time);
        string? secret = Secret.Read(options.WebhookSecretFile, EventOptions.WebhookSecretVariable, nameof(options.WebhookSecretFile)),
            password = options.Mqtt is null ? null
                : Secret.Read(options.MqttPasswordFile, EventOptions.MqttPasswordVariable, nameof(options.MqttPasswordFile));
        _archive = options.Events is null ? null : new EventArchive(options, news, time);
        _notices.AddRange(options.Webhooks.Select(address =>
            new NoticeQueue(new Webhook(new WebhookAddress(address), secret, notices.Attempt, time), notices, news, time)));
        if (options.Mqtt is { } broker)
        {
            _notices.Add(new NoticeQueue(new MqttPublisher(new MqttAddress(broker), password, notices.Attempt), notices, news, time));
        }
    }

    /// <summary>Seconds that the tap of a session must keep, besides the length of a window; 0 where no session needs one.</summary>
    public static double TapSeconds(EventOptions options) => options.Events is null ? 0
        : options.Before + Math.Max(options.MinLength, ClipPlan.PartSeconds) + options.After + Recording.Reserve;

    /// <summary>Takes the next answer of a session.</summary>
    public void Add(CameraSession session, LiveAnswer answer)
    {
        lock (_lock)
        {
            if (_isStopped)
            {
                return;
            }

            if (_cameras.TryGetValue(session.Camera.Name, out Watched? watched) && watched.Session.Number != session.Number)
            {
                End(watched, EndReason.Disconnected);
                watched.Session = session;
            }

            if (watched is null)
            {
                (double threshold, double release) = _limits(session.Camera);
                watched = _cameras[session.Camera.Name] = new Watched(session, new EventTracker(
                    new EventRule(threshold, release, _options.Alarms, _options.SmoothLast, _options.MinLength, _options.Cooldown),
                    session.Camera.Name));
            }

            IReadOnlyList<EventNews> news = watched.Tracker.Add(answer);
            Follow(watched, news);
            foreach (Recording recording in watched.Recordings)
            {
                recording.GoOn(answer.To, isLast: false);
            }

            watched.Recordings.RemoveAll(recording => recording.IsOver);
        }
    }

    /// <summary>A session is over: its event ends. Its tap may be disposed of afterwards, and not earlier.</summary>
    public void SessionEnded(CameraSession session)
    {
        lock (_lock)
        {
            if (_cameras.TryGetValue(session.Camera.Name, out Watched? watched) && watched.Session.Number == session.Number)
            {
                End(watched, session.Camera.Address.IsEndless ? EndReason.Disconnected : EndReason.Ended);
            }
        }
    }

    /// <summary>Ends all events and waits until they are saved and told.</summary>
    /// <param name="limit">For all of it.</param>
    public void Stop(TimeSpan limit)
    {
        lock (_lock)
        {
            if (_isStopped)
            {
                return;
            }

            _isStopped = true;
            foreach (Watched watched in _cameras.Values)
            {
                End(watched, EndReason.Stopped);
            }
        }

        _archive?.Complete();
        _notices.ForEach(queue => queue.Complete());
        long began = _time.GetTimestamp();
        _notices.ForEach(queue => queue.Stop(Left()));
        _archive?.Stop(Left());

        TimeSpan Left() => TimeSpan.FromTicks(Math.Max(0, (limit - _time.GetElapsedTime(began)).Ticks));
    }

    public void Dispose()
    {
        Stop(TimeSpan.Zero);
        _notices.ForEach(queue => queue.Dispose());
        _archive?.Dispose();
    }

    private void End(Watched watched, EndReason reason)
    {
        Follow(watched, watched.Tracker.End(reason, _time.GetUtcNow()));
        foreach (Recording recording in watched.Recordings)
        {
            recording.GoOn(double.PositiveInfinity, isLast: true);
        }

        watched.Recordings.Clear();
    }

    /// <summary>Keeps the recordings in step with the tracker, and tells what is new.</summary>
    private void Follow(Watched watched, IReadOnlyList<EventNews> news)
    {
        if (watched.Tracker.Current is { } current && watched.Recordings.All(recording => recording.Event != current))
        {
            watched.Recordings.Add(new Recording(current, watched.Session, _options, _archive));
        }

        foreach (EventNews one in news)
        {
            EventNews told = watched.Recordings.First(recording => recording.Event.Id == one.Id).Complete(one);
            _news(told);
            _notices.ForEach(queue => queue.Add(told));
        }

        foreach (Recording recording in watched.Recordings.ToArray())
        {
            if (recording.Event != watched.Tracker.Current && !recording.Event.IsTold)
            {
                recording.Forget();
                watched.Recordings.Remove(recording);
            }
        }
    }

    /// <summary>A camera with the events of its session that are not saved yet.</summary>
    private sealed class Watched(CameraSession session, EventTracker tracker)
    {
        public CameraSession Session { get; set; } = session;

        public EventTracker Tracker { get; } = tracker;

        public List<Recording> Recordings { get; } = [];
    }
}
