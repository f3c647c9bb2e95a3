using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Training;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.Options;

/// <summary>
/// Options of commands that train again and again: those of <c>train</c> that make sense there, and how trainings are repeated.
/// </summary>
internal static class StudyOptionTable
{
    /// <summary>Options of <c>train</c> about the files of one run, or its split.</summary>
    private static readonly string[] OfOneRun =
    [
        "--split", "--views", "--checkpoint-dir", "--resume", "--overwrite", "--initial-weights", "--checkpoint-every",
        "--keep-checkpoints", "--log-every-steps",
        "--check-replicas", "--tensorboard", "--tensorboard-histograms", "--report", "--profile", "--distributed", "--dry-run",
        "--fast-dev-run", "--overfit-batches",
    ];

    private static readonly OptionRange Folds = OptionRange.Between(2, 100), Seeds = OptionRange.Between(1, 100),
        Share = OptionRange.Between(0.05, 0.5), Jobs = OptionRange.Between(1, 64);

    public static OptionTable<StudyOptions> Create() => new OptionTable<StudyOptions>(new StudyOptions())
        .Include(TrainingOptionTable.Create(), o => o.Run, (o, v) => o with { Run = v }, OfOneRun)
        .Add(
            "--folds", OptionGroup.Data, ValueTypes.Integer,
            o => o.Folds, (o, v) => o with { Folds = v },
            "Parts of the clips, each judged once by models that have not seen it; clips of one source stay together",
            range: Folds.ToString())
        .Add(
            "--seeds", OptionGroup.Data, ValueTypes.Integer,
            o => o.Seeds, (o, v) => o with { Seeds = v },
            "Repetitions with other initial weights, from --seed on",
            range: Seeds.ToString())
        .Add(
            "--val-share", OptionGroup.Data, ValueTypes.Number,
            o => o.ValShare, (o, v) => o with { ValShare = v },
            "Share of each training part that chooses epoch, threshold and calibration",
            range: Share.ToString())
        .Add(
            "--threshold", OptionGroup.Data, ValueTypes.Choice<ThresholdRule>(),
            o => o.Threshold, (o, v) => o with { Threshold = v },
            "Where trainings decide: at the threshold that is best on the validation part, or at one half, which small validation " +
                "parts cannot better")
        .Add(
            "--fusion", OptionGroup.Model, ValueTypes.Choice<StreamFusion>(),
            o => o.Fusion, (o, v) => o with { Fusion = v },
            "How --stream both becomes one answer: one model of features side by side, or a model of each stream and the mean of " +
                "their probabilities, with weights fitted where epoch and threshold are chosen")
        .Add(
            "--jobs", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Jobs, (o, v) => o with { Jobs = v },
            "Trainings at a time, each with an equal share of the threads; the first of a row runs alone, and times are its",
            range: Jobs.ToString())
        .Add(
            "--output", OptionGroup.Output, ValueTypes.Text("DIR", "folder"),
            o => o.Output, (o, v) => o with { Output = v },
            "Results, and what is needed to go on after a stop");

    public static IEnumerable<OptionProblem> Validate(StudyOptions options)
    {
        (string Option, double Value, OptionRange Range)[] numbers =
            [("--folds", options.Folds, Folds), ("--seeds", options.Seeds, Seeds), ("--val-share", options.ValShare, Share),
                ("--jobs", options.Jobs, Jobs)];
        foreach (var (option, value, range) in numbers)
        {
            if (!range.Contains(value))
            {
                yield return new(option, string.Create(CultureInfo.InvariantCulture, $"{value} is out of range; expected {range}"));
            }
        }

        if (options.Fusion == StreamFusion.Late && (options.Run.Stream != FeatureStream.Both || options.Run.FeaturesDir is not null))
        {
            yield return new("--fusion", "late fusion is of two streams: it needs --stream both and --dataset-path");
        }

        if (options.Run.Ema > 0 && options.Run.SwaStart > 0)
        {
            yield return new("--swa-start", "a study is of one kind of model: give either --ema or --swa-start");
        }

        if (string.IsNullOrWhiteSpace(options.Output))
        {
            yield return new("--output", "must not be empty");
        }

        foreach (var problem in OptionValidation.Validate(options.Run))
        {
            yield return problem;
        }
    }
}
