using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

/// <summary>Which model answers for videos, and how.</summary>
public sealed record PredictionOptions : VideoOptions
{
    [Setting(SettingGroup.Model,
        "The trained model, or a run's folder for its best one, which also says how frames are sampled and normalised; bundled is the " +
        "one that comes with the program",
        Placeholder = "FILE|DIR", Kind = ".safetensors or .h5 file, checkpoint, ensemble or folder of a run")]
    public string Checkpoint { get; init; } = BundledModel.Name;

    /// <summary>Video files, folders that are searched for videos, and patterns: <see cref="VideoPaths.Find"/>.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    [Settings]
    public WindowOptions Windows { get; init; } = new();

    [Setting(SettingGroup.Output,
        "Write a copy of the one video, without sound, with the probability and the events drawn in; needs {Window}",
        Role = SettingRole.Offline, Placeholder = "FILE", Kind = "video file")]
    public string? Annotate { get; init; }

    [Setting(SettingGroup.Output, "Replace the file of {Annotate} whatever it is, not only an older video", Role = SettingRole.Offline)]
    public bool Overwrite { get; init; }

    [Setting(SettingGroup.Model,
        "Test-time augmentation: the mean over 8 views of each video, at so many times the cost; not with {Window}",
        Role = SettingRole.Offline)]
    public bool Tta { get; init; }

    [Setting(SettingGroup.Model, "Also answer so many times with dropout: mean, standard deviation and mutual information say how sure " +
        "the model is; 0 = none, not with {Window}",
        Role = SettingRole.Offline, AtLeast = 0, AtMost = 10000)]
    public int McDropout { get; init; }

    [Setting(SettingGroup.Model, "Seed of the masks of {McDropout}", Role = SettingRole.Offline, AtLeast = 0)]
    public int Seed { get; init; } = 42;

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [];
        OptionValidation.CheckModel(Checkpoint, problems);
        problems.AddRange(OptionValidation.Validate((VideoOptions)this));
        problems.AddRange(Windows.Validate());
        if (Windows.Window is null && Annotate is not null)
        {
            problems.Add(new(nameof(Annotate), $"needs {SettingName.Of(nameof(Windows.Window))}"));
        }

        if (Windows.Window is not null && Tta)
        {
            problems.Add(new(nameof(Tta), $"contradicts {SettingName.Of(nameof(Windows.Window))}: views are of whole videos"));
        }

        if (Windows.Window is not null && McDropout > 0)
        {
            problems.Add(new(nameof(McDropout), $"contradicts {SettingName.Of(nameof(Windows.Window))}: it is for whole videos"));
        }

        return problems;
    }
}

/// <param name="Violent">p(violent), with windows the highest of the smoothed ones; null when the video could not be read, and where the
/// classes are others than the known pair.</param>
/// <param name="Label">The class that the video is called; null when it could not be read, or reaches the threshold of no class.</param>
/// <param name="Threshold">Of the known pair; NaN for other classes.</param>
/// <param name="Status"><c>ok</c>, or the kind of failure.</param>
/// <param name="Error">What was wrong with the file.</param>
/// <param name="Attention">Weight of each sampled frame; null for models without attention.</param>
public sealed record Prediction(string Path, double? Violent, string? Label, double Threshold, string Status, string? Error,
    double[]? Attention)
{
    /// <summary>Of each class by its name; null for the known pair, and when the video could not be read.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Probabilities { get; init; }

    /// <summary>The least probabilities by class from which classes are called, of those that have one; null where none has.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Thresholds { get; init; }

    /// <summary>Whether the video could be read.</summary>
    [JsonIgnore]
    public bool IsAnswered => Violent is not null || Probabilities is not null;

    /// <summary>
    /// From the clips that the model learned from, in limits (<see cref="Features.Familiarity"/>), with windows the median of theirs; null
    /// if the model does not say, or the video could not be read.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Distance { get; init; }

    /// <summary>Whether the video is unlike what the model learned from, so that its answer is a guess; null if that is unknown.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Unfamiliar => Distance is { } distance ? distance > 1 : null;

    /// <summary>What makes the answer worth less although the video is whole; null if nothing does.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Note { get; init; }

    /// <summary>
    /// p(violent) of each view, the video as it is first, of which <see cref="Violent"/> is the mean; null without test-time augmentation.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Views { get; init; }

    /// <summary>The same for classes other than the known pair: the probabilities of each view.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<IReadOnlyDictionary<string, double>>? ClassViews { get; init; }

    /// <summary>From answers with dropout for the video as it is; null where nobody asked for them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DropoutUncertainty? Uncertainty { get; init; }

    /// <summary>By time; null without windows.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<WindowScore>? Windows { get; init; }

    /// <summary>By time; of classes other than the known pair the stretches of each; null without windows.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ViolenceEvent>? Events { get; init; }

    /// <summary>
    /// Probability below which an event ends, of classes other than the known pair one of a class with a threshold; null without windows.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Release { get; init; }
}

