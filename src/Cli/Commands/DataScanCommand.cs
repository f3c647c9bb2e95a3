using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Commands;

internal sealed record ScanOptions
{
    public DataScanOptions Run { get; init; } = new();

    public bool Json { get; init; }

    public bool Csv { get; init; }
}

/// <summary>What is wrong with which video of a folder.</summary>
internal sealed class DataScanCommand : CliCommand<ScanOptions>
{
    public override string Name => "data scan";

    public override string Summary => "Decodes every video of a folder and says what is wrong with which.";

    public override IReadOnlyList<string> Usages => ["DIR [options]"];

    public override IReadOnlyList<string> Notes =>
        ["Nothing is moved or deleted. Findings are no failure: the exit code is 1 only if the folder itself cannot be read."];

    public override string ArgumentPlaceholder => "DIR";

    protected override OptionTable<ScanOptions> CreateTable() => new OptionTable<ScanOptions>(new ScanOptions())
        .Add(
            "--frames", OptionGroup.Data, ValueTypes.Integer,
            o => o.Run.Frames, (o, v) => o with { Run = o.Run with { Frames = v } },
            "A video of fewer frames is short: training would repeat them",
            range: OptionValidation.RangeOf("--frames").ToString())
        .Add(
            "--decode-timeout", OptionGroup.Data, ValueTypes.Number,
            o => o.Run.DecodeTimeout, (o, v) => o with { Run = o.Run with { DecodeTimeout = v } },
            "Seconds after which decoding one file is given up",
            range: OptionValidation.RangeOf("--decode-timeout").ToString())
        .Add(
            "--workers", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Run.Workers, (o, v) => o with { Run = o.Run with { Workers = v } },
            "Files decoded at the same time, 0 = one per core",
            range: OptionValidation.RangeOf("--workers").ToString())
        .Add(
            "--json", OptionGroup.Output, ValueTypes.Switch,
            o => o.Json, (o, v) => o with { Json = v },
            "A JSON list of all files on standard output")
        .Add(
            "--csv", OptionGroup.Output, ValueTypes.Switch,
            o => o.Csv, (o, v) => o with { Csv = v },
            "CSV of all files on standard output");

    protected override IEnumerable<OptionProblem> Validate(ScanOptions options, IReadOnlyList<string> arguments)
    {
        if (arguments.Count != 1)
        {
            yield return new("DIR", arguments.Count == 0 ? "name a folder of videos" : "name one folder");
        }

        (string Option, double Value)[] numbers = [("--frames", options.Run.Frames), ("--decode-timeout", options.Run.DecodeTimeout),
            ("--workers", options.Run.Workers)];
        foreach (var (option, value) in numbers)
        {
            if (OptionValidation.RangeOf(option) is { } range && !range.Contains(value))
            {
                yield return new(option, string.Create(CultureInfo.InvariantCulture, $"{value} is out of range; expected {range}"));
            }
        }

        if (options.Json && options.Csv)
        {
            yield return new("--json", "contradicts --csv; give one of them");
        }
    }

    protected override int Run(ScanOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            var files = DataScan.Run(options.Run with { Folder = arguments[0] }, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(files);
            }
            else if (options.Csv)
            {
                ScanReport.WriteCsv(terminal.Output, files);
            }
            else
            {
                ScanReport.WriteTable(terminal, files);
            }

            return ExitCode.Ok;
        });
}
