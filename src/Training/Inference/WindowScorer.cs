using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Inference;

/// <summary>How a long video is cut into windows. Seconds.</summary>
/// <param name="Length">Of each window.</param>
/// <param name="Stride">From the start of one to the start of the next.</param>
public readonly record struct WindowPlan(double Length, double Stride)
{
    /// <summary>Null where the options ask for no windows.</summary>
    public static WindowPlan? Of(WindowOptions options) =>
        options.Window is { } length ? new WindowPlan(length, options.Stride ?? (length / 2)) : null;
}

/// <summary>The frames that stand for a window.</summary>
/// <param name="Frames">Their numbers in the video; the same one several times where a window is shorter than the sample.</param>
/// <param name="Attention">Weight of each; null for models without attention.</param>
public sealed record WindowSample(IReadOnlyList<long> Frames, IReadOnlyList<double>? Attention);

/// <param name="Violent">p(violent); of other classes than the known pair NaN.</param>
/// <param name="Attention">Weight of each sampled frame; null for models without attention.</param>
/// <param name="Distance">From the clips that the model learned from, in limits: above 1 it is unfamiliar; null if the model does not
/// say.</param>
internal readonly record struct ClipAnswer(double Violent, double[]? Attention, double? Distance)
{
    /// <summary>Of each class; null for the known pair.</summary>
    public double[]? Probabilities { get; init; }

    /// <summary>p(violent), or the probability of each class.</summary>
    public double[] Scores => Probabilities ?? [Violent];
}

/// <summary>The windows of one video and how reading it ended.</summary>
/// <param name="Windows">By time; those before a fault stay valid.</param>
/// <param name="Samples">The frames of each window.</param>
/// <param name="Info">Filled as far as reading got.</param>
/// <param name="HasMotion">Whether motion was measured anywhere, or nobody asked for it.</param>
internal sealed record ScoredVideo(IReadOnlyList<WindowScore> Windows, IReadOnlyList<WindowSample> Samples, VideoFault Fault,
    string Reason, VideoInfo Info, bool HasMotion);

