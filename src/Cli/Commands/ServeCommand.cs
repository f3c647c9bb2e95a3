using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Serve;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Commands;

/// <summary>A web page that says how violent a video is.</summary>
internal sealed class ServeCommand : CliCommand<ServeOptions>
{
    private static readonly OptionRange Port = OptionRange.Between(0, 65535), Queue = OptionRange.Between(0, 1000);

    /// <summary>The longest time that a timer takes is 49 days.</summary>
    private static readonly OptionRange Megabytes = OptionRange.AboveAndAtMost(0, 1e6), Seconds = OptionRange.AboveAndAtMost(0, 1e6),
        Minutes = OptionRange.AboveAndAtMost(0, 1e4);

    /// <summary>Options of prediction that would need more than one answer a video, or that the server decides.</summary>
    private static readonly string[] NotServed = ["--smooth", "--release", "--workers"];

    public override string Name => "serve";

    public override string Summary =>
        "Serves a web page that shows how violent a dropped video is, moment by moment, and a JSON interface to the same.";

    public override IReadOnlyList<string> Usages => ["--checkpoint FILE|DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Videos are predicted one after the other, as predict --window does. Uploads are deleted as soon as there is an answer, and " +
            "answers after --keep minutes. docs/serve.md has the interface.",
        "Only programs on this machine reach the server unless --host says otherwise: it has no passwords and does not encrypt.",
    ];

    public override bool TakesConfig => true;

    protected override OptionTable<ServeOptions> CreateTable() => new OptionTable<ServeOptions>(new ServeOptions())
        .Include(PredictionOptionTable.Create(new ServeOptions().Prediction), o => o.Prediction, (o, v) => o with { Prediction = v },
            NotServed)
        .Add(
            "--timeout", OptionGroup.Data, ValueTypes.Number,
            o => o.Timeout, (o, v) => o with { Timeout = v },
            "Seconds after which work on one video is given up",
            range: Seconds.ToString())
        .Add(
            "--host", OptionGroup.Server, ValueTypes.Text("ADDRESS", "IP address or localhost"),
            o => o.Host, (o, v) => o with { Host = v },
            "Address of this machine to listen on; 0.0.0.0 for all, which lets everybody in")
        .Add(
            "--port", OptionGroup.Server, ValueTypes.Integer,
            o => o.Port, (o, v) => o with { Port = v },
            "Port to listen on, 0 = any that is free",
            range: Port.ToString())
        .Add(
            "--max-upload-mb", OptionGroup.Server, ValueTypes.Number,
            o => o.MaxUploadMb, (o, v) => o with { MaxUploadMb = v },
            "Megabytes of the largest video taken",
            range: Megabytes.ToString())
        .Add(
            "--queue", OptionGroup.Server, ValueTypes.Integer,
            o => o.Queue, (o, v) => o with { Queue = v },
            "Videos that may wait behind the one at work",
            range: Queue.ToString())
        .Add(
            "--keep", OptionGroup.Server, ValueTypes.Number,
            o => o.Keep, (o, v) => o with { Keep = v },
            "Minutes that a result can be fetched",
            range: Minutes.ToString());

    protected override IEnumerable<OptionProblem> Validate(ServeOptions options, IReadOnlyList<string> arguments)
    {
        (string Option, double Value, OptionRange Range)[] numbers =
        [
            ("--timeout", options.Timeout, Seconds),
            ("--port", options.Port, Port),
            ("--max-upload-mb", options.MaxUploadMb, Megabytes),
            ("--queue", options.Queue, Queue),
            ("--keep", options.Keep, Minutes),
        ];
        foreach (var (option, value, range) in numbers)
        {
            if (!range.Contains(value))
            {
                yield return new(option, string.Create(CultureInfo.InvariantCulture, $"{value} is out of range; expected {range}"));
            }
        }

        if (options.Address is null)
        {
            yield return new("--host", $"\"{options.Host}\" is not an IP address or localhost");
        }

        foreach (var problem in PredictionOptionTable.Validate(options.Prediction))
        {
            yield return problem;
        }
    }

    protected override int Run(ServeOptions options, IReadOnlyList<string> arguments, Terminal terminal) => RunHost.Run(
        terminal,
        (observer, stop) =>
        {
            VideoServer.Run(options, Program.Version, observer, url => terminal.Output.WriteLine($"Listening on {url}"), stop);
            return ExitCode.Ok;
        },
        stopping: "stopping");
}
