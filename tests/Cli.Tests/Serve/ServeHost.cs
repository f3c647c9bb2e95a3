using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using CudaTrainer.Serve;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Pictures;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>The server without a model: what it is asked goes over the network, and the test says what videos come to.</summary>
internal sealed class ServeHost : IDisposable
{
    public const string Token = "a-token-of-twenty-letters", OtherToken = "another-token-of-letters";

    private readonly TemporaryFolder _folder = new();
    private readonly UploadFolder _uploads = UploadFolder.Create();
    private readonly HttpServer _server;
    private readonly ServeMetrics _metrics;
    private readonly AccessTokens? _tokens;
    private readonly CancellationTokenSource _stop = new();

    /// <param name="hasTokens">Whether who asks needs <see cref="Token"/> or <see cref="OtherToken"/>.</param>
    /// <param name="run">Folder of a training run.</param>
    public ServeHost(ServeOptions? options = null, bool hasTokens = false, string? run = null)
    {
        options ??= new ServeOptions();
        options = options with { Port = 0 };
        if (hasTokens)
        {
            string file = _folder.File("tokens");
            File.WriteAllText(file, $"# For tests.\n{Token}\n\n  {OtherToken}\n");
            _tokens = AccessTokens.Load(file);
        }

        Queue = new VideoQueue(options.Queue, TimeSpan.FromMinutes(options.Keep), TimeProvider.System);
        _metrics = new ServeMetrics(Queue);
        _server = new HttpServer(new ServerParts
        {
            Options = options,
            Address = IPAddress.Loopback,
            Version = "1.2.3",
            Queue = Queue,
            Folder = _uploads,
            Uploads = new UploadReader(options.MaxUploadBytes, _uploads),
            Metrics = _metrics,
            Tokens = _tokens,
            Run = run is null ? null : new RunWatch(run, TimeProvider.System),
            Health = () => new Health(
                "ok", "1.2.3", "cpu", false, null, new ModelFacts("linear", "run", 1, 20, true, "motion"), 0.5, 2, 1,
                new Limits(options.MaxUploadBytes, options.Timeout, options.Queue, options.Keep), Queue.Facts),
            Stop = _stop.Token,
        });
        Url = new Uri(_server.Start());
    }

    public Uri Url { get; }

    public VideoQueue Queue { get; }

    public IServiceProvider Services => _server.Services;

    public ServeMetrics Metrics => _metrics;

    /// <param name="token">Sent with every request; null for none.</param>
    public HttpClient Client(string? token = null)
    {
        HttpClient client = new(new HttpClientHandler { AllowAutoRedirect = false })
        {
            BaseAddress = Url,
            Timeout = ServerProcess.Patience,
        };
        client.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    /// <summary>The next video of the queue has an answer: four windows, an event and two key frames.</summary>
    public VideoResult Answer(bool isViolence = true)
    {
        VideoJob job = Queue.Take(CancellationToken.None);
        Dictionary<string, double>? classes = isViolence ? null : new() { ["walk"] = 0.25, ["run"] = 0.75 };
        double? violent = isViolence ? 0.9 : null;
        VideoResult result = new(
            violent, isViolence ? "violent" : "run", isViolence ? 0.5 : null, isViolence ? 0.5 : null, "ok", null,
            [.. Enumerable.Range(0, 4).Select(i => new WindowAnswer(
                i, i + 2, isViolence ? 0.2 * (i + 1) : null, 0.2 * (i + 1), [0.25, 0.75], isViolence ? null : "run", classes))],
            [new ViolenceEvent(2, 5, 0.8, 4) { Label = isViolence ? null : "run" }],
            [.. Enumerable.Range(0, 2).Select(i =>
                new FrameAnswer(i, 3 + i, 2 + i, violent, 0.75, 2, 2, VideoEndpoints.FrameUrl(job.Id, i)))],
            new VideoFacts(2, 2, 25, 125, 5, "mpeg4", "avi"), 1.5)
        {
            Probabilities = classes,
            Pictures = [Picture(), Picture()],
        };
        UploadFolder.Delete(job.File);
        Queue.Finish(job, result, null);
        _metrics.CountVideo("done", 1.5, result.Video.Frames);
        return result;
    }

    public static HttpRequestMessage Upload(string name = "clip.mp4") =>
        new(HttpMethod.Post, $"/api/videos?name={Uri.EscapeDataString(name)}") { Content = new ByteArrayContent([1, 2, 3]) };

    public static string Text(HttpResponseMessage response) => response.Content.ReadAsStringAsync().Result;

    public static JsonElement Json(HttpResponseMessage response) => JsonDocument.Parse(Text(response)).RootElement.Clone();

    /// <summary>Status and code of a refusal.</summary>
    public static (HttpStatusCode Status, string? Code) Refusal(HttpResponseMessage response)
    {
        JsonElement error = Json(response).GetProperty("error");
        error.GetProperty("message").GetString()!.ShouldNotBeEmpty();
        return (response.StatusCode, error.GetProperty("code").GetString());
    }

    public void Stop() => _stop.Cancel();

    public void Dispose()
    {
        _server.Dispose();
        _metrics.Dispose();
        _tokens?.Dispose();
        _uploads.Dispose();
        _folder.Dispose();
    }

    private static byte[] Picture() => Png.Encode([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9], 2, 2);
}

internal static class ServeHostClients
{
    public static HttpResponseMessage Ask(this HttpClient client, string path, HttpMethod? method = null) =>
        client.Send(new HttpRequestMessage(method ?? HttpMethod.Get, path));
}