/// <summary>
/// Answers for overlapping windows of a video of any length in one pass: each frame is decoded once, goes through the backbone at most
/// once, and only the frames of one window are held.
/// </summary>
/// <remarks>
/// A window is sampled like a clip of its length (<see cref="FrameSampler"/>): its frames are those that the time stamps place in it.
/// Windows begin every stride; where the last does not end with the video, one more does, which overlaps its neighbour. One without any
/// frame, in a gap of the recording, is left out. A video shorter than a window is one window.
/// </remarks>
/// <param name="backbone">From frames [n, height, width, 3] UInt8 to features [n, D]; null for motion alone.</param>
/// <param name="answer">From the streams' features [frames, D] and [frames, 231]; empty where they are not wanted.</param>
/// <param name="frames">Sampled per window.</param>
/// <param name="kind">What becomes features.</param>
/// <param name="shape">Of the backbone; VGG19's by default.</param>
internal sealed class WindowScorer(
    IDevice device, Action<Tensor, Tensor>? backbone, Func<ReadOnlySpan<float>, ReadOnlySpan<float>, ClipAnswer> answer, int frames,
    TimeSpan timeLimit, FeatureStream kind = FeatureStream.Rgb, BackboneShape? shape = null)
{
    private readonly BackboneShape _shape = shape ?? BackboneShape.Vgg19;

    /// <summary>Frames of a window that are held: 616 MB of those for VGG19, over two minutes at 30 frames a second.</summary>
    public int MostFrames { get; init; } = 4096;

    /// <summary>Seconds by which time stamps are rounded in the coarsest of the usual containers.</summary>
    private const double Slack = 1e-3;

    /// <summary>Frames the backbone takes at a time.</summary>
    private const int BatchFrames = 60;

    /// <summary>Scores all windows of a video.</summary>
    /// <param name="progress">Called after each window with its end, in seconds.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public ScoredVideo Run(string path, WindowPlan plan, Action<double> progress, CancellationToken stop)
    {
        using var stream = new VideoFrameReader(path,
            new VideoFrameOptions { Width = _shape.Width, Height = _shape.Height, TimeLimit = timeLimit, Motion = kind.HasMotion() },
            stop);
        using FrameFeatures? features = backbone is null
            ? null
            : new FrameFeatures(device, backbone, _shape, _shape.TakesClips ? frames : Math.Min(frames, BatchFrames));
        List<MotionPair> pairs = [];
        List<WindowScore> windows = [];
        List<WindowSample> samples = [];
        var ring = new VideoFrame?[MostFrames];
        long oldest = 0, count = 0, window = 0;
        double latest = 0, covered = 0;
        bool hasMotion = !kind.HasMotion();
        float[] rgb = new float[kind.HasRgb() ? frames * _shape.Features : 0],
            motion = new float[kind.HasMotion() ? frames * MotionFeatures.PerStep : 0];
        while (stream.Next() is { } frame)
        {
            if (frame.Index - oldest == MostFrames)
            {
                return new ScoredVideo([], [], VideoFault.InvalidArgument,
                    $"a window of {plan.Length:0.###} s has more than {MostFrames} frames; at most {latest - At(oldest).Seconds:0.#} s fit",
                    default, HasMotion: true);
            }

            ring[frame.Index % MostFrames] = frame;
            if (frame.Motion is { } pair)
            {
                pairs.Add(pair);
                hasMotion = true;
            }

            (count, latest) = (frame.Index + 1, frame.Seconds);
            while (latest >= (window * plan.Stride) + plan.Length - Slack)
            {
                double start = window * plan.Stride;
                Score(start, start + plan.Length);
                SkipEmpty();
            }

            for (; At(oldest).Seconds < latest - plan.Length - Slack; oldest++)
            {
                stream.Return(At(oldest));
                ring[oldest % MostFrames] = null;
            }
        }

        double meanStep = latest / Math.Max(1, count - 1),
            end = Math.Max(stream.Result.Info.Duration.TotalSeconds, latest + (stream.Result.Info.Duration > TimeSpan.Zero ? 0 : meanStep));
        while (count > 0 && covered < end && (windows.Count == 0 || latest >= covered - Slack))
        {
            double start = window * plan.Stride, planned = start + plan.Length;
            bool fits = planned <= end + Math.Max(Slack, meanStep / 2);
            Score(fits ? start : Math.Max(0, end - plan.Length), fits && planned < end + Slack ? planned : end);
            SkipEmpty();
        }

        return new ScoredVideo(windows, samples, stream.Result.Fault, stream.Result.Reason, stream.Result.Info, hasMotion);

        VideoFrame At(long index) => ring[index % MostFrames]!;

        // The held frames of a window, from the first to past the last.
        (long First, long Past) Within(double from, double to)
        {
            long first = oldest;
            while (first < count && At(first).Seconds < from - Slack)
            {
                first++;
            }

            long past = first;
            while (past < count && At(past).Seconds < to - Slack)
            {
                past++;
            }

            return (first, past);
        }

        // After a window: the next that the latest frame or an earlier one is in.
        void SkipEmpty()
        {
            window++;
            (long first, long past) = Within(window * plan.Stride, (window * plan.Stride) + plan.Length);
            if (past == first)
            {
                window = Math.Max(window, (long)Math.Floor((latest - plan.Length + Slack) / plan.Stride) + 1);
            }
        }

        void Score(double start, double windowEnd)
        {
            stop.ThrowIfCancellationRequested();
            (long first, long past) = Within(start, windowEnd);
            covered = windowEnd;
            if (past == first)
            {
                return;
            }

            features?.Forget(first);
            long[] indices = new long[frames];
            FrameSampler.FrameIndices(past - first, indices);
            for (int i = 0; i < frames; i++)
            {
                indices[i] += first;
            }

            features?.Fill(indices, index => At(index).Rgb, rgb);
            if (kind.HasMotion())
            {
                double from = At(first).Seconds, to = At(past - 1).Seconds;
                pairs.RemoveAll(pair => pair.End <= from);
                MotionFeatures.Steps(
                    [.. pairs.Select(pair => pair.Start)], [.. pairs.Select(pair => pair.End)],
                        [.. pairs.SelectMany(pair => pair.Features)], from, to, motion);
            }

            ClipAnswer clipAnswer = answer(rgb, motion);
            windows.Add(new WindowScore(Math.Round(start, 6), Math.Round(windowEnd, 6), clipAnswer.Violent, double.NaN)
            {
                Distance = clipAnswer.Distance,
                Scores = clipAnswer.Probabilities,
            });
            samples.Add(new WindowSample(indices, clipAnswer.Attention));
            progress(windowEnd);
        }
    }

    /// <summary>Features of single frames, kept as long as a later window may want them.</summary>
    private sealed class FrameFeatures(IDevice device, Action<Tensor, Tensor> backbone, BackboneShape shape, int capacity) : IDisposable
    {
        private readonly Tensor _rgb = Tensor.Allocate(device, [capacity, shape.Height, shape.Width, 3], DType.UInt8, "frames");
        private readonly Tensor _features = Tensor.Allocate(device, [capacity, shape.Features], name: "features");
        private readonly Dictionary<long, float[]> _known = [];

        /// <summary>Drops frames that no window from <paramref name="start"/> on has.</summary>
        public void Forget(long start)
        {
            foreach (long index in _known.Keys.Where(index => index < start).ToArray())
            {
                _known.Remove(index);
            }
        }

        /// <param name="clip">[indices, D].</param>
        public void Fill(long[] indices, Func<long, byte[]> frameAt, Span<float> clip)
        {
            if (shape.TakesClips)
            {
                Compute(indices, frameAt).CopyTo(clip);
                return;
            }

            foreach (long[] batch in indices.Distinct().Where(index => !_known.ContainsKey(index)).Chunk(capacity))
            {
                float[] computed = Compute(batch, frameAt);
                for (int i = 0; i < batch.Length; i++)
                {
                    _known[batch[i]] = computed[(i * shape.Features)..((i + 1) * shape.Features)];
                }
            }

            for (int i = 0; i < indices.Length; i++)
            {
                _known[indices[i]].CopyTo(clip[(i * shape.Features)..]);
            }
        }

        public void Dispose()
        {
            _rgb.Dispose();
            _features.Dispose();
        }

        /// <returns>[batch, D].</returns>
        private float[] Compute(long[] batch, Func<long, byte[]> frameAt)
        {
            for (int i = 0; i < batch.Length; i++)
            {
                device.Upload(frameAt(batch[i]), _rgb.Data + (nint)((long)i * shape.FrameBytes));
            }

            bool isFull = batch.Length == capacity;
            Tensor output = isFull ? _features : _features.Slice(0, batch.Length);
            backbone(isFull ? _rgb : _rgb.Slice(0, batch.Length), output);
            float[] host = new float[batch.Length * shape.Features];
            output.Download(host.AsSpan());
            return host;
        }
    }
}
