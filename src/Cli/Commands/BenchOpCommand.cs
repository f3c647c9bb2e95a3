using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Cli.Commands;

internal sealed record BenchOpOptions
{
    [Setting(SettingGroup.Data, "Time the formulas of this assembly, or folder of .cs files, instead of the program's (docs/custom-ops.md)",
        Placeholder = "FILE", Kind = ".NET assembly or folder")]
    public string? Ops { get; init; }

    [Setting(SettingGroup.Data, "Megabytes of an array in single precision", AtLeast = 1, AtMost = 2048)]
    public int Megabytes { get; init; } = 64;

    [Setting(SettingGroup.Precision, "The device to measure", Kind = "device", Accepts = VideoOptions.DeviceForms)]
    public string Device { get; init; } = "auto";

    [Setting(SettingGroup.Precision, "Compute threads, 0 = one per core", AtLeast = 0, AtMost = 1024)]
    public int Threads { get; init; }

    [Setting(SettingGroup.Output, "A JSON list on standard output")]
    public bool Json { get; init; }
}

/// <summary>What fusing formulas is worth on this machine.</summary>
internal sealed class BenchOpCommand : CliCommand<BenchOpOptions>
{
    public override string Name => "bench-op";

    public override string Summary => "Times fused ops against a copy of as many bytes, and against their operations one by one.";

    public override IReadOnlyList<string> Usages => ["[--ops MyOps.dll] [--megabytes N] [--device NAME]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Results are compared first. Medians of seven rounds in which the ways take turns. A formula of one or two operands has " +
            "whole arrays; of three and four the first is whole and the others have a number for each of 1,024 channels.",
    ];

    protected override IEnumerable<OptionProblem> Validate(BenchOpOptions options) =>
        OptionValidation.Validate(new VideoOptions { Device = options.Device });

    protected override int Run(BenchOpOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        IReadOnlyList<Type> formulas = FormulaTypes.In(options.Ops is { } file ? FormulaAssembly.Load(file) : typeof(IFusion).Assembly);
        using DeviceChoice device = DeviceChoice.OpenOne(options.Device, options.Threads);
        List<FormulaTiming> timings = [];
        List<string> wrong = [];
        foreach (Type formula in formulas)
        {
            try
            {
                timings.AddRange(FormulaBenchmark.Run([formula], device.Device, options.Megabytes));
            }
            catch (WrongFormulaException exception)
            {
                wrong.Add(exception.Message);
            }
        }

        if (options.Json)
        {
            terminal.WriteJson(timings);
        }
        else if (timings.Count > 0)
        {
            Write(timings, options, device, terminal);
        }

        return wrong.Count == 0 ? ExitCode.Ok : throw new RunException(
            string.Join(Environment.NewLine, wrong), "gradcheck --ops says whether the formula's gradient is right at all.");
    }

    private static void Write(List<FormulaTiming> timings, BenchOpOptions options, DeviceChoice device, Terminal terminal)
    {
        TextTable table = new("formula", "pass", ">ms", ">of a copy's speed", ">times as fast as unfused");
        foreach (FormulaTiming timing in timings)
        {
            table.Row(timing.Formula, timing.Pass, Number(1000 * timing.Seconds), MetricText.Percent(timing.OfCopy),
                timing.TimesUnfused is { } times ? Number(times) : "–");
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        string rate = (timings[0].CopyBytesPerSecond / 1e9).ToString("0.0", CultureInfo.InvariantCulture);
        terminal.Output.WriteLine($"{device.Text}; arrays of {options.Megabytes} MB; a copy moves {rate} GB/s, reading and writing.");
    }

    private static string Number(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
}
