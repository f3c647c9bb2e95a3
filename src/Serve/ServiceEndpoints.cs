using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace CudaTrainer.Serve;

/// <summary>What a service is run by: whether it is well, what it counts, what can be asked of it.</summary>
internal static class ServiceEndpoints
{
    private const string MetricsType = "text/plain; version=0.0.4; charset=utf-8";

    public static void Map(IEndpointRouteBuilder app, ServerParts parts)
    {
        RouteGroupBuilder group = app.MapGroup("").WithTags("service");
        group.MapGet("/api/health", () => TypedResults.Ok(parts.Health()))
            .WithSummary("What answers: version, device, model, limits, queue");
        group.MapGet("/healthz/live", () => TypedResults.Ok(new Probe("ok"))).AllowAnonymous()
            .WithSummary("Whether the server answers at all");
        group.MapGet("/healthz/ready", Ok<Probe> () => parts.Stop.IsCancellationRequested
                ? throw new ApiException(StatusCodes.Status503ServiceUnavailable, "stopping", "The server is stopping.")
                : TypedResults.Ok(new Probe("ok"))).AllowAnonymous()
            .WithSummary("Whether the server takes videos").Refuses(StatusCodes.Status503ServiceUnavailable);
        RouteHandlerBuilder metrics = group.MapGet("/metrics", async (CancellationToken stop) =>
                Results.Bytes(await parts.Metrics.Export(stop), MetricsType))
            .WithSummary("Counters in Prometheus's text format").Produces<string>(StatusCodes.Status200OK, "text/plain");
        if (parts.Options.OpenMetrics)
        {
            metrics.AllowAnonymous();
        }

        app.MapOpenApi(ApiDescription.Path);
    }
}
