using System.Globalization;
using System.Text.Json;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

public sealed record EvaluationOptions
{
    [Setting(SettingGroup.Model, "The trained model, a run's folder for its best one, the ensemble.json of several, or bundled, which " +
        "comes with the program",
        Placeholder = "FILE|DIR", Kind = ".safetensors or .h5 file, checkpoint, ensemble or folder of a run")]
    public string Checkpoint { get; init; } = BundledModel.Name;

    /// <summary>The videos, unless <see cref="FeaturesDir"/> is given.</summary>
    [Settings(Except = SettingRole.OfTraining, Without = nameof(FeatureOptions.Stream))]
    public FeatureOptions Features { get; init; } = new();

    [Setting(SettingGroup.Data, "Measure on {split}_features.npy and {split}_labels.npy instead of videos",
        Placeholder = "DIR", Kind = "folder")]
    public string? FeaturesDir { get; init; }

    [Setting(SettingGroup.Data, "Also measure all clips together, whatever split they are in: for data that the model was not trained " +
        "on; then they need not be divided, or show every class")]
    public bool AllClips { get; init; }

    [Setting(SettingGroup.Model, "Test-time augmentation: also measure the mean over 8 views of each clip, whose features are extracted, " +
        "or stand in view-N of {FeaturesDir}")]
    public bool Tta { get; init; }

    [Setting(SettingGroup.Data, "Also, or only, watch these videos, in which nothing violent happens, as predict does with {Window}: " +
        "every event in them is a false alarm",
        Placeholder = "FILE|DIR", Kind = "video, folder of videos or pattern")]
    public string? NonviolentVideos { get; init; }

    /// <summary>How <see cref="NonviolentVideos"/> are watched; the threshold is for clips, too.</summary>
    [Settings]
    public WindowOptions Windows { get; init; } = new() { Window = 2 };

    [Setting(SettingGroup.Output, "Where evaluation_results.json and false_alarms.json are written",
        Placeholder = "DIR", Kind = "folder", Default = "the checkpoint's folder")]
    public string? Output { get; init; }

    /// <summary>Whether clips are measured.</summary>
    internal bool HasClips => FeaturesDir is not null || Features.DatasetPath is not null;

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [];
        OptionValidation.CheckModel(Checkpoint, problems);
        OptionValidation.CheckSource(Features, FeaturesDir, problems, isNeeded: NonviolentVideos is null);
        problems.AddRange(Windows.Validate());
        if (NonviolentVideos is null)
        {
            WindowOptions unset = new EvaluationOptions().Windows;
            problems.AddRange(
                from setting in Setting.Of(typeof(WindowOptions))
                where setting.Property.Name != nameof(Windows.Threshold) && setting.Shown(Windows) != setting.Shown(unset)
                select new OptionProblem(setting.Property.Name, $"needs {SettingName.Of(nameof(NonviolentVideos))}"));
        }
        else
        {
            OptionValidation.CheckText(nameof(NonviolentVideos), NonviolentVideos, problems);
            if (Tta && !HasClips)
            {
                problems.Add(new(nameof(Tta), $"is for clips: give {SettingName.Of(nameof(Features.DatasetPath))} or " +
                    $"{SettingName.Of(nameof(FeaturesDir))} as well"));
            }
        }

        return problems;
    }
}

/// <param name="Splits">Metrics by split, at the classifier's own threshold; those of test-time augmentation under the split's name and
/// <c>_tta</c>; of all clips together under <c>all</c>, alone where they could not be divided; those of one of several data sets under the
/// split's name, a slash and the data set's; empty where there were no clips.</param>
/// <param name="FalseAlarms">Null where there were no nonviolent videos.</param>
/// <param name="Files">What was written.</param>
public sealed record EvaluationResult(
    IReadOnlyDictionary<string, ClassificationMetrics> Splits, FalseAlarms? FalseAlarms, IReadOnlyList<string> Files);

