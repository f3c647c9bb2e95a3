using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using CudaTrainer.Serve;
using Json.Schema;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>/api/openapi.json says what the server does: every route is in it, and real answers are as it says.</summary>
public sealed class ServeDescriptionTests
{
    [Fact]
    public void Every_route_is_described()
    {
        using ServeHost host = new(hasTokens: true);
        JsonObject paths = Described(host)["paths"]!.AsObject();
        string[] described = [.. paths.SelectMany(path => path.Value!.AsObject().Select(call => $"{call.Key.ToUpperInvariant()} {path.Key}"))];

        string[] routes = [.. host.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(route => route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods
                .Select(method => $"{method} {route.RoutePattern.RawText!.Replace(":int", "", StringComparison.Ordinal)}"))];

        routes.Length.ShouldBeGreaterThan(15);
        described.ShouldBe(routes.Except(["GET /api/openapi.json"]), ignoreOrder: true);
        foreach (JsonNode call in paths.SelectMany(path => path.Value!.AsObject().Select(call => call.Value!)))
        {
            ((string?)call["summary"]).ShouldNotBeNullOrEmpty();
            call["responses"]!.AsObject().Count.ShouldBeGreaterThan(1);
        }
    }

    [Fact]
    public void It_says_where_a_token_is_needed()
    {
        using ServeHost host = new(hasTokens: true);
        JsonObject paths = Described(host)["paths"]!.AsObject();

        foreach (string open in (string[])["/healthz/live", "/healthz/ready", "/login"])
        {
            paths[open]!.AsObject().ShouldAllBe(call => call.Value!["security"] == null, open);
        }

        foreach (string closed in (string[])["/api/health", "/api/videos", "/metrics"])
        {
            paths[closed]!.AsObject().ShouldAllBe(call => call.Value!["security"] != null, closed);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Answers_are_as_described(bool isViolence)
    {
        using TemporaryFolder folder = new();
        RunFolderWriter run = new(folder.Path);
        run.WriteConfig(epochs: 9);
        run.WriteHistory(epochs: 2);
        using ServeHost host = new(new ServeOptions { Queue = 1 }, run: folder.Path);
        using HttpClient client = host.Client();
        JsonObject description = Described(host);
        client.Ask("/").Dispose();
        string id = Post().GetProperty("id").GetString()!;
        Check("/api/videos/{id}", $"/api/videos/{id}");
        host.Answer(isViolence);
        client.Send(ServeHost.Upload());

        JsonElement done = Check("/api/videos/{id}", $"/api/videos/{id}").GetProperty("result");
        done.TryGetProperty("violent", out _).ShouldBe(isViolence);
        done.TryGetProperty("probabilities", out _).ShouldBe(!isViolence);
        Check("/api/videos", "/api/videos").GetProperty("videos").GetArrayLength().ShouldBe(2);
        Check("/api/health", "/api/health");
        Check("/healthz/live", "/healthz/live");
        Check("/healthz/ready", "/healthz/ready");
        Check("/api/run", "/api/run").GetProperty("history").GetArrayLength().ShouldBe(2);
        HttpResponseMessage picture = client.Ask($"/api/videos/{id}/frames/1.png");
        Content(picture, "get", "/api/videos/{id}/frames/{number}.png");

        // And refusals.
        Check("/api/videos/{id}", "/api/videos/none").GetProperty("error").GetProperty("code").GetString().ShouldBe("unknown_id");
        Check("/api/videos/{id}/frames/{number}.png", $"/api/videos/{id}/frames/9.png");
        client.Send(ServeHost.Upload());
        Post().GetProperty("error").GetProperty("code").GetString().ShouldBe("busy");
        HttpResponseMessage deleted = client.Ask($"/api/videos/{id}", HttpMethod.Delete);
        Responses("delete", "/api/videos/{id}").ContainsKey($"{(int)deleted.StatusCode}").ShouldBeTrue();

        JsonObject Responses(string method, string path) => description["paths"]![path]![method]!["responses"]!.AsObject();

        JsonObject Content(HttpResponseMessage answer, string method, string path)
        {
            JsonObject responses = Responses(method, path);
            responses.ContainsKey($"{(int)answer.StatusCode}").ShouldBeTrue($"{method} {path}: {answer.StatusCode}");
            return responses[$"{(int)answer.StatusCode}"]!["content"]![answer.Content.Headers.ContentType!.MediaType!]!.AsObject();
        }

        JsonElement Post()
        {
            HttpResponseMessage answer = client.Send(ServeHost.Upload());
            return Validated(answer, Content(answer, "post", "/api/videos"));
        }

        JsonElement Check(string path, string address)
        {
            HttpResponseMessage answer = client.Ask(address);
            return Validated(answer, Content(answer, "get", path));
        }

        JsonElement Validated(HttpResponseMessage answer, JsonObject content)
        {
            JsonElement json = ServeHost.Json(answer);
            EvaluationResults result = SchemaOf(content["schema"]!, description).Evaluate(json, new() { OutputFormat = OutputFormat.List });
            result.IsValid.ShouldBeTrue($"{json}\n{JsonSerializer.Serialize(result)}");
            return json;
        }
    }

    [Fact]
    public void A_schema_refuses_what_it_does_not_describe()
    {
        using ServeHost host = new();
        JsonObject description = Described(host);
        JsonSchema schema = SchemaOf(JsonNode.Parse("""{ "$ref": "#/components/schemas/Probe" }""")!, description);

        schema.Evaluate(JsonDocument.Parse("""{ "status": "ok" }""").RootElement).IsValid.ShouldBeTrue();
        schema.Evaluate(JsonDocument.Parse("""{ "status": "ok", "more": 1 }""").RootElement).IsValid.ShouldBeFalse();
        schema.Evaluate(JsonDocument.Parse("""{ "status": 1 }""").RootElement).IsValid.ShouldBeFalse();
        schema.Evaluate(JsonDocument.Parse("{}").RootElement).IsValid.ShouldBeFalse();
    }

    private static JsonObject Described(ServeHost host)
    {
        HttpResponseMessage answer = host.Client(ServeHost.Token).Ask("/api/openapi.json");
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        JsonObject description = JsonNode.Parse(ServeHost.Text(answer))!.AsObject();
        ((string?)description["openapi"])!.ShouldStartWith("3.1");
        return description;
    }

    /// <summary>A schema of the description by itself, to which nothing may be added.</summary>
    private static JsonSchema SchemaOf(JsonNode schema, JsonObject description)
    {
        JsonObject definitions = description["components"]!["schemas"]!.DeepClone().AsObject();
        foreach (JsonObject definition in definitions.Select(pair => pair.Value!.AsObject()))
        {
            if (definition.ContainsKey("properties"))
            {
                definition["additionalProperties"] = false;
            }
        }

        JsonObject whole = schema.DeepClone().AsObject();
        whole["$defs"] = definitions;
        return JsonSchema.FromText(whole.ToJsonString().Replace("#/components/schemas/", "#/$defs/", StringComparison.Ordinal));
    }
}
