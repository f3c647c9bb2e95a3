using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Live.Watching;
using CudaTrainer.Serve;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

/// <summary>A web page that says how violent a video is.</summary>
internal sealed class ServeCommand : CliCommand<ServeOptions>
{
    public override string Name => "serve";

    public override string Summary =>
        "Serves a web page that shows how violent a dropped video is, moment by moment, and a JSON interface to the same.";

    public override IReadOnlyList<string> Usages => ["[--checkpoint FILE|DIR] [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Videos are predicted one after the other, as predict --window does. Uploads are deleted as soon as there is an answer, and " +
            "answers after --keep minutes. docs/serve.md has the interface.",
        "Only programs on this machine reach the server unless --host says otherwise, which takes --token, a file of tokens: people type " +
            "one in to sign in, programs send one along. The server does not encrypt.",
        "With --run the page also shows a training run as it goes on; the folder is the one that train writes to.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(ServeOptions options)
    {
        if (options.Address is null)
        {
            yield return new(nameof(options.Host), $"\"{options.Host}\" is not an IP address or localhost");
        }

        if (options.AccessProblem is { } access)
        {
            yield return new(nameof(options.Host), access);
        }

        if (WatchOptions.ProblemOf(options.CameraAddresses) is { } camera)
        {
            yield return new(nameof(options.Camera), camera);
        }

        foreach (OptionProblem problem in options.HasCameras
            ? (options.Watch with { Prediction = options.Prediction }).Validate()
            : [.. OfCamerasAlone(options.Watch), .. OfCamerasAlone(options.Watch.Events), .. options.Prediction.Validate()])
        {
            yield return problem;
        }
    }

    /// <summary>What is set of what would change nothing, since there is no camera.</summary>
    private static IEnumerable<OptionProblem> OfCamerasAlone<TPart>(TPart part)
        where TPart : class, new()
    {
        TPart initial = new();
        string needed = $"needs --{Setting.NameOf(nameof(ServeOptions.Camera))} ADDRESS";
        return from setting in Setting.Of(typeof(TPart))
               where setting.TextIn(part) != setting.TextIn(initial)
               select new OptionProblem(setting.Property.Name, needed);
    }

    protected override int Run(ServeOptions options, IReadOnlyList<string> arguments, Terminal terminal) => RunHost.Run(
        terminal,
        (observer, stop) =>
        {
            VideoServer.Run(options, ProgramVersion.Text, observer, url => terminal.Output.WriteLine($"Listening on {url}"), stop);
            return ExitCode.Ok;
        },
        stopping: "stopping");
}
