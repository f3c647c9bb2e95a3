using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace CudaTrainer.Serve;

/// <summary>The wall of cameras: its page, which shows it without scripts as well, pictures, events and their clips.</summary>
internal static class CameraEndpoints
{
    public const string PagePath = "/cameras", ApiPath = "/api/cameras";

    private const int RefreshSeconds = 5;

    public static void Map(IEndpointRouteBuilder app, ServerParts parts)
    {
        RouteGroupBuilder group = app.MapGroup("").WithTags("cameras");
        group.MapGet(ApiPath, () => TypedResults.Ok(new CameraList([.. Wall(parts).Cameras.Select(CameraAnswer.Of)])))
            .WithSummary("The cameras at this moment, each with its latest answer").Refuses(StatusCodes.Status404NotFound);
        group.MapGet(ApiPath + "/{number:int}/picture.png", (int number) => Results.Bytes(PictureOf(Wall(parts), number), "image/png"))
            .WithSummary("The latest picture of a camera, by its number in the list from 0").Produces<byte[]>(StatusCodes.Status200OK, "image/png")
            .Refuses(StatusCodes.Status404NotFound);
        group.MapGet(ApiPath + "/events", () => TypedResults.Ok(new EventList([.. Wall(parts).Events.Select(EventAnswer.Of)])))
            .WithSummary("The latest events, newest first").Refuses(StatusCodes.Status404NotFound);
        group.MapGet(ApiPath + "/events/{id}/clips/{number:int}", (string id, int number) =>
                Saved(Wall(parts), EventOf(Wall(parts), id).Clips.ElementAtOrDefault(number)))
            .WithSummary("A clip of an event, by its number from 0").Produces<byte[]>(StatusCodes.Status200OK, "video/mp4")
            .Refuses(StatusCodes.Status404NotFound);
        group.MapGet(ApiPath + "/events/{id}/picture.png", (string id) => Saved(Wall(parts), EventOf(Wall(parts), id).Snapshot))
            .WithSummary("The picture of an event").Produces<byte[]>(StatusCodes.Status200OK, "image/png").Refuses(StatusCodes.Status404NotFound);
        app.MapGet(PagePath, () => parts.Frames.Cameras.Show(CameraView.Render(Wall(parts)), RefreshSeconds))
            .DescribePage("The cameras at this moment").Refuses(StatusCodes.Status404NotFound);
    }

    public static string PictureUrl(int number, DateTimeOffset at) => $"{ApiPath}/{number}/picture.png?at={at.ToUnixTimeMilliseconds()}";

    public static string ClipUrl(string id, int number) => $"{ApiPath}/events/{id}/clips/{number}";

    public static string SnapshotUrl(string id) => $"{ApiPath}/events/{id}/picture.png";

    private static CameraWall Wall(ServerParts parts) => parts.Cameras
        ?? throw new ApiException(StatusCodes.Status404NotFound, "no_cameras", "The server was started without cameras.");

    private static byte[] PictureOf(CameraWall wall, int number) =>
        wall.Cameras.ElementAtOrDefault(number) is { } camera && wall.PictureOf(camera.Name) is { } picture
            ? picture
            : throw new ApiException(StatusCodes.Status404NotFound, "no_picture", "There is no picture of such a camera.");

    private static EventNews EventOf(CameraWall wall, string id) => wall.Events.FirstOrDefault(one => one.Id == id)
        ?? throw new ApiException(StatusCodes.Status404NotFound, "unknown_id", "There is no such event; the list has the latest only.");

    private static PhysicalFileHttpResult Saved(CameraWall wall, string? file) => file is not null && wall.FileOf(file) is { } path
        ? TypedResults.PhysicalFile(path, Path.GetExtension(path) switch
        {
            ".mp4" => "video/mp4",
            ".mkv" => "video/x-matroska",
            _ => "image/png",
        }, enableRangeProcessing: true)
        : throw new ApiException(StatusCodes.Status404NotFound, "not_saved", "That is not saved, not saved yet, or deleted again.");
}

/// <summary>What <c>GET /api/cameras</c> answers.</summary>
internal sealed record CameraList(IReadOnlyList<CameraAnswer> Cameras);

/// <summary>A camera at this moment.</summary>
/// <param name="Address">Without credentials.</param>
/// <param name="State"><c>connecting</c>, <c>live</c>, <c>waiting</c> or <c>ended</c>.</param>
/// <param name="Label">Of the latest answer; null before there is one.</param>
/// <param name="Score">p(violent), or the probability of the label; null before there is one.</param>
/// <param name="Latency">Seconds from the latest window's last frame to its answer.</param>
/// <param name="Drift">Sentences that say in what the camera has left what the model fits.</param>
internal sealed record CameraAnswer(string Name, string Address, CameraState State, string? Reason, DateTimeOffset Since, int Width, int Height,
    double FrameRate, long Frames, long LeftOut, long PassedOver, long Windows, long Skipped, int Connections, string? Label, double? Score,
    double? Latency, DateTimeOffset? AnswerEnd, IReadOnlyList<string> Drift)
{
    public static CameraAnswer Of(CameraStatus camera) => new(camera.Name, camera.Address, camera.State, camera.Reason, camera.Since,
        camera.Width, camera.Height, camera.FrameRate, camera.Frames, camera.LeftOut, camera.PassedOver, camera.Windows, camera.Skipped,
        camera.Connections, camera.Answer?.Label, camera.Answer?.Score, camera.Answer?.Latency, camera.Answer?.End,
        [.. camera.Drift.Select(one => one.Sentence)]);
}

/// <summary>What <c>GET /api/cameras/events</c> answers.</summary>
internal sealed record EventList(IReadOnlyList<EventAnswer> Events);

/// <summary>An event.</summary>
/// <param name="End">Null while it goes on.</param>
/// <param name="Clips">Addresses on this server; one that is not saved yet answers 404.</param>
internal sealed record EventAnswer(string Id, string Camera, string Label, DateTimeOffset Start, DateTimeOffset? End, double Peak,
    DateTimeOffset PeakTime, IReadOnlyList<string> Clips, string? Snapshot)
{
    public static EventAnswer Of(EventNews one) => new(one.Id, one.Camera, one.Label, one.Start, (one as EventEnded)?.End, one.Peak,
        one.PeakTime, [.. one.Clips.Select((_, i) => CameraEndpoints.ClipUrl(one.Id, i))],
        one.Snapshot is null ? null : CameraEndpoints.SnapshotUrl(one.Id));
}
