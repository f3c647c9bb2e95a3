using System.Net;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Serve;

/// <summary>What <see cref="VideoServer"/> runs on.</summary>
public sealed record ServeOptions
{
    /// <summary>
    /// The model and how it answers. Paths are those of the uploads; <see cref="WindowOptions.Window"/> is always set.
    /// </summary>
    [Settings(Except = SettingRole.Offline)]
    public PredictionOptions Prediction { get; init; } = new() { Windows = new() { Window = 2 } };

    // The longest time that a timer takes is 49 days.
    [Setting(SettingGroup.Data, "Seconds after which work on one video is given up", Above = 0, AtMost = 1e6)]
    public double Timeout { get; init; } = 600;

    [Setting(SettingGroup.Server, "Address of this machine to listen on; 0.0.0.0 for all, which lets everybody in",
        Placeholder = "ADDRESS", Kind = "IP address or localhost")]
    public string Host { get; init; } = "127.0.0.1";

    [Setting(SettingGroup.Server, "Port to listen on, 0 = any that is free", AtLeast = 0, AtMost = 65535)]
    public int Port { get; init; } = 8080;

    [Setting(SettingGroup.Server, "Megabytes (10⁶ bytes) of the largest video taken", Above = 0, AtMost = 1e6)]
    public double MaxUploadMb { get; init; } = 500;

    [Setting(SettingGroup.Server, "Videos that may wait behind the one at work", AtLeast = 0, AtMost = 1000)]
    public int Queue { get; init; } = 8;

    [Setting(SettingGroup.Server, "Minutes that a result can be fetched", Above = 0, AtMost = 1e4)]
    public double Keep { get; init; } = 60;

    public long MaxUploadBytes => (long)(MaxUploadMb * 1e6);

    /// <summary>Windows of each video.</summary>
    public WindowPlan Plan => WindowPlan.Of(Prediction.Windows)!.Value;

    /// <summary>The address that <see cref="Host"/> stands for; null if it is none.</summary>
    public IPAddress? Address => Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(Host, out IPAddress? address) ? address : null;
}
