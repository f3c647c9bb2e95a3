using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text.RegularExpressions;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Watching;
using CudaTrainer.Serve;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>What Prometheus reads.</summary>
public sealed partial class ServeMetricsTests
{
    [Fact]
    public void Counters_say_what_happened()
    {
        using ServeHost host = new(new ServeOptions { Queue = 1 }, hasTokens: true);
        using HttpClient client = host.Client(ServeHost.Token);
        for (int i = 0; i < 4; i++)
        {
            client.Send(ServeHost.Upload()).Dispose();
        }

        client.Send(new HttpRequestMessage(HttpMethod.Get, "/api/videos/none")).Dispose();
        host.Client("wrong-token-of-letters").Ask("/api/health").Dispose();
        host.Answer();
        host.Metrics.CountVideo("timeout", 700, 0);

        IReadOnlyDictionary<string, double> found = Read(client);

        found["cudatrainer_serve_uploads_total{result=\"accepted\"}"].ShouldBe(2);
        found["cudatrainer_serve_uploads_total{result=\"busy\"}"].ShouldBe(2);
        found["cudatrainer_serve_videos_total{result=\"done\"}"].ShouldBe(1);
        found["cudatrainer_serve_videos_total{result=\"timeout\"}"].ShouldBe(1);
        found["cudatrainer_serve_frames_decoded_total"].ShouldBe(125);
        found["cudatrainer_serve_work_seconds_count"].ShouldBe(2);
        found["cudatrainer_serve_work_seconds_sum"].ShouldBe(701.5);
        found["cudatrainer_serve_work_seconds_bucket{le=\"2\"}"].ShouldBe(1);
        found["cudatrainer_serve_work_seconds_bucket{le=\"+Inf\"}"].ShouldBe(2);
        found["cudatrainer_serve_queue_waiting"].ShouldBe(1);
        found["cudatrainer_serve_queue_running"].ShouldBe(0);
        found["cudatrainer_serve_logins_total{result=\"wrong\"}"].ShouldBe(1);
        found["system_runtime_dotnet_process_memory_working_set"].ShouldBeGreaterThan(1e6);

        // Requests are counted for the process, in which other tests run servers too.
        found.Where(sample => RequestPattern().IsMatch(sample.Key) && sample.Key.Contains("http_route=\"/api/videos\"")
                && sample.Key.Contains("\"202\"")).ShouldHaveSingleItem().Value.ShouldBeGreaterThanOrEqualTo(2);

        // What a stranger could send never becomes a name or a label.
        string.Join('\n', found.Keys).ShouldNotContain("wrong-token");
        string.Join('\n', found.Keys).ShouldNotContain("clip.mp4");
    }

    [Fact]
    public void Meters_of_the_program_are_exported_wherever_they_are_declared_and_others_are_not()
    {
        using ServeHost host = new();
        using Meter ours = new("CudaTrainer.Somewhere"), theirs = new("Another.Program");
        ours.CreateCounter<long>("things_total", null, "Things").Add(3);
        Counter<long> late = ours.CreateCounter<long>("late_total");
        theirs.CreateCounter<long>("things_total").Add(3);
        late.Add(5, KeyValuePair.Create<string, object?>("camera", "door"));

        IReadOnlyDictionary<string, double> found = Read(host.Client());

        found["cudatrainer_somewhere_things_total"].ShouldBe(3);
        found["cudatrainer_somewhere_late_total{camera=\"door\"}"].ShouldBe(5);
        found.Keys.ShouldNotContain(name => name.Contains("another"));
    }

