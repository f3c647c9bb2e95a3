using System.Net;
using System.Text.Json.Serialization;
using CudaTrainer.Formats;
using CudaTrainer.Live.Watching;
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

    /// <summary>Cameras beside the uploads; <see cref="WatchOptions.Prediction"/> is that of the uploads.</summary>
    [Settings(Except = SettingRole.Offline, Without = nameof(WatchOptions.Prediction))]
    public WatchOptions Watch { get; init; } = new();

    [Setting(SettingGroup.Data, "Camera to show on the page, an address as watch takes it; may be given several times",
        Placeholder = "ADDRESS", Kind = "address", Values = nameof(CameraAddresses), Default = "none")]
    [JsonIgnore]
    public string? Camera
    {
        get => CameraAddresses.Count == 0 ? null : CameraAddresses[0];
        init => CameraAddresses = value is null ? [] : [value];
    }

    /// <summary>Cameras that are named by an address alone.</summary>
    [JsonPropertyName("camera")]
    public IReadOnlyList<string> CameraAddresses { get; init; } = [];

    /// <summary>Whether there is any camera.</summary>
    internal bool HasCameras => CameraAddresses.Count > 0 || Watch.Cameras is not null;

    // The longest time that a timer takes is 49 days.
    [Setting(SettingGroup.Data, "Seconds after which work on one video is given up", Above = 0, AtMost = 1e6)]
    public double Timeout { get; init; } = 600;

    [Setting(SettingGroup.Server, "Address of this machine to listen on; 0.0.0.0 for all, which takes {Token}",
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

    [Setting(SettingGroup.Server, "File of tokens, one on each line, of which whoever asks must have one",
        Placeholder = "FILE", Kind = "text file", Default = "nobody needs one")]
    public string? Token { get; init; }

    [Setting(SettingGroup.Server, "Listen beyond this machine without {Token}: everybody who reaches the server may use it")]
    public bool OpenAccess { get; init; }

    [Setting(SettingGroup.Server, "Let everybody read the counters at /metrics, which otherwise take a token like everything else")]
    public bool OpenMetrics { get; init; }

    [Setting(SettingGroup.Server, "Videos that one address may send in a minute", AtLeast = 1, AtMost = 1e6)]
    public int UploadsPerMinute { get; init; } = 600;

    [Setting(SettingGroup.Server, "Folder of a training run to show as it goes on", Placeholder = "DIR", Kind = "folder",
        Default = "none")]
    public string? Run { get; init; }

    public long MaxUploadBytes => (long)(MaxUploadMb * 1e6);

    /// <summary>Windows of each video.</summary>
    public WindowPlan Plan => WindowPlan.Of(Prediction.Windows)!.Value;

    /// <summary>The address that <see cref="Host"/> stands for; null if it is none.</summary>
    public IPAddress? Address => Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(Host, out IPAddress? address) ? address : null;

    /// <summary>Why the server must not start like this: others could use it, and nobody said that they may. Null if all is well.</summary>
    internal string? AccessProblem => OpenAccess || Token is not null || Address is not { } address || IPAddress.IsLoopback(address)
        ? null
        : $"{Host} lets other machines use the server, and nothing asks who they are; give {SettingName.Of(nameof(Token))} FILE with a " +
            $"token in it, or {SettingName.Of(nameof(OpenAccess))} where everybody may";
}
