using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.Commands;

internal sealed record ReportOptions
{
    [Setting(SettingGroup.Output, "The page to write",
        Placeholder = "FILE", Kind = ".html file", Default = "RUN/report.html, or comparison.html here for several runs")]
    public string? Output { get; init; }

    [Setting(SettingGroup.Output, "Replace the file of {Output} whatever it is, not only an older page")]
    public bool Overwrite { get; init; }

    [Setting(SettingGroup.Output, "Write the runs into this folder, too, as MLflow keeps them (mlflow ui --backend-store-uri DIR)",
        Placeholder = "DIR", Kind = "folder", Default = "none")]
    public string? Mlflow { get; init; }

    [Setting(SettingGroup.Output, "One JSON object on standard output: the file and what it is made of")]
    public bool Json { get; init; }
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

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) =>
        arguments.Count == 0 ? "is required: the checkpoint folder of a run" : null;

    protected override int Run(ReportOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (_, stop) =>
        {
            string file = StudyReport.Write(arguments, options.Output, options.Overwrite, stop);
            string[] runs = options.Mlflow is { } store
                ? [.. StudyReport.RunsOf(arguments).Select(run => MlflowStore.Write(store, run))]
                : [];
            if (options.Json)
            {
                terminal.WriteJson(new { Report = file, Bytes = new FileInfo(file).Length, Folders = arguments, Mlflow = runs });
            }
            else
            {
                foreach (string written in (string[])[file, .. runs])
                {
                    terminal.Output.WriteLine($"written to {written}");
                }
            }

            return ExitCode.Ok;
        });
}