/// <summary>Answers for single videos, with the sampling and preprocessing that the classifier was trained with.</summary>
public static class PredictionRun
{
    /// <returns>
    /// One prediction per video, in the order of the paths; folders sorted; then one for each folder that could not be read.
    /// </returns>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static IReadOnlyList<Prediction> Execute(PredictionOptions options, IRunObserver observer, CancellationToken stop)
    {
        FoundVideos found = VideoPaths.Find(options.Paths, observer, stop);
        IReadOnlyList<string> paths = found.Videos;
        RequireOneToAnnotate(options, paths);
        using Predictor predictor = Predictor.Open(options, stop);
        observer.Header(predictor.Header);
        string[] distinct = [.. paths.Distinct()];
        IReadOnlyDictionary<string, Prediction> answers = WindowPlan.Of(options.Windows) is { } plan
            ? ByWindow(predictor, distinct, plan, observer, stop)
            : Whole();
        IReadOnlyList<Prediction> predictions = [.. paths.Select(path => answers[path]), .. found.Unreadable.Select(Unanswered)];
        if (options.Annotate is { } target && answers[paths[0]] is { IsAnswered: true } annotated)
        {
            UnwrittenResultException.Guard(predictions, () => VideoAnnotation.Write(
                annotated, target, TimeSpan.FromSeconds(options.DecodeTimeout), time =>
                    observer.Progress(new StageProgress("annotate", (int)time, 0, "s of video")), stop));
            observer.Message(Severity.Info, $"written to {target}");
        }

        return predictions;

        Prediction Unanswered(IgnoredFile file)
        {
            Prediction prediction = new(file.RelativePath, null, null, predictor.Threshold, ClipFault.Unreadable, file.Reason, null)
            {
                Thresholds = predictor.Thresholds,
            };
            return options.Windows.Window is null ? prediction : prediction with { Windows = [], Events = [], Release = predictor.Release };
        }

        IReadOnlyDictionary<string, Prediction> Whole() => predictor.Whole(
            distinct, p => observer.Progress(
                new StageProgress("predict", p.Videos, p.Total, "videos", p.FramesPerSecond, "frames/s", p.Remaining, p.Failures)), stop);
    }

    /// <summary>One answer for each window of each video, one video after the other.</summary>
    /// <param name="paths">Distinct.</param>
    /// <returns>By path.</returns>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    internal static IReadOnlyDictionary<string, Prediction> ByWindow(Predictor predictor, IReadOnlyList<string> paths, WindowPlan plan,
        IRunObserver observer, CancellationToken stop)
    {
        Dictionary<string, Prediction> predictions = [];
        foreach (string path in paths)
        {
            void Progress(double end) =>
                observer.Progress(new StageProgress($"predict {predictions.Count + 1}/{paths.Count}", (int)end, 0, "s of video",
                    Failures: predictions.Values.Count(p => !p.IsAnswered)));
            predictions[path] = predictor.ByWindow(path, plan, Progress, stop).Prediction;
        }

        return predictions;
    }

    private static void RequireOneToAnnotate(PredictionOptions options, IReadOnlyList<string> paths)
    {
        if (options.Annotate is not { } target)
        {
            return;
        }

        if (paths.Distinct().Count() != 1)
        {
            throw new RunException($"{SettingName.Of(nameof(PredictionOptions.Annotate))} writes one video, and " +
                $"{paths.Distinct().Count()} are to be predicted.", "Name one video.");
        }

        if (Path.GetFullPath(target) == Path.GetFullPath(paths[0]))
        {
            throw new RunException($"{SettingName.Of(nameof(PredictionOptions.Annotate))} would replace '{target}' itself.",
                "Choose another name.");
        }

        OutputFile.Require(target, OutputKind.Video, options.Overwrite, nameof(PredictionOptions.Annotate));
    }
}
