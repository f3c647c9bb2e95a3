using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace CudaTrainer.Serve;

/// <summary>The calls about videos.</summary>
internal static class VideoEndpoints
{
    private const string Root = "/api/videos";

    public static void Map(IEndpointRouteBuilder app, ServerParts parts)
    {
        RouteGroupBuilder videos = app.MapGroup("").WithTags("videos");
        videos.MapPost(Root, async Task<Accepted<VideoStatus>> (HttpContext context, string? name) =>
            {
                string id = await Take(context, parts);
                return TypedResults.Accepted($"{Root}/{id}", StatusOf(parts, id));
            })
            .RequireRateLimiting(Access.UploadLimit)
            .WithSummary("Takes a video: a form with one file, or the video itself, called by name")
            .WithMetadata(new ApiDescription.Body("video", IsFile: true, TakesBytes: true))
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status408RequestTimeout, StatusCodes.Status413PayloadTooLarge,
                StatusCodes.Status429TooManyRequests, StatusCodes.Status503ServiceUnavailable, StatusCodes.Status507InsufficientStorage);
        videos.MapGet(Root, (HttpContext context) => TypedResults.Ok(ListOf(context, parts)))
            .WithSummary("The videos of whoever asks: those sent with the same cookie, or with the same token");
        videos.MapGet(Root + "/{id}", (string id) => TypedResults.Ok(StatusOf(parts, id)))
            .WithSummary("How far a video is, and its answer").Refuses(StatusCodes.Status404NotFound);
        videos.MapGet(Root + "/{id}/frames/{number:int}.png", (string id, int number) => Results.Bytes(PictureOf(parts, id, number), "image/png"))
            .WithSummary("A key frame of an answer").Produces<Stream>(StatusCodes.Status200OK, "image/png")
            .Refuses(StatusCodes.Status404NotFound);
        videos.MapDelete(Root + "/{id}", (string id) =>
            {
                Remove(parts, id);
                return TypedResults.NoContent();
            })
            .WithSummary("Forgets a video and its answer, or stops the work on it").Refuses(StatusCodes.Status404NotFound);
    }

    public static string FrameUrl(string id, int number) =>
        string.Create(CultureInfo.InvariantCulture, $"{Root}/{id}/frames/{number}.png");

    /// <summary>Takes the video that a request brings, in its turn.</summary>
    /// <returns>Its id.</returns>
    /// <exception cref="ApiException">It is not taken.</exception>
    public static async Task<string> Take(HttpContext context, ServerParts parts)
    {
        string result = "broken_off";
        string id = VideoJob.NewId(), file = parts.Folder.FileFor(id);
        bool isQueued = false, hasPlace = false;
        try
        {
            hasPlace = parts.Queue.TryReserve(out int retryAfter);
            if (!hasPlace)
            {
                throw new ApiException(StatusCodes.Status503ServiceUnavailable, "busy",
                    $"The queue is full; try again in about {retryAfter} s.")
                { RetryAfter = retryAfter };
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, parts.Stop);
            (string name, long bytes) = await parts.Uploads.Read(context.Request, file, either.Token);
            parts.Queue.Add(new VideoJob(id, file)
            {
                Name = name,
                Bytes = bytes,
                Owner = Access.OwnerOf(context),
                Uploaded = parts.Time.GetUtcNow(),
            });
            isQueued = true;
            result = "accepted";
            return id;
        }
        catch (ApiException refusal)
        {
            result = refusal.Error.Code;
            throw;
        }
        finally
        {
            parts.Metrics.CountUpload(result);
            if (hasPlace && !isQueued)
            {
                parts.Queue.Abandon();
                UploadFolder.Delete(file);
            }
        }
    }

    public static VideoList ListOf(HttpContext context, ServerParts parts) =>
        new(Access.OwnerOf(context) is { } owner ? parts.Queue.ListOf(owner) : []);

    /// <exception cref="ApiException">There is no such video.</exception>
    public static VideoStatus StatusOf(ServerParts parts, string id) => parts.Queue.StatusOf(id) ?? throw Unknown();

    /// <exception cref="ApiException">There is no such video.</exception>
    public static void Remove(ServerParts parts, string id)
    {
        if (!parts.Queue.TryRemove(id, out VideoJob? job, out bool isIdle))
        {
            throw Unknown();
        }

        if (isIdle)
        {
            UploadFolder.Delete(job.File);
        }
    }

    private static byte[] PictureOf(ServerParts parts, string id, int number)
    {
        IReadOnlyList<byte[]> pictures = StatusOf(parts, id).Result?.Pictures ?? [];
        return number >= 0 && number < pictures.Count
            ? pictures[number]
            : throw new ApiException(StatusCodes.Status404NotFound, "no_frame",
                $"There is no such frame; there are {pictures.Count}, numbered from 0.");
    }

    private static ApiException Unknown() =>
        new(StatusCodes.Status404NotFound, "unknown_id", "There is no such video; results are kept for a while only.");
}
