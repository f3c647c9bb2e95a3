using System.Text.Json.Serialization;
using CudaTrainer.Engine;

namespace CudaTrainer.Training;

public sealed record PredictionOptions
{
    /// <summary>A model file, checkpoint or ensemble, or the folder of a run, whose best model is meant.</summary>
    public string Checkpoint { get; init; } = string.Empty;

    /// <summary>Video files, folders that are searched for videos, and patterns: <see cref="VideoPaths.Expand"/>.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>The backbone's weights, where the classifier was trained with a file.</summary>
    public string? Weights { get; init; }

    /// <summary>p(violent) from which a video is called violent; the classifier's own if null.</summary>
    public double? Threshold { get; init; }

    /// <summary>Seconds of a window; null for one answer per video.</summary>
    public double? Window { get; init; }

    /// <summary>Seconds from one window to the next; half a window if null.</summary>
    public double? Stride { get; init; }

    /// <summary>Seconds of the moving average over windows; 0 for none.</summary>
    public double Smooth { get; init; }

    /// <summary>p(violent) below which an event ends; the threshold if null.</summary>
    public double? Release { get; init; }

    /// <summary>
    /// A video file to write, the one video of <see cref="Paths"/> with its probabilities drawn in; null for none. Needs
    /// <see cref="Window"/>.
    /// </summary>
    public string? Annotate { get; init; }

    /// <summary>
    /// The mean over the first <see cref="Extraction.ClipView.ForPrediction"/> views of each video; without windows only.
    /// </summary>
    public bool Tta { get; init; }

    /// <summary>Answers with dropout from which each video's uncertainty is computed; 0 = none. Without windows only.</summary>
    public int McDropout { get; init; }

    /// <summary>Seed of the dropout masks.</summary>
    public int Seed { get; init; } = 42;

    public string Device { get; init; } = "auto";

    public int Threads { get; init; }

    public int Workers { get; init; }

    public double DecodeTimeout { get; init; } = 60;
}

/// <param name="Violent">p(violent), with windows the highest of the smoothed ones; null when the video could not be read.</param>
/// <param name="Label"><c>violent</c> or <c>nonviolent</c>.</param>
/// <param name="Status"><c>ok</c>, or the kind of failure.</param>
/// <param name="Error">What was wrong with the file.</param>
/// <param name="Attention">Weight of each sampled frame; null for models without attention.</param>
public sealed record Prediction(string Path, double? Violent, string? Label, double Threshold, string Status, string? Error,
    double[]? Attention)
{
    /// <summary>
    /// p(violent) of each view, the video as it is first, of which <see cref="Violent"/> is the mean; null without test-time augmentation.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Views { get; init; }

    /// <summary>From answers with dropout for the video as it is; null where nobody asked for them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DropoutUncertainty? Uncertainty { get; init; }

    /// <summary>By time; null without windows.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<WindowScore>? Windows { get; init; }

    /// <summary>By time; null without windows.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ViolenceEvent>? Events { get; init; }

    /// <summary>p(violent) below which an event ends; null without windows.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Release { get; init; }
}

/// <summary>Answers for single videos, with the sampling and preprocessing that the classifier was trained with.</summary>
public static class PredictionRun
{
    /// <returns>One prediction per video, in the order of the paths; folders sorted.</returns>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static IReadOnlyList<Prediction> Execute(PredictionOptions options, IRunObserver observer, CancellationToken stop)
    {
        IReadOnlyList<string> paths = [.. options.Paths.SelectMany(VideoPaths.Expand)];
        RequireOneToAnnotate(options, paths);
        using Predictor predictor = Predictor.Open(options);
        observer.Header(predictor.Header);
        string[] distinct = [.. paths.Distinct()];
        IReadOnlyDictionary<string, Prediction> answers = options.Window is { } window
            ? ByWindow(new WindowPlan(window, options.Stride ?? (window / 2)))
            : Whole();
        if (options.Annotate is { } target && answers[paths[0]] is { Violent: not null } annotated)
        {
            VideoAnnotation.Write(
                annotated, target, TimeSpan.FromSeconds(options.DecodeTimeout), time =>
                    observer.Progress(new StageProgress("annotate", (int)time, 0, "s of video")), stop);
            observer.Message(Severity.Info, $"written to {target}");
        }

        return [.. paths.Select(path => answers[path])];

        IReadOnlyDictionary<string, Prediction> Whole() => predictor.Whole(
            distinct, p => observer.Progress(
                new StageProgress("predict", p.Videos, p.Total, "videos", p.FramesPerSecond, "frames/s", p.Remaining, p.Failures)), stop);

        Dictionary<string, Prediction> ByWindow(WindowPlan plan)
        {
            Dictionary<string, Prediction> predictions = [];
            foreach (string path in distinct)
            {
                void Progress(double end) =>
                    observer.Progress(new StageProgress($"predict {predictions.Count + 1}/{distinct.Length}", (int)end, 0, "s of video",
                        Failures: predictions.Values.Count(p => p.Violent is null)));
                predictions[path] = predictor.ByWindow(path, plan, Progress, stop).Prediction;
            }

            return predictions;
        }
    }

    private static void RequireOneToAnnotate(PredictionOptions options, IReadOnlyList<string> paths)
    {
        if (options.Annotate is not { } target)
        {
            return;
        }

        if (paths.Distinct().Count() != 1)
        {
            throw new RunException($"--annotate writes one video, and {paths.Distinct().Count()} are to be predicted.", "Name one video.");
        }

        if (Path.GetFullPath(target) == Path.GetFullPath(paths[0]))
        {
            throw new RunException($"--annotate would replace '{target}' itself.", "Choose another name.");
        }

        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(target))))
        {
            throw new RunException($"The folder of '{target}' does not exist.", "Make it, or choose another name for --annotate.");
        }
    }
}
