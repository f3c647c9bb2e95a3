using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
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

/// <param name="Violent">p(violent).</param>
/// <param name="Attention">Weight of each sampled frame; null for models without attention.</param>
/// <param name="Distance">From the clips that the model learned from, in limits: above 1 it is unfamiliar; null if the model does not
/// say.</param>
internal readonly record struct ClipAnswer(double Violent, double[]? Attention, double? Distance);

/// <summary>The windows of one video and how reading it ended.</summary>
/// <param name="Windows">By time; those before a fault stay valid.</param>
/// <param name="Samples">The frames of each window.</param>
/// <param name="Info">Filled as far as reading got.</param>
internal sealed record ScoredVideo(IReadOnlyList<WindowScore> Windows, IReadOnlyList<WindowSample> Samples, VideoFault Fault,
    string Reason, VideoInfo Info);

/// <summary>
/// Answers for overlapping windows of a video of any length in one pass: each frame is decoded once, goes through the backbone at most
/// once, and only the frames of one window are held.
/// </summary>
/// <remarks>
/// A window is sampled like a clip of its length (<see cref="FrameSampler"/>). Windows begin every stride, counted in frames at the rate
/// that the container states; where the last does not end with the video, one more does, which overlaps its neighbour. A video shorter than
/// a window is one window.
/// </remarks>
/// <param name="backbone">From frames [n, 224, 224, 3] UInt8 to features [n, 4096]; null for motion alone.</param>
/// <param name="answer">From the streams' features [frames, 4096] and [frames, 231]; empty where they are not wanted.</param>
/// <param name="frames">Sampled per window.</param>
/// <param name="kind">What becomes features.</param>
internal sealed class WindowScorer(
    IDevice device, Action<Tensor, Tensor>? backbone, Func<ReadOnlySpan<float>, ReadOnlySpan<float>, ClipAnswer> answer, int frames,
    TimeSpan timeLimit, FeatureStream kind = FeatureStream.Rgb)
{
    /// <summary>Frames of a window that are held: 616 MB, over two minutes at 30 frames a second.</summary>
    internal const int MostFrames = 4096;

    /// <summary>Frames the backbone takes at a time.</summary>
    private const int BatchFrames = 60;

    /// <summary>Scores all windows of a video.</summary>
    /// <param name="progress">Called after each window with its end, in seconds.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public ScoredVideo Run(string path, WindowPlan plan, Action<double> progress, CancellationToken stop)
    {
        using var stream = new VideoFrameReader(path,
            new VideoFrameOptions { Width = Vgg19.ImageSize, Height = Vgg19.ImageSize, TimeLimit = timeLimit, Motion = kind.HasMotion() },
            stop);
        using FrameFeatures? features = backbone is null ? null : new FrameFeatures(device, backbone, Math.Min(frames, BatchFrames));
        List<MotionPair> pairs = [];
        List<WindowScore> windows = [];
        List<WindowSample> samples = [];
        VideoFrame?[] ring = [];
        long count = 0, nextStart = 0, lastEnd = 0;
        int length = 0, stride = 0;
        double rate = 0;
        float[] rgb = new float[kind.HasRgb() ? frames * Vgg19.Features : 0],
            motion = new float[kind.HasMotion() ? frames * MotionFeatures.PerStep : 0];
        while (stream.Next() is { } frame)
        {
            if (count == 0)
            {
                if (stream.Rate.Numerator == 0)
                {
                    return Refused(VideoFault.NotAVideo, "its frame rate is unknown, so that it cannot be cut into windows of seconds");
                }

                rate = (double)stream.Rate.Numerator / stream.Rate.Denominator;
                double lengthFrames = Math.Max(1, Math.Round(plan.Length * rate));
                if (lengthFrames > MostFrames)
                {
                    return Refused(VideoFault.InvalidArgument,
                        $"a window would have {lengthFrames:0} frames; at most {MostFrames} fit, {MostFrames / rate:0.#} s");
                }

                length = (int)lengthFrames;
                stride = (int)Math.Max(1, Math.Round(plan.Stride * rate));
                ring = new VideoFrame?[length];
            }

            ref VideoFrame? place = ref ring[(int)(frame.Index % length)];
            if (place is not null)
            {
                stream.Return(place);
            }

            place = frame;
            if (frame.Motion is { } pair)
            {
                pairs.Add(pair);
            }

            count++;
            if (count == nextStart + length)
            {
                Score(nextStart, length);
                nextStart += stride;
            }
        }

        if (lastEnd < count)
        {
            int last = (int)Math.Min(length, count);
            Score(count - last, last);
        }

        return new ScoredVideo(windows, samples, stream.Result.Fault, stream.Result.Reason, stream.Result.Info);

        static ScoredVideo Refused(VideoFault fault, string reason) => new([], [], fault, reason, default);

        void Score(long start, int total)
        {
            stop.ThrowIfCancellationRequested();
            features?.Forget(start);
            long[] indices = new long[frames];
            FrameSampler.FrameIndices(total, indices);
            for (int i = 0; i < frames; i++)
            {
                indices[i] += start;
            }

            features?.Fill(indices, index => ring[(int)(index % length)]!.Rgb, rgb);
            if (kind.HasMotion())
            {
                double from = ring[(int)(start % length)]!.Seconds, to = ring[(int)((start + total - 1) % length)]!.Seconds;
                pairs.RemoveAll(pair => pair.End <= from);
                MotionFeatures.Steps(
                    [.. pairs.Select(pair => pair.Start)], [.. pairs.Select(pair => pair.End)],
                        [.. pairs.SelectMany(pair => pair.Features)], from, to, motion);
            }

            ClipAnswer clipAnswer = answer(rgb, motion);
            windows.Add(new WindowScore(start / rate, (start + total) / rate, clipAnswer.Violent, double.NaN)
            {
                Distance = clipAnswer.Distance,
            });
            samples.Add(new WindowSample(indices, clipAnswer.Attention));
            lastEnd = start + total;
            progress(lastEnd / rate);
        }
    }

    /// <summary>Features of single frames, kept as long as a later window may want them.</summary>
    private sealed class FrameFeatures(IDevice device, Action<Tensor, Tensor> backbone, int capacity) : IDisposable
    {
        private const int FrameBytes = Vgg19.ImageSize * Vgg19.ImageSize * 3;

        private readonly Tensor _rgb = Tensor.Allocate(device, [capacity, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8, "frames");
        private readonly Tensor _features = Tensor.Allocate(device, [capacity, Vgg19.Features], name: "features");
        private readonly Dictionary<long, float[]> _known = [];

        /// <summary>Drops frames that no window from <paramref name="start"/> on has.</summary>
        public void Forget(long start)
        {
            foreach (long index in _known.Keys.Where(index => index < start).ToArray())
            {
                _known.Remove(index);
            }
        }

        /// <param name="clip">[indices, 4096].</param>
        public void Fill(long[] indices, Func<long, byte[]> frameAt, Span<float> clip)
        {
            foreach (long[] batch in indices.Distinct().Where(index => !_known.ContainsKey(index)).Chunk(capacity))
            {
                Compute(batch, frameAt);
            }

            for (int i = 0; i < indices.Length; i++)
            {
                _known[indices[i]].CopyTo(clip[(i * Vgg19.Features)..]);
            }
        }

        public void Dispose()
        {
            _rgb.Dispose();
            _features.Dispose();
        }

        private void Compute(long[] batch, Func<long, byte[]> frameAt)
        {
            for (int i = 0; i < batch.Length; i++)
            {
                device.Upload(frameAt(batch[i]), _rgb.Data + (nint)((long)i * FrameBytes));
            }

            bool isFull = batch.Length == capacity;
            Tensor output = isFull ? _features : _features.Slice(0, batch.Length);
            backbone(isFull ? _rgb : _rgb.Slice(0, batch.Length), output);
            float[] host = new float[batch.Length * Vgg19.Features];
            output.Download(host.AsSpan());
            for (int i = 0; i < batch.Length; i++)
            {
                _known[batch[i]] = host[(i * Vgg19.Features)..((i + 1) * Vgg19.Features)];
            }
        }
    }
}
