using CudaTrainer.Data.Video;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>Takes the packets of one event out of its session's tap, while they are there, and hands them to the archive.</summary>
/// <param name="archive">Null where nothing is saved.</param>
internal sealed class Recording(TrackedEvent happening, CameraSession session, EventOptions options, EventArchive? archive)
{
    /// <summary>Seconds that a tap keeps besides what is asked of it: for the keyframe before, and for answers that come late.</summary>
    public const double Reserve = 20;

    private readonly ClipPlan _plan = new(happening.From, options.Before, options.After);
    private readonly List<string> _clips = [];
    private EventPeak? _peak;
    private PacketClip? _peakClip;
    private EventEnded? _ended;

    public TrackedEvent Event => happening;

    /// <summary>Whether everything is with the archive.</summary>
    public bool IsOver { get; private set; }

    /// <summary>News of the event with the files that there will be.</summary>
    public EventNews Complete(EventNews news)
    {
        EventNews complete = archive is null ? news : news with { Clips = Planned(), Snapshot = session.Tap is null ? null : File("png") };
        _ended = complete as EventEnded ?? _ended;
        return complete;
    }

    /// <param name="now">What has come from the camera, in seconds of the session.</param>
    /// <param name="isLast">Whether nothing more will come.</param>
    public void GoOn(double now, bool isLast)
    {
        TakePeak();
        if (archive is null || !happening.IsTold)
        {
            IsOver = _ended is not null;
            return;
        }

        if (happening.QuietSince is not { } since)
        {
            foreach ((double from, double to) in _plan.GoOn(happening.StretchFrom, now))
            {
                Take(from, to);
            }
        }
        else if (_plan.Rest(since, now, isLast) is { } part)
        {
            Take(part.From, part.To);
        }

        if (_ended is not null && _plan.IsIdle)
        {
            archive.Save(_ended, _peakClip, Snapshot.Choose(happening.Peak!.Answer));
            (_peakClip, IsOver) = (null, true);
        }
    }

    /// <summary>The event was too short.</summary>
    public void Forget() => _peakClip?.Dispose();

    private string File(string extension) => $"{EventName.Folder(happening.Id, session.Camera.Name)}/{happening.Id}.{extension}";

    private string NextClip() =>
        $"{EventName.Folder(happening.Id, session.Camera.Name)}/" +
            EventName.Clip(happening.Id, _clips.Count + 1, archive!.ContainerOf(session.Tap!));

    /// <summary>Those taken, and the one that will be.</summary>
    private IReadOnlyList<string> Planned() => session.Tap is null || _plan.IsIdle ? [.. _clips] : [.. _clips, NextClip()];

    private void Take(double from, double to)
    {
        if (session.Tap is not { } tap)
        {
            return;
        }

        string file = NextClip();
        _clips.Add(file);
        if (tap.Take(from, to) is { } clip)
        {
            archive!.Save(happening.Id, file, clip);
        }
        else
        {
            archive!.Tell(happening.Id, $"'{file}' is not saved: nothing is kept of that time any more");
        }
    }

    /// <summary>The window of the peak while it is there; the picture is drawn in the end.</summary>
    private void TakePeak()
    {
        if (archive is null || session.Tap is not { } tap || happening.Peak == _peak)
        {
            return;
        }

        _peak = happening.Peak;
        if (tap.Take(_peak!.Answer.From, _peak.Answer.To) is { } clip)
        {
            _peakClip?.Dispose();
            _peakClip = clip;
        }
    }
}
