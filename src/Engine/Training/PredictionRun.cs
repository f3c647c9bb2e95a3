using CudaTrainer.Engine.Data.Dataset;
using CudaTrainer.Engine.Data.Extraction;
using CudaTrainer.Engine.Data.Video;
using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Engine.Training;

public sealed record PredictionOptions
{
    /// <summary>A model file or checkpoint.</summary>
    public string Checkpoint { get; init; } = string.Empty;

    /// <summary>Video files, and folders that are searched for videos.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>The backbone's weights, where the classifier was trained with a file.</summary>
    public string? Weights { get; init; }

    /// <summary>p(violent) from which a video is called violent; the classifier's own if null.</summary>
    public double? Threshold { get; init; }

    public string Device { get; init; } = "auto";

    public int Threads { get; init; }

    public int Workers { get; init; }

    public double DecodeTimeout { get; init; } = 60;
}

/// <param name="Violent">p(violent); null when the video could not be read.</param>
/// <param name="Label"><c>violent</c> or <c>nonviolent</c>.</param>
/// <param name="Status"><c>ok</c>, or the kind of failure.</param>
/// <param name="Error">What was wrong with the file.</param>
/// <param name="Attention">Weight of each sampled frame; null for models without attention.</param>
public sealed record Prediction(string Path, double? Violent, string? Label, double Threshold, string Status, string? Error, double[]? Attention);

/// <summary>Answers for single videos, with the sampling and preprocessing that the classifier was trained with.</summary>
public static class PredictionRun
{
    /// <returns>One prediction per video, in the order of the paths; folders sorted.</returns>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static IReadOnlyList<Prediction> Execute(PredictionOptions options, IRunObserver observer, CancellationToken stop)
    {
        IReadOnlyList<Clip> clips = [.. options.Paths.SelectMany(Expand).Select(path => new Clip(path, path, 0, path, path))];
        using DeviceChoice device = DeviceChoice.OpenOne(options.Device, options.Threads);
        using TrainedClassifier classifier = TrainedClassifier.Load(device.Device, options.Checkpoint);
        using BackboneChoice backbone = classifier.OpenBackbone(options.Weights);
        ModelInfo info = classifier.Info;
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("model", $"{info.Model} of epoch {info.Epoch} from {options.Checkpoint}"),
            new HeaderLine("backbone", backbone.Source.Description),
        ]);
        using Vgg19 network = backbone.Load(device.Device);
        int workers = options.Workers > 0 ? options.Workers : Environment.ProcessorCount;
        var extractor = new FeatureExtractor(device.Device, network.Forward, new ExtractorOptions(info.Frames, workers, TimeSpan.FromSeconds(options.DecodeTimeout)));
        double threshold = options.Threshold ?? info.Threshold;
        var answers = new Dictionary<string, Prediction>();
        using var batch = new HostBatch(device.Device, 1, (long)info.Frames * info.Inputs * sizeof(float)) { Count = 1 };
        extractor.Run(
            [.. clips.DistinctBy(clip => clip.Path)],
            (clip, features, fault, reason) => answers[clip.Path] = fault == VideoFault.None
                ? Answer(clip.Path, features)
                : new Prediction(clip.Path, null, null, threshold, VideoFaults.StatusOf(fault), reason, null),
            p => observer.Progress(new StageProgress("predict", p.Videos, p.Total, "videos", p.FramesPerSecond, "frames/s", p.Remaining, p.Failures)),
            stop);
        return [.. clips.Select(clip => answers[clip.Path])];

        Prediction Answer(string path, ReadOnlySpan<float> features)
        {
            features.CopyTo(batch.Features.AsSpan<float>(0, features.Length));
            Span<float> score = stackalloc float[1];
            Span<float> loss = stackalloc float[1];
            float[] attention = classifier.Learner.Model.HasAttention ? new float[info.Frames] : [];
            classifier.Learner.Evaluate(batch, loss, score, attention);
            return new Prediction(
                path, score[0], info.Classes[score[0] >= threshold ? 1 : 0], threshold, "ok", null,
                attention.Length == 0 ? null : [.. attention.Select(weight => (double)weight)]);
        }
    }

    private static IEnumerable<string> Expand(string path)
    {
        if (!Directory.Exists(path))
        {
            return [path];
        }

        string[] videos = [.. Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Where(file => FolderWalker.IsVideoName(file)).Order(StringComparer.Ordinal)];
        return videos.Length > 0
            ? videos
            : throw new RunException($"There are no videos in '{path}'.", $"Videos end in {string.Join(", ", FolderWalker.VideoExtensions)}.");
    }
}
