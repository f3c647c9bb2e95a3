using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Live.Watching;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record WatchCommandOptions
{
    [Settings]
    public WatchOptions Watch { get; init; } = new();

    [Setting(SettingGroup.Output, "One JSON object a line on standard output for everything that happens, answers too")]
    public bool Json { get; init; }
}

/// <summary>Watches cameras.</summary>
internal sealed class WatchCommand : CliCommand<WatchCommandOptions>
{
    public override string Name => "watch";

    public override string Summary => "Watches cameras and says when there is violence: live, several at once, until it is stopped.";

    public override IReadOnlyList<string> Usages => ["ADDRESS… [--checkpoint FILE|DIR] [options]", "--cameras FILE [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "An address is rtsp://host/path, http(s)://… (HLS, MJPEG), udp:// or tcp://, /dev/videoN, a file, which runs like a camera, " +
            "or - for standard input. User names and passwords of addresses are never shown or written.",
        "Each camera is answered every --stride seconds for the last --window seconds, as predict --window answers for the recording. " +
            "One that breaks off is connected to again. docs/live.md has the rest.",
    ];

    public override string ArgumentPlaceholder => "ADDRESS";

    public override bool TakesConfig => true;

    public override bool WritesJsonLines => true;

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) => WatchOptions.ProblemOf(arguments);

    protected override IEnumerable<OptionProblem> Validate(WatchCommandOptions options) => options.Watch.Validate();

    protected override int Run(WatchCommandOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        if (arguments.Count == 0 && options.Watch.Cameras is null)
        {
            string table = $"--{Setting.NameOf(nameof(options.Watch.Cameras))}";
            return terminal.UsageErrors(Name, [$"{ArgumentPlaceholder}: name a camera, or a table of them with {table} FILE"]);
        }

        return RunHost.Run(
            terminal,
            (observer, stop) =>
            {
                var report = new LiveReport(terminal, observer, options.Json);
                using Wall wall = Wall.Open(options.Watch, arguments, report.Tell, stop);
                observer.Header(wall.Header);
                bool hasSeen = wall.Run(stop);
                wall.Finish();
                return hasSeen ? ExitCode.Ok : ExitCode.Failed;
            },
            stopping: "stopping");
    }
}
