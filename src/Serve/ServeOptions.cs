using System.Net;
using CudaTrainer.Training;

namespace CudaTrainer.Serve;

/// <summary>What <see cref="VideoServer"/> runs on.</summary>
public sealed record ServeOptions
{
    /// <summary>
    /// The model and how it answers. Paths are those of the uploads; <see cref="PredictionOptions.Window"/> is always set.
    /// </summary>
    public PredictionOptions Prediction { get; init; } = new() { Window = 2 };

    /// <summary>An IP address of this machine, or <c>localhost</c>.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>0 for any that is free.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>Megabytes (10⁶ bytes) of the largest video taken.</summary>
    public double MaxUploadMb { get; init; } = 500;

    /// <summary>Seconds after which work on one video is given up.</summary>
    public double Timeout { get; init; } = 600;

    /// <summary>Videos that may wait behind the one at work.</summary>
    public int Queue { get; init; } = 8;

    /// <summary>Minutes that a result can be fetched.</summary>
    public double Keep { get; init; } = 60;

    public long MaxUploadBytes => (long)(MaxUploadMb * 1e6);

    /// <summary>Windows of each video.</summary>
    public WindowPlan Plan => new(Prediction.Window!.Value, Prediction.Stride ?? (Prediction.Window.Value / 2));

    /// <summary>The address that <see cref="Host"/> stands for; null if it is none.</summary>
    public IPAddress? Address => Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(Host, out IPAddress? address) ? address : null;
}
