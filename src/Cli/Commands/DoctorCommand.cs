using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Doctor;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Scanning;
using Spectre.Console;

namespace CudaTrainer.Cli.Commands;

internal sealed record DoctorOptions
{
    [Setting(SettingGroup.Data, "Feature cache to check", Placeholder = "DIR", Kind = "folder")]
    public string CacheDir { get; init; } = new FeatureOptions().CacheDir;

    [Setting(SettingGroup.Output, "Checkpoint folder to check", Placeholder = "DIR", Kind = "folder")]
    public string CheckpointDir { get; init; } = new TrainingOptions().CheckpointDir;

    [Setting(SettingGroup.Output, "One JSON object on standard output")]
    public bool Json { get; init; }
}

/// <summary>Says whether this machine has what runs need.</summary>
internal sealed class DoctorCommand : CliCommand<DoctorOptions>
{
    public override string Name => "doctor";

    public override string Summary => "Checks the machine, the libraries and the folders, and says what to do about anything wrong.";

    public override IReadOnlyList<string> Usages => ["[--json]", "DATASET [--json]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Exits with 1 if anything is marked FAIL. No CUDA is a normal state.",
        "With a folder of videos it decodes them all, too, and says what would limit a model trained on them, as data scan does.",
    ];

    public override string ArgumentPlaceholder => "DATASET";

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) => arguments.Count <= 1 ? null : "name one folder";

    protected override bool OpensFiles => false;

    protected override int Run(DoctorOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        Check[] checks =
        [
            Check.Ok("cudatrainer", ProgramVersion.Text),
            .. MachineChecks.Run(terminal.Settings),
            VideoCheck.Run(),
            Hdf5Check.Run(),
            MpiCheck.Run(),
            .. CudaChecks.Run(),
            .. DeviceChecks.Run(),
            FolderChecks.RunWithSpeed("feature cache", options.CacheDir),
            FolderChecks.RunWithSpeed("checkpoints", options.CheckpointDir),
        ];
        bool healthy = checks.All(check => check.Status != CheckStatus.Fail);
        if (!options.Json)
        {
            Write(checks, terminal);
        }

        return arguments.Count == 0 ? Finish(null) : RunHost.Run(terminal, (observer, stop) =>
        {
            IReadOnlyList<ScannedFile> files = DataScan.Run(new DataScanOptions { Folder = arguments[0] }, observer, stop);
            observer.CloseLine();
            return Finish(DatasetAssessment.Of(files, stop));
        });

        int Finish(DatasetAssessment? dataset)
        {
            healthy &= dataset?.Findings.All(finding => finding.Severity != Severity.Error) ?? true;
            if (options.Json)
            {
                terminal.WriteJson(new { healthy, checks, cuda = CudaChecks.Facts(), dataset });
            }
            else if (dataset is not null)
            {
                ScanReport.WriteFindings(terminal, dataset);
            }

            return healthy ? ExitCode.Ok : ExitCode.Failed;
        }
    }

    private static void Write(Check[] checks, Terminal terminal)
    {
        int width = checks.Max(check => check.Name.Length);
        foreach (Check check in checks)
        {
            string colour = check.Status switch { CheckStatus.Ok => "green", CheckStatus.Warn => "yellow", _ => "red" };
            string status = check.Status.ToString().ToUpperInvariant();
            terminal.Results.Markup($"[{colour}]{status.PadRight(4)}[/]  ");
            terminal.Output.WriteLine($"{check.Name.PadRight(width)}  {check.Found}");
            if (check.Remedy is not null)
            {
                terminal.Output.WriteLine($"{new string(' ', width + 8)}-> {check.Remedy}");
            }
        }
    }
}
