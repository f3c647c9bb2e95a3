using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record LrFindOptions
{
    [Settings(Except = SettingRole.Course)]
    public TrainingOptions Run { get; init; } = new();

    [Settings]
    public SweepRange Range { get; init; } = new();

    [Setting(SettingGroup.Output, "One JSON object on standard output")]
    public bool Json { get; init; }

    [Setting(SettingGroup.Output, "CSV of every step on standard output")]
    public bool Csv { get; init; }
}

/// <summary>A learning rate to begin with.</summary>
internal sealed class LrFindCommand : CliCommand<LrFindOptions>
{
    /// <summary>Rows of the table for people; --csv has all.</summary>
    private const int RowsShown = 20;

    public override string Name => "lr-find";

    public override string Summary => "Suggests a learning rate: one sweep of it, from small to large, over 100 batches.";

    public override IReadOnlyList<string> Usages => ["--features-dir DIR [options]", "--dataset-path DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "The rate grows by the same factor from batch to batch, and the loss is smoothed over about ten batches; where the clips make " +
            "fewer, they come again. Nothing is written but features of videos, which go to the cache as in train.",
    ];

    protected override IEnumerable<OptionProblem> Validate(LrFindOptions options)
    {
        foreach (OptionProblem problem in OptionValidation.OfSettings(options.Range))
        {
            yield return problem;
        }

        if (options.Range.From >= options.Range.To)
        {
            yield return new(nameof(options.Range.From), "is not below --to");
        }

        if (options.Json && options.Csv)
        {
            yield return new(nameof(options.Json), "contradicts --csv; give one of them");
        }

        foreach (OptionProblem problem in OptionValidation.Validate(options.Run))
        {
            yield return problem;
        }
    }

    protected override int Run(LrFindOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            LearningRateSweep sweep = TrainingRun.Sweep(options.Run, options.Range, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(sweep);
            }
            else if (options.Csv)
            {
                terminal.Output.WriteLine("step,lr,loss,smoothed_loss");
                foreach (SweepStep step in sweep.Steps)
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
        foreach (SweepStep step in sweep.Steps.Where((step, i) => i % every == 0 || i == sweep.Steps.Count - 1))
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
