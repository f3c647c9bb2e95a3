using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.Commands;

internal sealed record ReportOptions
{
    public string? Output { get; init; }
}

/// <summary>The page of a run, or of several beside each other.</summary>
internal sealed class ReportCommand : CliCommand<ReportOptions>
{
    public override string Name => "report";

    public override string Summary => "Writes a run as one HTML page, or compares several runs on one.";

    public override IReadOnlyList<string> Usages =>
        ["RUN [--output FILE]", "RUN RUN... [--output FILE]", "RUN... STUDY... [--output FILE]"];

    public override IReadOnlyList<string> Notes =>
    [
        "RUN is a checkpoint folder of train, finished or not. Training ends with the same page as report.html; this writes it anew, " +
            "with pictures if the videos are where they were.",
        "Output folders of ablate may be named too: each becomes a section.",
    ];

    public override string? ArgumentPlaceholder => "RUN";

    protected override OptionTable<ReportOptions> CreateTable() => new OptionTable<ReportOptions>(new ReportOptions())
        .Add(
            "--output", OptionGroup.Output, ValueTypes.OptionalText("FILE", ".html file"),
            o => o.Output, (o, v) => o with { Output = v },
            "The page to write",
            defaultText: "RUN/report.html, or comparison.html here for several runs");

    protected override IEnumerable<OptionProblem> Validate(ReportOptions options, IReadOnlyList<string> arguments)
    {
        if (arguments.Count == 0)
        {
            yield return new("RUN", "is required: the checkpoint folder of a run");
        }
    }

    protected override int Run(ReportOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (_, stop) =>
        {
            terminal.Output.WriteLine($"written to {StudyReport.Write(arguments, options.Output, stop)}");
            return ExitCode.Ok;
        });
}
