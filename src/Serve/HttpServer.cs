using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace CudaTrainer.Serve;

/// <summary>Kestrel by itself: no host, no configuration out of files or the environment.</summary>
internal sealed class HttpServer : IDisposable
{
    private const int MostConnections = 64;

    private const int LargestHead = 512 << 10, MostHeaders = 10_000;

    /// <summary>Bytes a second below which an upload is given up.</summary>
    private const double SlowestUpload = 1024;

    private static readonly TimeSpan UploadGrace = TimeSpan.FromSeconds(15), StopGrace = TimeSpan.FromSeconds(2);

    private readonly KestrelServer _server;

    public HttpServer(IPAddress address, int port)
    {
        KestrelServerOptions options = new() { AddServerHeader = false };

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
        _server = new KestrelServer(Options.Create(options),
            new SocketTransportFactory(Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance),
            NullLoggerFactory.Instance);
    }

    /// <returns>The address as browsers take it.</returns>
    /// <exception cref="IOException">The port is taken, or may not be used.</exception>
    public string Start(Func<HttpContext, Task> answer)
    {
        _server.StartAsync(new Application(answer), CancellationToken.None).GetAwaiter().GetResult();
        return _server.Features.Get<IServerAddressesFeature>()!.Addresses.Single();
    }

    /// <summary>Lets answers that are under way finish, but not for long.</summary>
    public void Dispose()
    {
        using CancellationTokenSource limit = new(StopGrace);
        _server.StopAsync(limit.Token).GetAwaiter().GetResult();
        _server.Dispose();
    }

    private sealed class Application(Func<HttpContext, Task> answer) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public Task ProcessRequestAsync(HttpContext context) => answer(context);

        public void DisposeContext(HttpContext context, Exception? exception)
        {
        }
    }
}