    [Fact]
    public void What_is_counted_is_declared_as_a_counter()
    {
        using ServeHost host = new(hasTokens: true);
        HttpClient client = host.Client(ServeHost.Token);
        client.Send(ServeHost.Upload()).Dispose();
        host.Answer();
        using LiveMetrics cameras = new(() => [], () => 1);
        cameras.Answered(new LiveAnswer(default, "hall", default, default, 0.5, null));
        using Meter meter = new("CudaTrainer.Declared");
        meter.CreateObservableCounter("seen_total", () => 7, null, "Seen");
        meter.CreateObservableGauge("level", () => 0.5, null, "Level");
        meter.CreateUpDownCounter<int>("open").Add(2);

        string[] lines = ServeHost.Text(client.Ask("/metrics")).Split('\n');
        Dictionary<string, string> types = lines.Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal))
            .Select(line => line.Split(' ')).ToDictionary(parts => parts[2], parts => parts[3]);

        types.Where(type => type.Key.EndsWith("_total", StringComparison.Ordinal)).ShouldAllBe(type => type.Value == "counter");
        types.ShouldContainKey("cudatrainer_serve_uploads_total");
        types.ShouldContainKey("cudatrainer_live_windows_total");
        types["system_runtime_dotnet_process_cpu_time"].ShouldBe("counter");
        types["cudatrainer_serve_queue_waiting"].ShouldBe("gauge");
        types["cudatrainer_serve_work_seconds"].ShouldBe("histogram");
        types["cudatrainer_live_latency_seconds"].ShouldBe("histogram");
        lines.ShouldContain("# HELP cudatrainer_live_windows_total Windows that were answered");
        lines.ShouldContain("cudatrainer_declared_seen_total 7");
        lines.ShouldContain("cudatrainer_declared_level 0.5");
        lines.ShouldContain("cudatrainer_declared_open 2");
        lines.ShouldNotContain(line => line.StartsWith("# HELP", StringComparison.Ordinal) && line.Contains('`'));
    }

    [Fact]
    public void The_documented_names_are_those_of_the_server()
    {
        string document = File.ReadAllText(Path.Combine(Repository.Root, "docs", "serve.md"));
        string[] documented = [.. NamePattern().Matches(document).Select(match => match.Value).Distinct()];
        using ServeHost host = new(hasTokens: true);
        host.Client(ServeHost.Token).Send(ServeHost.Upload()).Dispose();
        host.Answer();
        string[] exported = [.. Read(host.Client(ServeHost.Token)).Keys.Select(key => key.Split('{')[0])];

        documented.Length.ShouldBeGreaterThan(6);
        documented.Where(name => !exported.Any(sample => sample == name || sample == name + "_count")).ShouldBeEmpty();
        exported.Where(name => name.StartsWith("cudatrainer_serve", StringComparison.Ordinal))
            .Select(name => HistogramPattern().Replace(name, "")).Distinct().Except(documented).ShouldBeEmpty();
    }

    /// <summary>Every line is a comment or a sample of Prometheus's text format.</summary>
    private static Dictionary<string, double> Read(HttpClient client)
    {
        HttpResponseMessage answer = client.Ask("/metrics");
        answer.Content.Headers.ContentType!.ToString().ShouldBe("text/plain; version=0.0.4; charset=utf-8");
        Dictionary<string, double> samples = [];
        foreach (string line in ServeHost.Text(answer).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!CommentPattern().IsMatch(line))
            {
                Match sample = SamplePattern().Match(line);
                sample.Success.ShouldBeTrue(line);
                samples.Add(sample.Groups["name"].Value, double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture));
            }
        }

        return samples;
    }

    [GeneratedRegex("^# (HELP|TYPE) [a-z0-9_]+")]
    private static partial Regex CommentPattern();

    [GeneratedRegex("""^(?<name>[a-z_][a-z0-9_]*(\{([a-z_]+="[^"\\]*",?)+\})?) (?<value>-?[0-9.e+-]+|NaN|[+-]Inf)$""", RegexOptions.IgnoreCase)]
    private static partial Regex SamplePattern();

    [GeneratedRegex("^microsoft_aspnetcore_hosting_http_server_request_duration_count")]
    private static partial Regex RequestPattern();

    [GeneratedRegex("(cudatrainer_serve|microsoft_aspnetcore|system_runtime)_[a-z_]+")]
    private static partial Regex NamePattern();

    [GeneratedRegex("_(count|sum|bucket)$")]
    private static partial Regex HistogramPattern();
}