/// <summary>Measures a classifier on every split of a dataset or of features, and on videos in which nothing violent happens.</summary>
public static class EvaluationRun
{
    private const int BatchSize = 64;

    /// <summary>What the figures of all clips together are called.</summary>
    private const string AllName = "all";

    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static EvaluationResult Execute(EvaluationOptions options, IRunObserver observer, CancellationToken stop)
    {
        // Before any work, so that a wrong name costs no time.
        IReadOnlyList<string>? nonviolent = options.NonviolentVideos is { } path ? FalseAlarmRun.VideosAt(path, observer, stop) : null;
        string directory = options.Output ?? (options.Checkpoint == BundledModel.Name
            ? "."
            : Path.GetDirectoryName(Path.GetFullPath(RunFolder.ModelAt(options.Checkpoint)))!);
        Dictionary<string, ClassificationMetrics> splits = [];
        FalseAlarms? alarms = null;
        List<string> files = [];
        if (options.HasClips)
        {
            splits = Measure(options, observer, stop);
        }

        if (nonviolent is not null)
        {
            PredictionOptions watching = new()
            {
                Checkpoint = options.Checkpoint,
                Windows = options.Windows,
                OnnxRunner = options.Features.OnnxRunner,
                Backbone = options.Features.Backbone,
                BackboneLayer = options.Features.BackboneLayer,
                BackboneInput = options.Features.BackboneInput,
                Weights = options.Features.Weights,
                Device = options.Features.Device,
                Threads = options.Features.Threads,
                DecodeTimeout = options.Features.DecodeTimeout,
            };
            alarms = FalseAlarmRun.Execute(watching, nonviolent, showsHeader: !options.HasClips, observer, stop);
        }

        EvaluationResult result = new(splits, alarms, files);
        UnwrittenResultException.Guard(result, () =>
        {
            if (options.HasClips)
            {
                Write("evaluation_results.json", JsonSerializer.Serialize(splits, RunJson.Default.DictionaryStringClassificationMetrics));
            }

            if (alarms is not null)
            {
                Write("false_alarms.json", JsonSerializer.Serialize(alarms, FalseAlarmJson.Default.FalseAlarms));
            }
        });
        return result;

        void Write(string name, string json)
        {
            Directory.CreateDirectory(directory);
            string file = Path.Combine(directory, name);
            AtomicFile.WriteAllText(file, json + "\n");
            files.Add(file);
        }
    }

