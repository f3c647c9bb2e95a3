using System.Net;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Serve;

/// <summary>A web page and a JSON interface that say how violent uploaded videos are: docs/serve.md.</summary>
public static class VideoServer
{
    private const string SimulatedMark = "SIMULATED";

    /// <summary>Serves until it is stopped; the videos are predicted on the calling thread.</summary>
    /// <param name="version">Of the program.</param>
    /// <param name="listening">Called once with the address, when requests are answered.</param>
    /// <exception cref="OperationCanceledException">Stopped; uploads are gone by then.</exception>
    /// <exception cref="RunException">There is no such model, device or address.</exception>
    public static void Run(ServeOptions options, string version, IRunObserver observer, Action<string> listening, CancellationToken stop)
    {
        IPAddress address = options.Address
            ?? throw new RunException($"{SettingName.Of(nameof(ServeOptions.Host))} {options.Host} is no address.",
                "Give an IP address of this machine, or localhost.");
        if (options.AccessProblem is { } problem)
        {
            throw new RunException($"{SettingName.Of(nameof(ServeOptions.Host))}: {problem}.");
        }

        using AccessTokens? tokens = options.Token is { } file ? AccessTokens.Load(file) : null;
        using Predictor predictor = Predictor.Open(options.Prediction, stop);
        using UploadFolder folder = UploadFolder.Create();
        VideoQueue queue = new(options.Queue, TimeSpan.FromMinutes(options.Keep), TimeProvider.System);
        using ServeMetrics metrics = new(queue);
        using CameraWall? cameras = options.HasCameras ? CameraWall.Open(options, observer, stop) : null;
        observer.Header([.. predictor.Header, .. cameras is null ? [] : new[] { cameras.Header }]);
        using HttpServer server = new(new ServerParts
        {
            Options = options,
            Address = address,
            Version = version,
            Queue = queue,
            Folder = folder,
            Uploads = new UploadReader(options.MaxUploadBytes, folder),
            Metrics = metrics,
            Tokens = tokens,
            Run = options.Run is { } run ? new RunWatch(run, TimeProvider.System) : null,
            Cameras = cameras,
            Health = () => HealthOf(predictor, options, version, queue),
            Stop = stop,
        });
        string url = Start(server, options);
        foreach (string warning in Warnings(options, address))
        {
            observer.Message(Severity.Warning, warning);
        }

        listening(url);
        cameras?.Start();
        new VideoWorker(predictor, options, queue, metrics, observer).Run(stop);
    }

    private static string Start(HttpServer server, ServeOptions options)
    {
        try
        {
            return server.Start();
        }
        catch (IOException exception)
        {
            throw new RunException($"Port {options.Port} of {options.Host} cannot be had: {exception.Message}",
                $"Choose another with {SettingName.Of(nameof(ServeOptions.Port))}; {SettingName.Of(nameof(ServeOptions.Port))} 0 takes " +
                    "any that is free.", exception);
        }
    }

    private static IEnumerable<string> Warnings(ServeOptions options, IPAddress address)
    {
        if (options.Token is { } file && AccessTokens.IsOpenToOthers(file))
        {
            yield return $"other users of this machine can read the tokens in '{file}': chmod 600 it";
        }

        if (!IPAddress.IsLoopback(address))
        {
            yield return options.Token is null
                ? "other machines can reach this server: it has no passwords, and what is sent to it is not encrypted"
                : "other machines can reach this server, and what is sent to it, tokens included, is not encrypted";
        }
    }

    private static Health HealthOf(Predictor predictor, ServeOptions options, string version, VideoQueue queue)
    {
        bool isSimulated = predictor.Device.Contains(SimulatedMark, StringComparison.Ordinal);
        ModelInfo info = predictor.Info;
        return new Health(
            "ok", version, predictor.Device, isSimulated,
            isSimulated ? $"{SimulatedMark}: the GPU is a simulator for tests." : null,
            new ModelFacts(info.Model, Path.GetFileName(Path.TrimEndingDirectorySeparator(options.Prediction.Checkpoint)), info.Epoch,
                info.Frames, predictor.HasAttention, predictor.Backbone),
            info.ClassList.IsViolence ? predictor.Threshold : null, options.Plan.Length, options.Plan.Stride,
            new Limits(options.MaxUploadBytes, options.Timeout, options.Queue, options.Keep),
            queue.Facts)
        {
            Classes = info.ClassList.IsViolence ? null : info.Classes,
            Thresholds = predictor.Thresholds,
        };
    }
}
