using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Cli.Commands;

internal sealed record EvaluateOptions
{
    public EvaluationOptions Run { get; init; } = new();

    public bool Json { get; init; }
}

/// <summary>Every metric of a trained model on a dataset or on features.</summary>
internal sealed class EvaluateCommand : CliCommand<EvaluateOptions>
{
    /// <summary>Options of features that the trained model decides, or that make no sense here.</summary>
    private static readonly string[] FromTheModel = ["--frames", "--stream", "--views", "--preprocess", "--distributed"];

    public override string Name => "evaluate";

    public override string Summary => "Measures a trained model on a dataset or on features, split by split.";

    public override IReadOnlyList<string> Usages =>
        ["--checkpoint FILE --dataset-path DIR [options]", "--checkpoint FILE --features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Frames are sampled and normalised as the model was trained; --weights must be those of its training. Every metric also goes " +
            "to evaluation_results.json.",
        "Accuracy, balanced accuracy, F1 and ROC-AUC have 95% confidence intervals: 2,000 resamples of the clips within each class, " +
            "with a fixed seed. They take clips as independent; where several come from one source, they are too narrow.",
    ];

    public override bool TakesConfig => true;

    protected override OptionTable<EvaluateOptions> CreateTable() => new OptionTable<EvaluateOptions>(new EvaluateOptions())
        .Add(
            "--checkpoint", OptionGroup.Model,
            ValueTypes.Text("FILE|DIR", ".safetensors or .h5 file, checkpoint, ensemble or folder of a run"),
            o => o.Run.Checkpoint, (o, v) => o with { Run = o.Run with { Checkpoint = v } },
            "The trained model, a run's folder for its best one, or the ensemble.json of several")
        .Include(FeatureOptionTable.Create(), o => o.Run.Features, (o, v) => o with { Run = o.Run with { Features = v } }, FromTheModel)
        .Add(
            "--features-dir", OptionGroup.Data, ValueTypes.OptionalText("DIR", "folder"),
            o => o.Run.FeaturesDir, (o, v) => o with { Run = o.Run with { FeaturesDir = v } },
            "Measure on {split}_features.npy and {split}_labels.npy instead of videos")
        .Add(
            "--tta", OptionGroup.Model, ValueTypes.Switch,
            o => o.Run.Tta, (o, v) => o with { Run = o.Run with { Tta = v } },
            $"Test-time augmentation: also measure the mean over {ClipView.ForPrediction} views of each clip, whose features are " +
                $"extracted, or stand in view-N of --features-dir")
        .Add(
            "--output", OptionGroup.Output, ValueTypes.OptionalText("DIR", "folder"),
            o => o.Run.OutputDir, (o, v) => o with { Run = o.Run with { OutputDir = v } },
            "Where evaluation_results.json is written",
            defaultText: "the checkpoint's folder")
        .Add(
            "--json", OptionGroup.Output, ValueTypes.Switch,
            o => o.Json, (o, v) => o with { Json = v },
            "One JSON object on standard output");

    protected override IEnumerable<OptionProblem> Validate(EvaluateOptions options, IReadOnlyList<string> arguments)
    {
        if (options.Run.Checkpoint.Length == 0)
        {
            yield return new("--checkpoint", "is required: the trained model");
        }

        bool hasFeatures = options.Run.FeaturesDir is not null;
        foreach (var problem in OptionValidation.Validate(options.Run.Features))
        {
            if (problem.Option != "--dataset-path" || !hasFeatures)
            {
                yield return problem;
            }
        }

        if (hasFeatures && options.Run.Features.DatasetPath is not null)
        {
            yield return new("--dataset-path", "give either --dataset-path or --features-dir, not both");
        }
    }

    protected override int Run(EvaluateOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            var result = EvaluationRun.Execute(options.Run, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(result.Splits);
            }
            else
            {
                MetricsReport.Write(terminal.Results, [.. result.Splits]);
                terminal.Output.WriteLine();
                if (options.Run.Tta)
                {
                    terminal.Output.WriteLine(AugmentationText.Cost);
                }

                terminal.Output.WriteLine($"written to {result.File}");
            }

            return ExitCode.Ok;
        });
}
