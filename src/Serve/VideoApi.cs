using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace CudaTrainer.Serve;

/// <summary>Answers requests: the page, the calls behind it, and errors as JSON.</summary>
/// <param name="health">Of the moment.</param>
/// <param name="stop">Ends uploads.</param>
internal sealed class VideoApi(WebPage page, RequestGuard guard, VideoQueue queue, UploadFolder folder, UploadReader uploads,
    Func<Health> health, CancellationToken stop)
{
    private const string VideosPath = "/api/videos";

    private static readonly TimeSpan PassByTime = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan PassByPause = TimeSpan.FromSeconds(2);

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    public async Task Answer(HttpContext context)
    {
        try
        {
            guard.AddHeaders(context.Response.Headers);
            guard.Check(context.Request);
            await Route(context);
        }
        catch (ApiException exception)
        {
            await Refuse(context, exception);
        }
        catch (BadHttpRequestException exception)
        {
            await Refuse(context,
                new ApiException(exception.StatusCode,
                exception.StatusCode == StatusCodes.Status413PayloadTooLarge ? "too_large" : "bad_request", exception.Message));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody waits for the answer.
        }
        catch (OperationCanceledException)
        {
            await Refuse(context, new ApiException(StatusCodes.Status503ServiceUnavailable, "stopping", "The server is stopping."));
        }
        catch (IOException)
        {
            // The connection broke.
            context.Abort();
        }
        catch (Exception exception)
        {
            // One request must not end the server.
            await Refuse(context,
                new ApiException(StatusCodes.Status500InternalServerError, "internal", $"The server failed: {exception.GetType().Name}."));
        }
    }

    public static string FrameUrl(string id, int number) =>
        string.Create(CultureInfo.InvariantCulture, $"{VideosPath}/{id}/frames/{number}.png");

    private Task Route(HttpContext context)
    {
        string path = context.Request.Path.Value ?? string.Empty;
        switch (path)
        {
            case "/":
                RequireMethod(context, HttpMethods.Get);
                return Send(context, StatusCodes.Status200OK, "text/html; charset=utf-8", page.Html);
            case "/api/health":
                RequireMethod(context, HttpMethods.Get);
                return SendJson(context, StatusCodes.Status200OK, health());
            case VideosPath:
                RequireMethod(context, HttpMethods.Post);
                return Upload(context);
        }

        string[] parts = path.StartsWith(VideosPath + "/", StringComparison.Ordinal) ? path[(VideosPath.Length + 1)..].Split('/') : [];
        switch (parts)
        {
            case [var id]:
                RequireMethod(context, HttpMethods.Get, HttpMethods.Delete);
                return HttpMethods.IsDelete(context.Request.Method)
                    ? Delete(context, id)
                    : SendJson(context, StatusCodes.Status200OK, StatusOf(id));
            case [var id, "frames", var name]:
                RequireMethod(context, HttpMethods.Get);
                return Send(context, StatusCodes.Status200OK, "image/png", PictureOf(id, name));
            default:
                throw new ApiException(StatusCodes.Status404NotFound, "not_found", "There is nothing at this address.");
        }
    }

    private async Task Upload(HttpContext context)
    {
        if (!queue.TryReserve(out int retryAfter))
        {
            throw new ApiException(StatusCodes.Status503ServiceUnavailable, "busy",
                $"The queue is full; try again in about {retryAfter} s.")
            { RetryAfter = retryAfter };
        }

        string id = VideoJob.NewId(), file = folder.FileFor(id);
        bool isQueued = false;
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stop);
            (string name, long bytes) = await uploads.Read(context.Request, file, either.Token);
            queue.Add(new VideoJob(id, file) { Name = name, Bytes = bytes });
            isQueued = true;
        }
        finally
        {
            if (!isQueued)
            {
                queue.Abandon();
                UploadFolder.Delete(file);
            }
        }

        context.Response.Headers.Location = $"{VideosPath}/{id}";
        await SendJson(context, StatusCodes.Status202Accepted, StatusOf(id));
    }

    private Task Delete(HttpContext context, string id)
    {
        if (!queue.TryRemove(id, out VideoJob? job, out bool isIdle))
        {
            throw Unknown();
        }

        if (isIdle)
        {
            UploadFolder.Delete(job.File);
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private VideoStatus StatusOf(string id) => queue.StatusOf(id) ?? throw Unknown();

    private byte[] PictureOf(string id, string name)
    {
        IReadOnlyList<byte[]> pictures = StatusOf(id).Result?.Pictures ?? [];
        return name.EndsWith(".png", StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(0, name.Length - 4), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number < pictures.Count
            ? pictures[number]
            : throw new ApiException(StatusCodes.Status404NotFound, "no_frame",
                $"There is no such frame; there are {pictures.Count}, numbered from 0.");
    }

    private static ApiException Unknown() =>
        new(StatusCodes.Status404NotFound, "unknown_id", "There is no such video; results are kept for a while only.");

    /// <summary>GET stands for HEAD as well.</summary>
    private static void RequireMethod(HttpContext context, params string[] methods)
    {
        string method = HttpMethods.IsHead(context.Request.Method) ? HttpMethods.Get : context.Request.Method;
        if (!methods.Contains(method))
        {
            string allowed = string.Join(", ", methods);
            throw new ApiException(StatusCodes.Status405MethodNotAllowed, "wrong_method",
                $"Only {allowed} can be used here.")
            { Allow = allowed };
        }
    }

    private async Task Refuse(HttpContext context, ApiException refusal)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        if (HttpMethods.IsPost(context.Request.Method))
        {
            // What is left of a refused upload is not waited for, and nothing can follow it on its connection.
            context.Response.Headers.Connection = "close";
        }

        context.Response.Headers.RetryAfter = refusal.RetryAfter?.ToString(CultureInfo.InvariantCulture);
        context.Response.Headers.Allow = refusal.Allow;
        await SendJson(context, refusal.Status, new { refusal.Error });
        await PassBy(context);
    }

    /// <summary>
    /// Reads what is still coming of a refused upload, for a while: a connection that is closed while bytes arrive takes an answer that was
    /// not read yet along with it, and the sender would never learn why. A sender that waits for the answer before it sends is not waited
    /// for.
    /// </summary>
    private async Task PassBy(HttpContext context)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stop);
        byte[] piece = new byte[1 << 16];
        long began = Stopwatch.GetTimestamp();
        try
        {
            do
            {
                limited.CancelAfter(PassByPause);
            }
            while (await context.Request.Body.ReadAsync(piece, limited.Token) > 0 && Stopwatch.GetElapsedTime(began) < PassByTime);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // Nothing more comes, or the sender has gone: the answer is all there is to say.
        }
    }

    private static Task SendJson<TValue>(HttpContext context, int status, TValue value) =>
        Send(context, status, "application/json; charset=utf-8", JsonSerializer.SerializeToUtf8Bytes(value, Json));

    private static async Task Send(HttpContext context, int status, string type, byte[] body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        context.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
        }
    }
}
