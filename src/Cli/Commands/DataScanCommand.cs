using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Scanning;

namespace CudaTrainer.Cli.Commands;

internal sealed record ScanOptions
{
    [Settings]
    public DataScanOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "One JSON object with all files and findings on standard output")]
    public bool Json { get; init; }

    [Setting(SettingGroup.Output, "CSV of all files on standard output")]
    public bool Csv { get; init; }
}

/// <summary>What is wrong with which video of a folder, and what would limit a model trained on them.</summary>
internal sealed class DataScanCommand : CliCommand<ScanOptions>
{
    public override string Name => "data scan";

    public override string Summary =>
        "Decodes every video of a folder and says what is wrong with which, and what would limit a model trained on them.";

    public override IReadOnlyList<string> Usages => ["DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Nothing is moved or deleted. Findings are no failure: the exit code is 1 only if the folder itself, or a table of sources, " +
            "cannot be read.",
        "Also said is whether the classes can be told apart by what the files say without their pictures (size, length, frame rate, bit " +
            "rate, codec), which a model may learn instead of what happens.",
    ];

    public override string ArgumentPlaceholder => "DIR";

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) =>
        arguments.Count == 1 ? null : arguments.Count == 0 ? "name a folder of videos" : "name one folder";

    protected override IEnumerable<OptionProblem> Validate(ScanOptions options)
    {
        foreach (OptionProblem problem in options.Run.Validate())
        {
            yield return problem;
        }

        if (options.Json && options.Csv)
        {
            yield return new(nameof(options.Json), "contradicts --csv; give one of them");
        }
    }

    protected override int Run(ScanOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            IReadOnlyList<ScannedFile> files = DataScan.Run(options.Run with { Folder = arguments[0] }, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                DatasetAssessment assessment = DatasetAssessment.Of(files, stop);
                terminal.WriteJson(new { files, assessment.Findings, assessment.GiveAways });
            }
            else if (options.Csv)
            {
                ScanReport.WriteCsv(terminal.Output, files);
            }
            else
            {
                ScanReport.WriteTable(terminal, files);
                ScanReport.WriteFindings(terminal, DatasetAssessment.Of(files, stop));
            }

            return ExitCode.Ok;
        });
}
