using CudaTrainer.Data.Video;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Inference;

/// <summary>A window of video that is complete: what a model's answer for it is computed from.</summary>
/// <param name="Start">Seconds from the first frame.</param>
/// <param name="End">Likewise.</param>
/// <param name="Frames">Those that stand for the window; the same one several times where it has fewer than the sample.</param>
/// <param name="Motion">[frames, 231]; empty where it is not wanted.</param>
/// <param name="Known">The features of frames that earlier windows had, by index; more are added.</param>
internal sealed record DueWindow(double Start, double End, IReadOnlyList<VideoFrame> Frames, float[] Motion,
    Dictionary<long, float[]> Known)
{
    /// <summary>Whether the window is whole: no frame of it was left unwanted.</summary>
    public bool IsWhole { get; init; } = true;

    /// <summary>Whether it ends before the video does, rather than with it.</summary>
    public bool IsPlanned { get; init; } = true;

    /// <summary>Frames that the window has.</summary>
    public long Count { get; init; }

    /// <summary>What its pictures look like; null where no motion was measured.</summary>
    public PictureStatistics? Pictures { get; init; }

    /// <summary>How fast things move (<see cref="DriftObservation.SpeedOf"/>); null where no motion was measured.</summary>
    public double? Speed => Pictures is null ? null : DriftObservation.SpeedOf(Motion);
}

/// <summary>
/// Windows of frames that come one after the other, from a file or a camera; only the frames of one window are held.
/// </summary>
/// <remarks>
/// A window is sampled like a clip of its length (<see cref="FrameSampler"/>): its frames are those that the time stamps place in it.
/// Windows begin every stride; where the last does not end with the video, one more does, which overlaps its neighbour. One without any
/// frame, in a gap of the recording, is left out. A video shorter than a window is one window.
/// </remarks>
/// <param name="frames">Sampled per window.</param>
/// <param name="mostFrames">Of a window that are held.</param>
internal sealed class RollingWindow(WindowPlan plan, int frames, FeatureStream kind, int mostFrames)
{
    /// <summary>Seconds by which time stamps are rounded in the coarsest of the usual containers.</summary>
    private const double Slack = 1e-3;

    private readonly VideoFrame?[] _ring = new VideoFrame?[mostFrames];
    private readonly List<MotionPair> _pairs = [];
    private readonly Dictionary<long, float[]> _known = [];
    private long _oldest;
    private long _window;
    private double _covered;
    private bool _hasTaken;

    /// <summary>Frames that came.</summary>
    public long Count { get; private set; }

    /// <summary>Seconds of the latest frame.</summary>
    public double Latest { get; private set; }

    /// <summary>Whether motion was measured anywhere, or nobody asked for it.</summary>
    public bool HasMotion { get; private set; } = !kind.HasMotion();

    /// <summary>Takes the next frame, unless as many are held as may be.</summary>
    /// <returns>Whether it was taken.</returns>
    public bool TryAdd(VideoFrame frame)
    {
        if (Count - _oldest == mostFrames)
        {
            return false;
        }

        _ring[Count % mostFrames] = frame;
        if (frame.Motion is { } pair)
        {
            _pairs.Add(pair);
            HasMotion = true;
        }

        (Count, Latest) = (Count + 1, frame.Seconds);
        return true;
    }

    /// <summary>Why <see cref="TryAdd"/> refused.</summary>
    public string Overflow =>
        $"a window of {plan.Length:0.###} s has more than {mostFrames} frames; at most {Latest - At(_oldest).Seconds:0.#} s fit";

    /// <summary>The next window that the frames so far complete; null if there is none.</summary>
    public DueWindow? TakeDue()
    {
        while (true)
        {
            double start = _window * plan.Stride;
            if (Count == 0 || Latest < start + plan.Length - Slack)
            {
                return null;
            }

            if (Take(start, start + plan.Length) is { } window)
            {
                return window;
            }
        }
    }

    /// <summary>The next window of those that the end of the video leaves over; null if there is none. After all others.</summary>
    /// <param name="duration">Seconds of the video as its container says; 0 when unknown.</param>
    public DueWindow? TakeLast(double duration)
    {
        double meanStep = Latest / Math.Max(1, Count - 1), end = Math.Max(duration, Latest + (duration > 0 ? 0 : meanStep));
        while (true)
        {
            if (Count == 0 || _covered >= end || (_hasTaken && Latest < _covered - Slack))
            {
                return null;
            }

            double start = _window * plan.Stride, planned = start + plan.Length;
            bool fits = planned <= end + Math.Max(Slack, meanStep / 2);
            if (Take(fits ? start : Math.Max(0, end - plan.Length), fits && planned < end + Slack ? planned : end) is { } window)
            {
                return window with { IsPlanned = false };
            }
        }
    }

    /// <summary>The frames that no later window has, which are no longer held.</summary>
    public IEnumerable<VideoFrame> Release()
    {
        for (; _oldest < Count && At(_oldest).Seconds < Latest - plan.Length - Slack; _oldest++)
        {
            VideoFrame frame = At(_oldest);
            _ring[_oldest % mostFrames] = null;
            yield return frame;
        }
    }

    private VideoFrame At(long place) => _ring[place % mostFrames]!;

    /// <summary>The held frames of a window, from the first to past the last.</summary>
    private (long First, long Past) Within(double from, double to)
    {
        long first = _oldest;
        while (first < Count && At(first).Seconds < from - Slack)
        {
            first++;
        }

        long past = first;
        while (past < Count && At(past).Seconds < to - Slack)
        {
            past++;
        }

        return (first, past);
    }

    /// <summary>After a window: the next that the latest frame or an earlier one is in.</summary>
    private void SkipEmpty()
    {
        _window++;
        (long first, long past) = Within(_window * plan.Stride, (_window * plan.Stride) + plan.Length);
        if (past == first)
        {
            _window = Math.Max(_window, (long)Math.Floor((Latest - plan.Length + Slack) / plan.Stride) + 1);
        }
    }

    private DueWindow? Take(double start, double end)
    {
        (long first, long past) = Within(start, end);
        _covered = end;
        SkipEmpty();
        if (past == first)
        {
            return null;
        }

        _hasTaken = true;
        foreach (long index in _known.Keys.Where(index => index < At(first).Index).ToArray())
        {
            _known.Remove(index);
        }

        long[] places = new long[frames];
        FrameSampler.FrameIndices(past - first, places);
        float[] motion = [];
        PictureStatistics? pictures = null;
        if (kind.HasMotion())
        {
            double from = At(first).Seconds, to = At(past - 1).Seconds;
            _pairs.RemoveAll(pair => pair.End <= from);
            motion = new float[frames * MotionFeatures.PerStep];
            MotionFeatures.Steps([.. _pairs.Select(pair => pair.Start)], [.. _pairs.Select(pair => pair.End)],
                [.. _pairs.SelectMany(pair => pair.Features)], from, to, motion);
            PictureStatistics[] shown = [.. _pairs.Where(pair => pair.Start < to).Select(pair => pair.Picture)];
            pictures = shown.Length == 0 ? null : PictureStatistics.Mean(shown);
        }

        bool isWhole = true;
        for (long place = first; place < past; place++)
        {
            isWhole &= !At(place).Rested;
        }

        return new DueWindow(start, end, [.. places.Select(place => At(first + place))], motion, _known)
        {
            IsWhole = isWhole,
            Count = past - first,
            Pictures = pictures,
        };
    }
}
