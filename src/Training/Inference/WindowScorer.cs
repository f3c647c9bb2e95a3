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
/// Answers for overlapping windows of videos of any length in one pass: each frame is decoded once, goes through the backbone at most
/// once, and only the frames of one window are held (<see cref="RollingWindow"/>).
/// </summary>
/// <param name="backbone">From frames [n, height, width, 3] UInt8 to features [n, D]; null for motion alone.</param>
/// <param name="answer">From the streams' features [frames, D] and [frames, 231]; empty where they are not wanted.</param>
/// <param name="frames">Sampled per window.</param>
/// <param name="kind">What becomes features.</param>
/// <param name="shape">Of the backbone; VGG19's by default.</param>
internal sealed class WindowScorer(
    IDevice device, Action<Tensor, Tensor>? backbone, Func<ReadOnlySpan<float>, ReadOnlySpan<float>, ClipAnswer> answer, int frames,
    TimeSpan timeLimit, FeatureStream kind = FeatureStream.Rgb, BackboneShape? shape = null) : IDisposable
{
    /// <summary>Frames the backbone takes at a time.</summary>
    private const int BatchFrames = 60;

    private readonly BackboneShape _shape = shape ?? BackboneShape.Vgg19;
    private readonly float[] _clip = new float[backbone is null ? 0 : frames * (shape ?? BackboneShape.Vgg19).Features];
    private FrameFeatures? _features;

    /// <summary>Frames of a window that are held: 616 MB of those for VGG19, over two minutes at 30 frames a second.</summary>
    public int MostFrames { get; init; } = 4096;

    /// <summary>Width and height of the pictures of frames.</summary>
    public (int Width, int Height) PictureSize => (_shape.Width, _shape.Height);

    /// <summary>What becomes features.</summary>
    public FeatureStream Kind => kind;

    /// <summary>Windows of one video.</summary>
    public RollingWindow Open(WindowPlan plan) => new(plan, frames, kind, MostFrames);

    /// <summary>The answers for windows, of one video or of several, whose frames share the batches of the backbone.</summary>
    public ClipAnswer[] Answer(IReadOnlyList<DueWindow> windows)
    {
        if (backbone is not null)
        {
            _features ??= new FrameFeatures(device, backbone, _shape, _shape.TakesClips ? frames : Math.Min(frames, BatchFrames));
            _features.Compute(windows);
        }

        var answers = new ClipAnswer[windows.Count];
        for (int i = 0; i < answers.Length; i++)
        {
            _features?.Fill(windows[i], _clip);
            answers[i] = answer(_clip, windows[i].Motion);
        }

        return answers;
    }

    /// <summary>Scores all windows of a video.</summary>
    /// <param name="progress">Called after each window with its end, in seconds.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public ScoredVideo Run(string path, WindowPlan plan, Action<double> progress, CancellationToken stop)
    {
        using var stream = new VideoFrameReader(path,
            new VideoFrameOptions { Width = _shape.Width, Height = _shape.Height, TimeLimit = timeLimit, Motion = kind.HasMotion() },
            stop);
        RollingWindow rolling = Open(plan);
        List<WindowScore> windows = [];
        List<WindowSample> samples = [];
        while (stream.Next() is { } frame)
        {
            if (!rolling.TryAdd(frame))
            {
                return new ScoredVideo([], [], VideoFault.InvalidArgument, rolling.Overflow, default, HasMotion: true);
            }

            while (rolling.TakeDue() is { } due)
            {
                Score(due);
            }

            foreach (VideoFrame gone in rolling.Release())
            {
                stream.Return(gone);
            }
        }

        while (rolling.TakeLast(stream.Result.Info.Duration.TotalSeconds) is { } due)
        {
            Score(due);
        }

        return new ScoredVideo(windows, samples, stream.Result.Fault, stream.Result.Reason, stream.Result.Info, rolling.HasMotion);

        void Score(DueWindow due)
        {
            stop.ThrowIfCancellationRequested();
            ClipAnswer clipAnswer = Answer([due])[0];
            windows.Add(WindowScore.Of(due.Start, due.End, clipAnswer) with { Pictures = due.Pictures, Speed = due.Speed });
            samples.Add(new WindowSample([.. due.Frames.Select(frame => frame.Index)], clipAnswer.Attention));
            progress(due.End);
        }
    }

    public void Dispose() => _features?.Dispose();

    /// <summary>Features of single frames, kept as long as a later window of their video may want them.</summary>
    private sealed class FrameFeatures(IDevice device, Action<Tensor, Tensor> backbone, BackboneShape shape, int capacity) : IDisposable
    {
        private readonly Tensor _rgb = Tensor.Allocate(device, [capacity, shape.Height, shape.Width, 3], DType.UInt8, "frames");
        private readonly Tensor _features = Tensor.Allocate(device, [capacity, shape.Features], name: "features");

        /// <summary>Computes what is not known yet of the frames of windows.</summary>
        public void Compute(IReadOnlyList<DueWindow> windows)
        {
            if (shape.TakesClips)
            {
                return;
            }

            IEnumerable<(Dictionary<long, float[]> Known, VideoFrame Frame)> missing = windows
                .SelectMany(window => window.Frames.Select(frame => (window.Known, Frame: frame)))
                .DistinctBy(wanted => (wanted.Known, wanted.Frame.Index)).Where(wanted => !wanted.Known.ContainsKey(wanted.Frame.Index));
            foreach ((Dictionary<long, float[]> Known, VideoFrame Frame)[] batch in missing.Chunk(capacity))
            {
                float[] computed = Compute([.. batch.Select(wanted => wanted.Frame)]);
                for (int i = 0; i < batch.Length; i++)
                {
                    batch[i].Known[batch[i].Frame.Index] = computed[(i * shape.Features)..((i + 1) * shape.Features)];
                }
            }
        }

        /// <param name="clip">[frames, D].</param>
        public void Fill(DueWindow window, Span<float> clip)
        {
            if (shape.TakesClips)
            {
                Compute(window.Frames).CopyTo(clip);
                return;
            }

            for (int i = 0; i < window.Frames.Count; i++)
            {
                window.Known[window.Frames[i].Index].CopyTo(clip[(i * shape.Features)..]);
            }
        }

        public void Dispose()
        {
            _rgb.Dispose();
            _features.Dispose();
        }

        /// <returns>[batch, D].</returns>
        private float[] Compute(IReadOnlyList<VideoFrame> batch)
        {
            for (int i = 0; i < batch.Count; i++)
            {
                device.Upload(batch[i].Rgb, _rgb.Data + (nint)((long)i * shape.FrameBytes));
            }

            bool isFull = batch.Count == capacity;
            Tensor output = isFull ? _features : _features.Slice(0, batch.Count);
            backbone(isFull ? _rgb : _rgb.Slice(0, batch.Count), output);
            float[] host = new float[batch.Count * shape.Features];
            output.Download(host.AsSpan());
            return host;
        }
    }
}
