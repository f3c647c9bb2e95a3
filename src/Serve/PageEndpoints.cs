using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace CudaTrainer.Serve;

/// <summary>The page that takes videos, and the same in plain HTML for browsers without scripts.</summary>
internal static class PageEndpoints
{
    public const string ListPath = "/videos";

    private const int RefreshSeconds = 2;

    public static void Map(IEndpointRouteBuilder app, ServerParts parts)
    {
        app.MapGet("/", async (HttpContext context) =>
        {
            await Access.RememberBrowser(context);
            return parts.Frames.Upload.Show();
        }).DescribePage("Takes videos and shows their answers");
        app.MapGet(ListPath,
                (HttpContext context) => parts.Frames.Plain.Show(VideoPages.List(VideoEndpoints.ListOf(context, parts).Videos)))
            .DescribePage("The videos of this browser");
        app.MapPost(ListPath, async (HttpContext context) =>
        {
            await Access.RememberBrowser(context);
            return Results.Redirect(AddressOf(await VideoEndpoints.Take(context, parts)));
        }).RequireRateLimiting(Access.UploadLimit).DescribeForm("Takes a video", new("video", IsFile: true))
            .Refuses(StatusCodes.Status400BadRequest, StatusCodes.Status413PayloadTooLarge, StatusCodes.Status429TooManyRequests,
                StatusCodes.Status503ServiceUnavailable, StatusCodes.Status507InsufficientStorage);
        app.MapGet(ListPath + "/{id}", (string id) =>
        {
            VideoStatus video = VideoEndpoints.StatusOf(parts, id);
            return parts.Frames.Plain.Show(VideoPages.Show(video), video.State is JobState.Queued or JobState.Running ? RefreshSeconds : 0);
        }).DescribePage("How far a video is, and its answer").Refuses(StatusCodes.Status404NotFound);
        app.MapPost(ListPath + "/{id}/delete", (string id) =>
        {
            VideoEndpoints.Remove(parts, id);
            return Results.Redirect(ListPath);
        }).DescribeForm("Forgets a video and its answer", new()).Refuses(StatusCodes.Status404NotFound);
    }

    public static string AddressOf(string id) => $"{ListPath}/{id}";
}
