using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CudaTrainer.Serve;

/// <summary>Turns away what other web pages make a browser send, and forbids the browser what this page does not need.</summary>
/// <param name="address">That the server listens on.</param>
internal sealed class RequestGuard(IPAddress address)
{
    private const int LongestTarget = 8 << 10, LargestHeaders = 32 << 10;

    /// <exception cref="ApiException">The request does not come from here, or its head is larger than any of this page's.</exception>
    public void Check(HttpRequest request)
    {
        if (request.HttpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.Length > LongestTarget)
        {
            throw new ApiException(StatusCodes.Status414UriTooLong, RefusalWriter.CodeOf(StatusCodes.Status414UriTooLong),
                $"The address is longer than {LongestTarget} characters.");
        }

        if (request.Headers.Sum(header => header.Key.Length + header.Value.Sum(value => value?.Length ?? 0)) > LargestHeaders)
        {
            throw new ApiException(StatusCodes.Status431RequestHeaderFieldsTooLarge,
                RefusalWriter.CodeOf(StatusCodes.Status431RequestHeaderFieldsTooLarge),
                $"The headers are larger than {LargestHeaders} characters.");
        }

        // One address for each thing; routing would pass the slash over.
        if (request.Path.Value is { Length: > 1 } path && path.EndsWith('/'))
        {
            throw new ApiException(StatusCodes.Status404NotFound, "not_found", "There is nothing at this address.");
        }

        // A name of somebody's that points to 127.0.0.1 makes a browser take this server for theirs (DNS rebinding): then the name shows
        // here.
        if (IPAddress.IsLoopback(address) && !IsLoopback(request.Host.Host))
        {
            throw new ApiException(StatusCodes.Status403Forbidden, "bad_host",
                "This server answers to localhost, 127.0.0.1 and [::1] only.");
        }

        // Another page may send a form here without being asked; its browser then names it.
        string origin = request.Headers.Origin.ToString();
        if (origin.Length > 0 && !(
            Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && uri.Scheme == request.Scheme && IsSame(uri, request)))
        {
            throw new ApiException(StatusCodes.Status403Forbidden, "bad_origin", "Requests from other web pages are refused.");
        }
    }

    /// <summary>Of every answer; pages allow themselves more.</summary>
    public static void AddHeaders(IHeaderDictionary headers)
    {
        headers.ContentSecurityPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers.CacheControl = "no-store";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
    }

    private static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host, out IPAddress? named) && IPAddress.IsLoopback(named));

    private static bool IsSame(Uri origin, HttpRequest request) =>
        Uri.TryCreate($"{request.Scheme}://{request.Host.Value}", UriKind.Absolute, out Uri? own)
            && origin.Authority.Equals(own.Authority, StringComparison.OrdinalIgnoreCase);
}