    private static Dictionary<string, ClassificationMetrics> Measure(EvaluationOptions options, IRunObserver observer,
        CancellationToken stop)
    {
        using DeviceChoice device = DeviceChoice.OpenOne(options.Features.Device, options.Features.Threads);
        using ClassifierGroup classifier = ClassifierGroup.Open(device.Device, options.Checkpoint);
        if (options.Tta)
        {
            classifier.RequireViews();
        }

        if (options.NonviolentVideos is not null)
        {
            classifier.RequireAlarms();
        }

        DecisionRule rule = classifier.RuleOf(options.Windows);
        string decides = classifier.Info.ClassList.IsViolence ? $"threshold {rule.Threshold:F3}"
            : $"classes {classifier.Info.ClassList}{(options.Windows.Threshold is { } asked ? $", threshold {asked}" : "")}";
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("model", $"{classifier.Text} from {options.Checkpoint}, {decides}"),
            new HeaderLine("backbone", classifier.Info.BackboneDescription),
        ]);
        int views = options.Tta ? ClipView.ForPrediction : 1;
        using FeatureSplits splits = OpenFeatures(options.FeaturesDir, SplitAsTrained(options, observer) with { Views = views }, device,
            classifier.Members[0], observer, stop, options.AllClips);
        var metrics = new Dictionary<string, ClassificationMetrics>();
        List<Evaluation> parts = [];
        List<string?> datasets = [];
        int learned = 0;
        foreach (FeatureSet set in splits.All)
        {
            classifier.RequireFits(set, options.AllClips);
            int seen = classifier.SeenOf(set, observer);
            learned += seen;
            ClassList classes = classifier.Info.ClassList;
            var rows = new SplitRows(set, classes);
            Evaluation evaluation = classifier.Evaluate(rows, BatchSize, stop);
            parts.Add(evaluation);
            datasets.AddRange(Enumerable.Range(0, rows.Count).Select(rows.DatasetOf));
            if (splits.IsDivided)
            {
                Add(set.Split.Name(), evaluation, classifier.UnfamiliarShare(rows), seen);
                AddDatasets(set.Split.Name(), evaluation, [.. datasets.TakeLast(rows.Count)]);
            }

            if (options.Tta)
            {
                using FeatureViews others = FeatureViews.Open(options.FeaturesDir ?? options.Features.CacheDir, views, set);
                Add((splits.IsDivided ? set.Split.Name() : AllName) + "_tta",
                    classifier.Evaluate([rows, .. others.Others.Select(view => new SplitRows(view, classes))], BatchSize, stop));
            }
        }

        if (options.AllClips)
        {
            Evaluation all = Evaluations.Join(parts);
            WarnOfMissing(all, observer);
            if (learned > 0)
            {
                observer.Message(Severity.Warning,
                    $"{learned} of all {all.Labels.Length} clips are clips that the model was trained on: the figures of all clips " +
                        "together are too good");
            }

            Add(AllName, all, seen: learned);
            AddDatasets(AllName, all, datasets);
        }

        return metrics;

        void AddDatasets(string name, Evaluation evaluation, IReadOnlyList<string?> names)
        {
            foreach ((string dataset, Evaluation part) in Evaluations.ByDataset(evaluation, names))
            {
                Add(Evaluations.Key(name, dataset), part);
            }
        }

        void Add(string name, Evaluation evaluation, double? unfamiliar = null, int? seen = null) =>
            metrics[name] = Bootstrap.WithIntervals(evaluation.MetricsBy(rule), evaluation.Labels, evaluation.Scores) with
            {
                UnfamiliarShare = unfamiliar,
                TrainedOn = seen,
            };
    }

    /// <summary>Split, seed and groups of the model's run, unless somebody asked for others: its train clips are no test.</summary>
    private static FeatureOptions SplitAsTrained(EvaluationOptions options, IRunObserver observer)
    {
        FeatureOptions asked = options.Features;
        if (asked.Datasets.Count == 0 || options.Checkpoint == BundledModel.Name
            || Path.GetDirectoryName(Path.GetFullPath(RunFolder.ModelAt(options.Checkpoint))) is not { } folder
            || RunFolder.OptionsAt(folder) is not { Datasets.Count: > 0 } run
            || !run.Datasets.Select(DatasetFolders.RootOf).ToHashSet().SetEquals(asked.Datasets.Select(DatasetFolders.RootOf)))
        {
            return asked;
        }

        FeatureOptions split = asked with
        {
            Split = IsOpen(nameof(FeatureOptions.Split)) ? run.Split : asked.Split,
            Seed = IsOpen(nameof(FeatureOptions.Seed)) ? run.Seed : asked.Seed,
            Groups = IsOpen(nameof(FeatureOptions.Groups)) ? run.Groups : asked.Groups,
            Classes = IsOpen(nameof(FeatureOptions.Classes)) ? run.Classes : asked.Classes,
            Labels = IsOpen(nameof(FeatureOptions.Labels)) ? run.Labels : asked.Labels,
        };
        if (!split.Split.SequenceEqual(asked.Split) || split.Seed != asked.Seed || split.Groups != asked.Groups
            || split.Classes != asked.Classes || split.Labels != asked.Labels)
        {
            observer.Message(Severity.Info, $"split as in training: {SettingName.Of(nameof(FeatureOptions.Split))} " +
                $"{string.Join(" ", split.Split.Select(share => share.ToString(CultureInfo.InvariantCulture)))}, " +
                $"{SettingName.Of(nameof(FeatureOptions.Seed))} {split.Seed}" +
                (split.Groups is { } groups ? $", {SettingName.Of(nameof(FeatureOptions.Groups))} {groups}" : "") +
                (split.Classes is { } classes ? $", {SettingName.Of(nameof(FeatureOptions.Classes))} {classes}" : "") +
                (split.Labels is { } labels ? $", {SettingName.Of(nameof(FeatureOptions.Labels))} {labels}" : ""));
        }

        return split;

        bool IsOpen(string property) => asked.Given is { } given && !given.Contains(Setting.NameOf(property));
    }

    private static void WarnOfMissing(Evaluation all, IRunObserver observer)
    {
        if (all.Classes.Missing(ClassCounts.Of(all.Labels)) is { Count: > 0 } missing)
        {
            observer.Message(Severity.Warning, $"there are no clips of {string.Join(", ", missing.Select(name => $"'{name}'"))}: figures " +
                "that need them, such as balanced accuracy and means over the classes, have no value");
        }
    }

    /// <param name="some">Whether some of the classes are enough.</param>
    private static void RequireClasses(ClassList found, FeatureOptions videos, ClassList known, bool some)
    {
        if (found.HasSameNames(known) || (some && found.IsAmong(known)))
        {
            return;
        }

        string[] strange = [.. found.Names.Where(name => !known.TryParse(name, out _))],
            missing = [.. known.Names.Where(name => !found.Names.Any(own => known.TryParse(own, out int label) && known[label] == name))];
        string problem = strange.Length > 0
            ? $"the model does not know {string.Join(", ", strange.Select(name => $"'{name}'"))}"
            : $"there are no clips of {string.Join(", ", missing.Select(name => $"'{name}'"))}";
        string example = string.Join(';', known.Names.Select(name => $"{name}=FOLDER"));
        throw new RunException(
            $"{videos.DatasetText} is of the classes {found}, and the model tells {known} apart: {problem}.",
            $"Say which folders are which of its classes, {SettingName.Of(nameof(videos.Classes))} \"{example}\" " +
                "(FOLDER,FOLDER joins folders; those that are not named are left out), or train a model on these classes." +
                (strange.Length == 0
                    ? $" {SettingName.Of(nameof(EvaluationOptions.AllClips))} measures clips of some of the classes, too."
                    : ""));
    }

    /// <summary>
    /// The features of a folder, or those of videos with the backbone, the sampling and the preprocessing that a classifier was trained
    /// with.
    /// </summary>
    /// <param name="allClips">Whether all clips are measured together, so that they need not be divided, or be of every class.</param>
    internal static FeatureSplits OpenFeatures(string? directory, FeatureOptions videos, DeviceChoice device, TrainedClassifier classifier,
        IRunObserver observer, CancellationToken stop, bool allClips = false)
    {
        ClassList known = classifier.Info.ClassList;
        if (directory is not null)
        {
            return allClips ? FeatureSplits.OpenAnyFinite(directory, stop) : FeatureSplits.OpenFinite(directory, stop);
        }

        using BackboneChoice backbone = classifier.OpenBackbone(videos);
        FeatureOptions features = videos with { Frames = classifier.Info.Frames, Stream = classifier.Info.Stream };
        VideoDataset dataset = FeaturePipeline.Scan(features, features.CacheDir, observer, stop, allClips ? known : null);

        // Before clips are decoded for nothing.
        RequireClasses(dataset.Classes, features, known, allClips);
        new FeaturePipeline(features, device.Devices, backbone, observer, new StageClock()).Run(stop, dataset);
        string cache = BackboneChoice.DirectoryOf(features.CacheDir, features.Stream);
        return allClips ? FeatureSplits.OpenAny(cache) : FeatureSplits.Open(cache);
    }
}
