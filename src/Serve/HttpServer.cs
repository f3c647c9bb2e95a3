using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace CudaTrainer.Serve;

/// <summary>Kestrel, routing and access, out of <see cref="ServerParts"/> alone: no configuration files, no environment.</summary>
internal sealed class HttpServer : IDisposable
{
    private const int MostConnections = 64;

    private const int LargestHead = 512 << 10, MostHeaders = 10_000;

    /// <summary>Bytes a second below which an upload is given up.</summary>
    private const double SlowestUpload = 1024;

    private static readonly TimeSpan UploadGrace = TimeSpan.FromSeconds(15), StopGrace = TimeSpan.FromSeconds(2);

    private readonly WebApplication _app;

    public HttpServer(ServerParts parts)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(
            new WebApplicationOptions { ApplicationName = nameof(CudaTrainer), ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => Limit(options, parts.Address, parts.Options.Port));
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddRoutingCore();
        builder.Services.ConfigureHttpJsonOptions(options => Describe(options.SerializerOptions));
        ApiDescription.Add(builder.Services, parts);
        Access.Add(builder.Services, parts);
        _app = builder.Build();
        Refusals refusals = new(new RequestGuard(parts.Address), parts.Frames.Plain, parts.Stop);
        _app.Use(refusals.Around);
        _app.UseRouting();
        _app.UseAuthentication();
        _app.UseRateLimiter();
        _app.UseAuthorization();
        ServiceEndpoints.Map(_app, parts);
        AccessEndpoints.Map(_app, parts);
        VideoEndpoints.Map(_app, parts);
        PageEndpoints.Map(_app, parts);
        CameraEndpoints.Map(_app, parts);
        RunEndpoints.Map(_app, parts);
    }

    /// <summary>What is mapped, for tests.</summary>
    public IServiceProvider Services => _app.Services;

    /// <returns>The address as browsers take it.</returns>
    /// <exception cref="IOException">The port is taken, or may not be used.</exception>
    public string Start()
    {
        _app.StartAsync().GetAwaiter().GetResult();
        return _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
    }

    /// <summary>Lets answers that are under way finish, but not for long.</summary>
    public void Dispose()
    {
        using CancellationTokenSource limit = new(StopGrace);
        _app.StopAsync(limit.Token).GetAwaiter().GetResult();
        _app.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private static void Limit(KestrelServerOptions options, IPAddress address, int port)
    {
        options.AddServerHeader = false;

        // UploadReader has the limit: what is too large is refused by an answer, which a connection that was cut off here would lose.
        options.Limits.MaxRequestBodySize = null;
        options.Limits.MaxConcurrentConnections = MostConnections;
        options.Limits.MinRequestBodyDataRate = new MinDataRate(SlowestUpload, UploadGrace);

        // RequestGuard has smaller ones: what is refused here is refused in the middle, and the sender may lose the answer.
        options.Limits.MaxRequestLineSize = LargestHead;
        options.Limits.MaxRequestHeadersTotalSize = LargestHead;
        options.Limits.MaxRequestHeaderCount = MostHeaders;
        options.Listen(address, port, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(RefusalWriter.Wrap);
        });
    }

    private static void Describe(JsonSerializerOptions json)
    {
        json.WriteIndented = true;
        json.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        json.NumberHandling = JsonNumberHandling.Strict;
        json.Encoder = JavaScriptEncoder.Default;
        json.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower));
    }

    /// <summary>Signals are the program's affair, which stops this server in its order.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
