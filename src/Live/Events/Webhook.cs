using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>Where events are posted.</summary>
internal sealed class WebhookAddress
{
    public WebhookAddress(string text)
    {
        Uri whole = new(text);
        Shown = $"{whole.Scheme}://{whole.Authority}{(whole.PathAndQuery == "/" ? "/" : "/…")}";
        Target = new UriBuilder(whole) { UserName = null, Password = null, Fragment = null }.Uri;
        Login = whole.UserInfo.Length == 0 ? null : Uri.UnescapeDataString(whole.UserInfo);
    }

    /// <summary>The host alone: of many receivers the path is the secret.</summary>
    public string Shown { get; }

    public Uri Target { get; }

    /// <summary>User name and password, with a colon between; null for none.</summary>
    public string? Login { get; }

    /// <summary>What is wrong with an address; null if nothing is.</summary>
    public static string? Problem(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https" && address.Host.Length > 0
            ? null
            : "it is no address that begins with https:// or http:// and names a host";
}

/// <summary>
/// Posts events, signed with a secret that both sides know: HMAC-SHA256 over the time of the attempt, a full stop and the body. Follows no
/// redirection, keeps no cookies, and reads nothing of the answer but its status.
/// </summary>
/// <param name="secret">Null for no signature.</param>
/// <param name="limit">Of one attempt.</param>
internal sealed class Webhook(WebhookAddress address, string? secret, TimeSpan limit, TimeProvider time) : INoticeTarget
{
    public const string TimeHeader = "X-CudaTrainer-Timestamp", SignatureHeader = "X-CudaTrainer-Signature",
        DeliveryHeader = "X-CudaTrainer-Delivery";

    private readonly HttpClient _client = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = limit,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    {
        Timeout = limit,
    };

    public string Name => address.Shown;

    public async Task<NoticeFailure?> SendAsync(EventNews news, CancellationToken stop)
    {
        try
        {
            using HttpRequestMessage request = Request(news);
            using HttpResponseMessage answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
            return answer.IsSuccessStatusCode ? null
                : new NoticeFailure($"it answered {(int)answer.StatusCode}", IsFinal(answer.StatusCode));
        }
        catch (HttpRequestException exception)
        {
            return new NoticeFailure(CameraAddress.Redact(exception.InnerException?.Message ?? exception.Message), IsFinal: false);
        }
        catch (TaskCanceledException) when (!stop.IsCancellationRequested)
        {
            return new NoticeFailure(
                string.Create(CultureInfo.InvariantCulture, $"no answer within {limit.TotalSeconds:0.###} s"), IsFinal: false);
        }
    }

    public Task TendAsync(CancellationToken stop) => Task.CompletedTask;

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <returns><c>sha256=</c> and the HMAC in hexadecimal digits.</returns>
    internal static string Sign(string secret, string timestamp, byte[] body)
    {
        byte[] signed = [.. Encoding.ASCII.GetBytes(timestamp), (byte)'.', .. body];
        return $"sha256={Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed))}";
    }

    /// <summary>What another attempt would not change.</summary>
    private static bool IsFinal(HttpStatusCode status) =>
        (int)status < 500 && status is not (HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or (HttpStatusCode)425);

    private HttpRequestMessage Request(EventNews news)
    {
        byte[] body = EventJson.Bytes(news);
        HttpRequestMessage request = new(HttpMethod.Post, address.Target) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("cudatrainer", null));
        string timestamp = time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        request.Headers.Add(TimeHeader, timestamp);
        request.Headers.Add(DeliveryHeader, $"{news.Id}-{news.Event}");
        if (secret is not null)
        {
            request.Headers.Add(SignatureHeader, Sign(secret, timestamp, body));
        }

        if (address.Login is { } login)
        {
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(login)));
        }

        return request;
    }
}
