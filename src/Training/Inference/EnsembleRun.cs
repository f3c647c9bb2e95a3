using System.Text.Json.Serialization;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

/// <summary>Which strategy an ensemble gets.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<StrategyChoice>))]
public enum StrategyChoice
{
    /// <summary>The best on val.</summary>
    Auto,
    Mean,
    Weighted,
    Vote,
}

public sealed record EnsembleOptions
{
    /// <summary>Model files, or folders of runs, whose best models are meant.</summary>
    public IReadOnlyList<string> Members { get; init; } = [];

    /// <summary>The videos, unless <see cref="FeaturesDir"/> is given.</summary>
    [Settings(Except = SettingRole.OfTraining)]
    public FeatureOptions Features { get; init; } = new();

    [Setting(SettingGroup.Data, "{split}_features.npy and {split}_labels.npy instead of videos", Placeholder = "DIR", Kind = "folder")]
    public string? FeaturesDir { get; init; }

    [Setting(SettingGroup.Model, "Mean of the probabilities, mean with fitted weights, or share of the members that call a clip violent; " +
        "auto takes the best on val")]
    public StrategyChoice Strategy { get; init; }

    [Setting(SettingGroup.Output, "The ensemble to write", Placeholder = "FILE", Kind = ".json file")]
    public string Output { get; init; } = "./ensemble.json";

    [Setting(SettingGroup.Output, "Replace the file of {Output} whatever it is, not only an older ensemble")]
    public bool Overwrite { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [.. OptionValidation.OfSettings(this)];
        OptionValidation.CheckSource(Features, FeaturesDir, problems);
        if (!Ensemble.IsAt(Output))
        {
            problems.Add(new(nameof(Output), $"\"{Output}\" does not end in .json"));
        }

        return problems;
    }
}

/// <summary>
/// Makes an ensemble of trained models. Weights, thresholds and the strategy are chosen on val; only what was chosen is measured on test.
/// </summary>
public static class EnsembleRun
{
    private const int BatchSize = 64;

    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static Ensemble Execute(EnsembleOptions options, IRunObserver observer, CancellationToken stop)
    {
        OutputFile.Require(options.Output, OutputKind.Ensemble, options.Overwrite, nameof(EnsembleOptions.Output));
        string[] files = [.. options.Members.Select(RunFolder.ModelAt)];
        if (files.GroupBy(Path.GetFullPath).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new RunException($"'{twice.First()}' is named twice.", "Name each member once.");
        }

        string[] hashes = [.. files.Select(Ensemble.HashOf)];
        using DeviceChoice device = DeviceChoice.OpenOne(options.Features.Device, options.Features.Threads);
        using ClassifierGroup group = ClassifierGroup.Open(device.Device, files);
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            .. files.Zip(group.Members,
                (file, member) => new HeaderLine("member", $"{member.Info.Model} of epoch {member.Info.Epoch} from {file}")),
            new HeaderLine("backbone", group.Info.BackboneDescription),
        ]);
        using FeatureSplits splits = EvaluationRun.OpenFeatures(options.FeaturesDir, options.Features, device, group.Members[0], observer,
            stop);
        group.RequireFits(splits.Validation);
        foreach (FeatureSet set in splits.All)
        {
            group.SeenOf(set, observer);
        }

        Evaluation[] val = group.EvaluateMembers(new SplitRows(splits.Validation, group.Info.ClassList), BatchSize, stop);
        int[] labels = val[0].Labels;
        double[][] scores = [.. val.Select(member => member.Scores)];
        ClassList classes = group.Info.ClassList;
        double[] weights = EnsembleWeights.Fit(labels, scores, classes),
            thresholds = [.. group.Members.Select(member => member.Info.Threshold)];
        Dictionary<EnsembleStrategy, ClassificationMetrics> strategies = Enum.GetValues<EnsembleStrategy>()
            .ToDictionary(strategy => strategy,
                strategy => Measure(classes, labels, Ensemble.Combine(strategy, scores, weights, thresholds, classes), null));
        EnsembleStrategy chosen = options.Strategy == StrategyChoice.Auto
            ? Best(strategies)
            : Enum.Parse<EnsembleStrategy>(options.Strategy.ToString());
        double threshold = strategies[chosen].Threshold;

        string output = Path.GetFullPath(options.Output), folder = Path.GetDirectoryName(output)!;
        var ensemble = new Ensemble
        {
            Members = [.. files.Select((file, m) => new EnsembleMember(
                Path.GetRelativePath(folder, Path.GetFullPath(file)), hashes[m], weights[m], thresholds[m], group.Members[m].Info.Model,
                group.Members[m].Info.Epoch,
                Measure(classes, labels, scores[m], thresholds[m])))],
            Strategy = chosen,
            Threshold = threshold,
            Strategies = strategies.ToDictionary(entry => entry.Key.ToString().ToLowerInvariant(), entry => entry.Value),
            Val = WithIntervals(classes, labels, Ensemble.Combine(chosen, scores, weights, thresholds, classes), threshold),
        };
        if (splits.Test is { } test)
        {
            Evaluation[] answers = group.EvaluateMembers(new SplitRows(test, group.Info.ClassList), BatchSize, stop);
            ensemble = ensemble with
            {
                Test = WithIntervals(classes, answers[0].Labels,
                    ensemble.Combine([.. answers.Select(member => member.Scores)], classes), threshold)
            };
        }

        UnwrittenResultException.Guard(ensemble, () =>
        {
            Directory.CreateDirectory(folder);
            ensemble.Write(output);
        });
        return ensemble;
    }

    /// <summary>The best balanced accuracy, of equal ones the simplest: weights fitted on val always flatter val.</summary>
    internal static EnsembleStrategy Best(IReadOnlyDictionary<EnsembleStrategy, ClassificationMetrics> strategies) =>
        strategies.OrderByDescending(entry => entry.Value.BalancedAccuracy).ThenBy(entry => entry.Key).First().Key;

    /// <param name="threshold">Of the known pair; the best of these clips if null.</param>
    private static ClassificationMetrics Measure(ClassList classes, int[] labels, double[] scores, double? threshold) =>
        ClassificationMetrics.Compute(
            classes, labels, scores, threshold ?? (classes.IsViolence ? RankMetrics.BestThreshold(labels, scores) : double.NaN),
            EnsembleWeights.NegativeLogLikelihood(labels, scores, classes));

    private static ClassificationMetrics WithIntervals(ClassList classes, int[] labels, double[] scores, double threshold) =>
        Bootstrap.WithIntervals(Measure(classes, labels, scores, threshold), labels, scores);
}
