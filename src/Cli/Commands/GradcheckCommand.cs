using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using Spectre.Console;

namespace CudaTrainer.Cli.Commands;

internal sealed record GradcheckOptions
{
    [Setting(SettingGroup.Precision, "The device to check", Kind = "device", Accepts = VideoOptions.DeviceForms)]
    public string Device { get; init; } = "auto";

    [Setting(SettingGroup.Precision, "Compute threads, 0 = one per core", AtLeast = 0, AtMost = 1024)]
    public int Threads { get; init; }

    [Setting(SettingGroup.Data, "Check the formulas of this assembly, or folder of .cs files, instead (docs/custom-ops.md)",
        Placeholder = "FILE", Kind = ".NET assembly or folder")]
    public string? Ops { get; init; }

    [Setting(SettingGroup.Output, "A JSON list on standard output")]
    public bool Json { get; init; }
}

/// <summary>Proves the gradients of every op on this machine.</summary>
internal sealed class GradcheckCommand : CliCommand<GradcheckOptions>
{
    public override string Name => "gradcheck";

    public override string Summary =>
        "Checks every op on this machine: the reference against finite differences, the device against the reference.";

    public override IReadOnlyList<string> Usages => ["[--device NAME]", "--ops MyOps.dll [--device NAME]"];

    public override IReadOnlyList<string> Notes => ["Exits with 1 if any op is off by more than its tolerance."];

    protected override IEnumerable<OptionProblem> Validate(GradcheckOptions options) =>
        OptionValidation.Validate(new VideoOptions { Device = options.Device });

    protected override int Run(GradcheckOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        using DeviceChoice device = DeviceChoice.OpenOne(options.Device, options.Threads);
        GradientCheckRow[] rows = [.. options.Ops is { } file
            ? GradientCheckSuite.Run(OpCases.Of(FormulaAssembly.Load(file)), device.Device)
            : GradientCheckSuite.Run(device.Device)];
        if (options.Json)
        {
            terminal.WriteJson(rows);
        }
        else
        {
            Write(rows, terminal);
        }

        return rows.All(row => row.Passed) ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Write(GradientCheckRow[] rows, Terminal terminal)
    {
        TextTable table = new("op", "checked", ">forward error", ">gradient error", "");
        foreach (GradientCheckRow row in rows)
        {
            table.Row(
                row.Op,
                row.Device,
                Error(row.ForwardError),
                Error(row.GradientError),
                row.Passed
                    ? new Cell(row.Kinks == 0 ? "ok" : $"ok but for {row.Kinks} kinks", new Style(Color.Green))
                    : new Cell(Fault(row), new Style(Color.Red)));
        }

        table.Write(terminal.Results);
        int failed = rows.Count(row => !row.Passed);
        terminal.Output.WriteLine();
        terminal.Output.WriteLine(failed == 0 ? $"All {rows.Length} checks passed." : $"{failed} of {rows.Length} checks failed.");
    }

    private static string Fault(GradientCheckRow row) => !double.IsNaN(row.ForwardError + row.GradientError)
        ? $"OFF in {row.WorstInput}"
        : $"OFF in {row.WorstInput}: not a number where operands were drawn; [Between] says where they lie";

    private static string Error(double error) => error == 0 ? "0" : error.ToString("0.0e+0", CultureInfo.InvariantCulture);
}
