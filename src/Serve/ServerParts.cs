using System.Net;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Serve;

/// <summary>What requests are answered with. Nothing in it knows HTTP but <see cref="Uploads"/> and <see cref="Frames"/>.</summary>
internal sealed class ServerParts
{
    public required ServeOptions Options { get; init; }

    /// <summary>That the server listens on.</summary>
    public required IPAddress Address { get; init; }

    /// <summary>Of the program.</summary>
    public required string Version { get; init; }

    public required VideoQueue Queue { get; init; }

    public required UploadReader Uploads { get; init; }

    public required UploadFolder Folder { get; init; }

    public required ServeMetrics Metrics { get; init; }

    /// <summary>Null where everybody who reaches the server may use it.</summary>
    public AccessTokens? Tokens { get; init; }

    /// <summary>The training run that is shown; null for none.</summary>
    public RunWatch? Run { get; init; }

    /// <summary>The cameras that are watched; null for none.</summary>
    public CameraWall? Cameras { get; init; }

    /// <summary>Of the moment.</summary>
    public required Func<Health> Health { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Ends uploads.</summary>
    public required CancellationToken Stop { get; init; }

    public PageFrames Frames => field ??= new PageFrames(hasCameras: Cameras is not null, hasRun: Run is not null, hasAccess: Tokens is not null);
}
