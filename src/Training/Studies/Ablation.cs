using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Studies;

/// <summary>What a row of an ablation has come to.</summary>
/// <param name="Missing">Why it was not run here; then there is nothing else.</param>
/// <param name="Gain">In balanced accuracy over the row before it (for "all but" rows: over the complete one), paired by clips.</param>
/// <param name="SecondsPerEpoch">Median over trainings and epochs.</param>
/// <param name="SecondsToBest">Median over trainings.</param>
/// <param name="PeakBytes">Tensors on the first device, at most.</param>
public sealed record AblationRow(
    string Name, string? Missing, StudyMetrics? Metrics, Estimate? Gain, double SecondsPerEpoch, double SecondsToBest, long PeakBytes,
        double StallFraction);

/// <param name="Sources">That clips come from.</param>
public sealed record AblationResult(string Device, int Clips, int Sources, int Folds, int Seeds, int Jobs, IReadOnlyList<AblationRow> Rows)
{
    /// <summary>The names of the classes; null for the known pair.</summary>
    [JsonIgnore]
    public IReadOnlyList<string>? Classes =>
        Rows.Select(row => row.Metrics?.Recalls).FirstOrDefault(recalls => recalls is not null)?.Keys.ToArray();

    /// <summary>Which metrics tables show of single classes, or of their mean.</summary>
    internal IReadOnlyList<(string Name, Func<StudyMetrics, Estimate> Of)> OfClasses => Classes is null
        ?
        [
            ("nonviolent right", metrics => metrics.Class0Accuracy), ("violent right", metrics => metrics.Class1Accuracy),
            ("precision", metrics => metrics.Precision),
        ]
        : [("macro F1", metrics => metrics.MacroF1!), ("macro precision", metrics => metrics.Precision)];
}

/// <summary>
/// What each optimisation is worth on somebody's own clips: the same cross-validation for every row of <see cref="AblationPlan"/>. Leaves
/// ablation.json, ablation.csv, ablation.md and the page ablation.html; trainings that have ended are kept in runs.jsonl and not repeated.
/// </summary>
public static class Ablation
{
    internal const string ResultName = "ablation.json";
    internal const string PageName = "ablation.html";

    /// <summary>The strengths that the rows switch on are not the data's to choose.</summary>
    private static readonly string[] OfRows = [nameof(TrainingOptions.LabelSmoothing), nameof(TrainingOptions.UseFocalLoss)];

    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static AblationResult Execute(StudyOptions options, bool leaveOneOut, IRunObserver observer, CancellationToken stop)
    {
        OptionValidation.Require(options.Run);
        using var study = new Study(options, observer, stop, network: true, OfRows);
        IReadOnlyList<AblationStep> plan = AblationPlan.Make(study.IsCuda, study.IsCuda ? study.Devices : 0, leaveOneOut);
        study.Expect(plan.Count(step => step.Missing is null) + 1);
        var trained = new StudyRow?[plan.Count];
        var rows = new List<AblationRow>();
        for (int i = 0; i < plan.Count; i++)
        {
            AblationStep step = plan[i];
            trained[i] = step.Missing is null ? study.Run(AblationPlan.Apply(study.Options, step.With), step.Name, stop) : null;
            rows.Add(trained[i] is not { } row
                ? new AblationRow(step.Name, step.Missing, null, null, double.NaN, double.NaN, 0, double.NaN)
                : new AblationRow(
                    step.Name, null, row.Metrics,
                    step.Before < 0 ? null : study.Bootstrap.Gain(row.Answers, trained[step.Before]!.Answers), row.SecondsPerEpoch,
                    row.SecondsToBest,
                        row.PeakBytes, row.StallFraction));
        }

        if (study.Yardstick(stop) is { } yardstick)
        {
            rows.Add(new AblationRow("linear model", null, yardstick.Metrics, null, yardstick.SecondsPerEpoch, yardstick.SecondsToBest,
                yardstick.PeakBytes, yardstick.StallFraction));
        }

        var result = new AblationResult(
            study.DeviceKind, study.Clips.Count, study.Clips.Sources.Distinct(StringComparer.Ordinal).Count(), study.Folds.Count,
                options.Seeds, options.Jobs, rows);
        UnwrittenResultException.Guard(result, () =>
        {
            AtomicFile.WriteAllText(Path.Combine(options.Output, ResultName),
                JsonSerializer.Serialize(result, AblationJson.Default.AblationResult) + "\n");
            AtomicFile.WriteAllText(Path.Combine(options.Output, "ablation.csv"), AblationTable.Csv(result));
            AtomicFile.WriteAllText(Path.Combine(options.Output, "ablation.md"), AblationTable.Markdown(result));
            AtomicFile.WriteAllText(Path.Combine(options.Output, PageName), AblationPage.Render(result));
        });
        return result;
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true)]
[JsonSerializable(typeof(AblationResult))]
internal sealed partial class AblationJson : JsonSerializerContext;
