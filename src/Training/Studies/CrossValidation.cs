using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Studies;

/// <param name="Metrics">Mean over the seeds.</param>
/// <param name="MeanOfSeeds">Of the mean of the seeds' answers to each clip; null with one seed.</param>
/// <param name="Linear">The linear model on the same folds; null where it is the model itself.</param>
/// <param name="GainOverLinear">In balanced accuracy, paired by clips.</param>
/// <param name="Folds">One for each fold and repetition.</param>
public sealed record CrossValidationResult(string Device, int Clips, int Sources, StudyMetrics Metrics, StudyMetrics? MeanOfSeeds,
    StudyMetrics? Linear, Estimate? GainOverLinear, IReadOnlyList<FoldSummary> Folds)
{
    /// <summary>What was cross-validated.</summary>
    public required string Model { get; init; }

    /// <summary>What each data set comes to by itself, by name; null where there is one alone.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, StudyMetrics>? Datasets { get; init; }
}

/// <summary>One training.</summary>
/// <param name="BalancedAccuracy">Of the test part, at the threshold that the study decides by.</param>
public sealed record FoldSummary(int Seed, int Fold, int TrainClips, int ValClips, int TestClips, double BalancedAccuracy, double Auc,
    double Threshold, double CalibrationSlope, int BestEpoch, int Epochs)
{
    /// <summary>The data set that is its test part, and none of which it was trained on; null where folds are no data sets.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Dataset { get; init; }
}

/// <summary>
/// k-fold cross-validation, stratified and source-disjoint, or with a data set left out of each fold, repeated with several seeds. Epoch,
/// threshold and calibration are chosen inside the training part of each fold; a test part is looked at once. Leaves cv_results.json and
/// predictions.csv, the answers for every clip by models that have not seen its source.
/// </summary>
public static class CrossValidation
{
    /// <param name="modelOutput">Where to write a model of all clips; null for none.</param>
    /// <param name="overwrite">Whether it may replace a file of that name.</param>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static CrossValidationResult Execute(StudyOptions options, IRunObserver observer, CancellationToken stop,
        string? modelOutput = null, bool overwrite = false)
    {
        OptionValidation.Require(options.Run);
        if (modelOutput is not null)
        {
            OutputFile.Require(modelOutput, OutputKind.Model, overwrite, nameof(modelOutput));
        }

        using var study = new Study(options, observer, stop);
        if (modelOutput is not null && !(Classifiers.IsFitted(study.Options.Model) && options.Fusion == StreamFusion.Concatenation))
        {
            throw new RunException("A model of all clips can be written of the linear model alone: " +
                "a network needs clips to choose its epoch on.",
                $"Give {SettingName.Of(nameof(TrainingOptions.Model))} linear, or use train.");
        }

        study.Expect(Classifiers.IsFitted(study.Options.Model) ? 1 : 2);
        StudyRow row = study.Run(study.Options, "cross-validate", stop);
        StudyRow? yardstick = study.Yardstick(stop);
        var result = new CrossValidationResult(
            study.DeviceKind, study.Counted.Length,
                study.Counted.Select(clip => study.Clips.Sources[clip]).Distinct(StringComparer.Ordinal).Count(), row.Metrics,
                options.Seeds > 1 ? study.MetricsOfMean(row.Runs) : null, yardstick?.Metrics,
            yardstick is null ? null : study.Bootstrap.Gain(row.Answers, yardstick.Answers),
            [.. row.Runs.Select(run => Summary(study, run))])
        {
            Model = study.Options.Model,
            Datasets = study.MetricsByDataset(row),
        };
        UnwrittenResultException.Guard(result, () =>
        {
            AtomicFile.WriteAllText(Path.Combine(options.Output, "cv_results.json"),
                JsonSerializer.Serialize(result, CrossValidationJson.Default.CrossValidationResult) + "\n");
            AtomicFile.WriteAllText(Path.Combine(options.Output, "predictions.csv"), Predictions(study, row));
            if (modelOutput is not null)
            {
                study.WriteModel(modelOutput, CardOf(result, study.Clips.Count - study.Counted.Length), stop);
            }
        });
        return result;
    }

    /// <param name="uncounted">Clips that were learned from besides.</param>
    private static string CardOf(CrossValidationResult result, int uncounted)
    {
        Estimate balanced = result.Metrics.BalancedAccuracy;
        string range = string.Create(CultureInfo.InvariantCulture,
            $"{100 * balanced.Interval.Low:0}–{100 * balanced.Interval.High:0} %");
        string more = uncounted > 0 ? $", {uncounted} more only learned from" : "";
        string accuracy = string.Create(CultureInfo.InvariantCulture, $"balanced accuracy {100 * balanced.Value:0.0} % ({range})");
        return string.Create(CultureInfo.InvariantCulture,
            $"{result.Clips} clips from {result.Sources} sources{more}; {accuracy} on sources not seen, " +
            $"AUC {result.Metrics.Auc.Value:0.000}");
    }

    private static FoldSummary Summary(Study study, FoldRun run)
    {
        Fold fold = study.Folds[run.Fold];
        int[] counted = [.. Enumerable.Range(0, fold.Test.Length).Where(i => Array.BinarySearch(study.Counted, fold.Test[i]) >= 0)];
        int[] labels = [.. counted.Select(i => study.Clips.Labels[fold.Test[i]])];
        double[] scores = new Answers(run.Scores, []).To(counted, study.Clips.Classes.Scores).Scores;
        ClassificationMetrics metrics = ClassificationMetrics.Compute(
            study.Clips.Classes, labels, scores, study.ThresholdOf(run), double.NaN);
        return new FoldSummary(
            run.Seed, run.Fold + 1, fold.Train.Length, fold.Validation.Length, counted.Length, metrics.BalancedAccuracy, metrics.Auc,
                study.ThresholdOf(run), run.Calibration.Slope, run.BestEpoch, run.Epochs)
        {
            Dataset = fold.Dataset,
        };
    }

    private static string Predictions(Study study, StudyRow row)
    {
        ClassList classes = study.Clips.Classes;
        StringBuilder text = new StringBuilder("path,class,source,fold,seed,").Append(classes.IsViolence
            ? "p_violent,p_violent_calibrated"
            : string.Join(',', new[] { "probability", "calibrated" }.SelectMany(kind => classes.Names.Select(name =>
                CsvFile.Quote($"{kind}_{name}"))))).Append(",called\n");
        foreach (FoldRun run in row.Runs)
        {
            int[] clips = study.Folds[run.Fold].Test, called = ClassScores.Called(run.Scores, classes, study.ThresholdOf(run));
            for (int i = 0; i < clips.Length; i++)
            {
                text.Append(CsvFile.Quote(study.Clips.NameOf(clips[i]))).Append(',')
                    .Append(CsvFile.Quote(classes[study.Clips.Labels[clips[i]]])).Append(',')
                    .Append(CsvFile.Quote(study.Clips.Sources[clips[i]]))
                    .Append(CultureInfo.InvariantCulture, $",{run.Fold + 1},{run.Seed}");
                foreach (double score in (double[])
                    [.. ClassScores.Of(run.Scores, i, classes), .. ClassScores.Of(run.Calibrated, i, classes)])
                {
                    text.Append(CultureInfo.InvariantCulture, $",{score:R}");
                }

                text.Append(',').Append(CsvFile.Quote(classes[called[i]])).Append('\n');
            }
        }

        return text.ToString();
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true)]
[JsonSerializable(typeof(CrossValidationResult))]
internal sealed partial class CrossValidationJson : JsonSerializerContext;
