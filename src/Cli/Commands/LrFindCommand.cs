using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Commands;

internal sealed record LrFindOptions
{
    public TrainingOptions Run { get; init; } = new();

    public SweepRange Range { get; init; } = new();

    public bool Json { get; init; }

    public bool Csv { get; init; }
}

/// <summary>A learning rate to begin with.</summary>
internal sealed class LrFindCommand : CliCommand<LrFindOptions>
{
    /// <summary>Rows of the table for people; --csv has all.</summary>
    private const int RowsShown = 20;

    /// <summary>Options of <c>train</c> without meaning for a sweep.</summary>
    private static readonly string[] OfRuns =
    [
        "--views", "--epochs", "--learning-rate", "--min-learning-rate", "--warmup-epochs", "--lr-schedule", "--ema", "--swa-start",
        "--early-stopping-patience", "--monitor", "--checkpoint-dir", "--resume", "--overwrite",
        "--checkpoint-every", "--keep-checkpoints", "--log-every-steps", "--check-replicas", "--distributed", "--dry-run",
        "--fast-dev-run", "--overfit-batches",
    ];

    private static readonly OptionRange Rate = OptionRange.AboveAndAtMost(0, 10), StepCount = OptionRange.AtLeast(10);

    public override string Name => "lr-find";

    public override string Summary => "Suggests a learning rate: one sweep of it, from small to large, over an epoch at most.";

    public override IReadOnlyList<string> Usages => ["--features-dir DIR [options]", "--dataset-path DIR [options]"];

    public override IReadOnlyList<string> Notes =>
        ["The rate grows by the same factor from batch to batch, and the loss is smoothed over about ten batches. Nothing is written but features of videos, which go to the cache as in train."];

    protected override OptionTable<LrFindOptions> CreateTable() => new OptionTable<LrFindOptions>(new LrFindOptions())
        .Include(TrainingOptionTable.Create(), o => o.Run, (o, v) => o with { Run = v }, OfRuns)
        .Add(
            "--from", OptionGroup.Optimiser, ValueTypes.Number,
            o => o.Range.From, (o, v) => o with { Range = o.Range with { From = v } },
            "Smallest learning rate",
            range: Rate.ToString())
        .Add(
            "--to", OptionGroup.Optimiser, ValueTypes.Number,
            o => o.Range.To, (o, v) => o with { Range = o.Range with { To = v } },
            "Largest learning rate",
            range: Rate.ToString())
        .Add(
            "--steps", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.Range.Steps, (o, v) => o with { Range = o.Range with { Steps = v } },
            "Batches at most; an epoch may have fewer",
            range: StepCount.ToString())
        .Add(
            "--json", OptionGroup.Output, ValueTypes.Switch,
            o => o.Json, (o, v) => o with { Json = v },
            "One JSON object on standard output")
        .Add(
            "--csv", OptionGroup.Output, ValueTypes.Switch,
            o => o.Csv, (o, v) => o with { Csv = v },
            "CSV of every step on standard output");

    protected override IEnumerable<OptionProblem> Validate(LrFindOptions options, IReadOnlyList<string> arguments)
    {
        (string Option, double Value, OptionRange Range)[] numbers = [("--from", options.Range.From, Rate),
            ("--to", options.Range.To, Rate), ("--steps", options.Range.Steps, StepCount)];
        foreach (var (option, value, range) in numbers)
        {
            if (!range.Contains(value))
            {
                yield return new(option, string.Create(CultureInfo.InvariantCulture, $"{value} is out of range; expected {range}"));
            }
        }

        if (options.Range.From >= options.Range.To)
        {
            yield return new("--from", "is not below --to");
        }

        if (options.Json && options.Csv)
        {
            yield return new("--json", "contradicts --csv; give one of them");
        }

        foreach (var problem in OptionValidation.Validate(options.Run))
        {
            yield return problem;
        }
    }

    protected override int Run(LrFindOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            var sweep = TrainingRun.Sweep(options.Run, options.Range, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(sweep);
            }
            else if (options.Csv)
            {
                terminal.Output.WriteLine("step,lr,loss,smoothed_loss");
                foreach (var step in sweep.Steps)
                {
                    terminal.Output.WriteLine(
                        string.Create(CultureInfo.InvariantCulture, $"{step.Step},{step.LearningRate:R},{step.Loss:R},{step.Smoothed:R}"));
                }
            }
            else
            {
                Write(sweep, terminal);
            }

            return ExitCode.Ok;
        });

    private static void Write(LearningRateSweep sweep, Terminal terminal)
    {
        TextTable table = new(">step", ">learning rate", ">loss", ">smoothed");
        int every = (sweep.Steps.Count + RowsShown - 1) / RowsShown;
        foreach (var step in sweep.Steps.Where((step, i) => i % every == 0 || i == sweep.Steps.Count - 1))
        {
            table.Row(MetricText.Count(step.Step), Rounded(step.LearningRate), MetricText.Loss(step.Loss), MetricText.Loss(step.Smoothed));
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        string end = sweep.Diverged ? " The sweep ended early: the loss grew too far." : "";
        terminal.Output.WriteLine(sweep.Suggestion is { } rate
            ? $"Try --learning-rate {Rounded(rate)}, where the loss falls fastest.{end}"
            : $"The loss falls nowhere between these rates; try a wider range, or look at the data.{end}");
    }

    private static string Rounded(double rate) => rate.ToString("G2", CultureInfo.InvariantCulture);
}
