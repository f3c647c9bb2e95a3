using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CudaTrainer.Training.Reporting;
using Microsoft.AspNetCore.Http;

namespace CudaTrainer.Serve;

/// <summary>Stands around everything that answers: checks where a request comes from, and says every refusal in one form.</summary>
/// <param name="frame">Of refusals to people, who get a page and no JSON.</param>
/// <param name="stop">Ends waiting for what is left of a refused upload.</param>
internal sealed class Refusals(RequestGuard guard, PageFrame frame, CancellationToken stop)
{
    private static readonly TimeSpan PassByTime = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan PassByPause = TimeSpan.FromSeconds(2);

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public async Task Around(HttpContext context, RequestDelegate next)
    {
        try
        {
            RequestGuard.AddHeaders(context.Response.Headers);
            guard.Check(context.Request);
            if (HttpMethods.IsHead(context.Request.Method))
            {
                // Kestrel knows what was asked for and sends no body.
                context.Request.Method = HttpMethods.Get;
            }

            await next(context);
            if (!context.Response.HasStarted && context.Response.ContentType is null && OfStatus(context) is { } refusal)
            {
                throw refusal;
            }
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

    /// <summary>What routing refuses by a status alone.</summary>
    private static ApiException? OfStatus(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => new(StatusCodes.Status404NotFound, "not_found", "There is nothing at this address."),
        StatusCodes.Status405MethodNotAllowed =>
            new(StatusCodes.Status405MethodNotAllowed, "wrong_method", $"Only {context.Response.Headers.Allow} can be used here."),
        var status and >= 400 => new(status, RefusalWriter.CodeOf(status), "The request was refused."),
        _ => null,
    };

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

        if (refusal.RetryAfter is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        context.Response.StatusCode = refusal.Status;
        await (WantsPage(context.Request)
            ? frame.Show(HtmlBuilder.Piece(
                $"<p class=\"note bad\" role=\"alert\">{refusal.Message}</p><p><a class=\"button\" href=\"/\">Back to the start</a></p>"))
                .ExecuteAsync(context)
            : SendJson(context, new Refusal(refusal.Error)));
        await PassBy(context);
    }

    /// <summary>Whether a person looks at the answer: calls of programs are below /api, or do not ask for HTML.</summary>
    public static bool WantsPage(HttpRequest request) =>
        !request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase)
            && request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase);

    private static async Task SendJson<TValue>(HttpContext context, TValue value)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(value, Json);
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
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
}
