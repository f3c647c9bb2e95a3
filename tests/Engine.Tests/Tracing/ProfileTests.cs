using System.Text.Json;
using CudaTrainer.Engine.Tests.Cuda;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Tracing;

/// <summary>What <c>--profile</c> records of a run, on the processor, on several devices and on CUDA.</summary>
[Collection(CudaCollection.Name)]
public sealed class ProfileTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    public static TheoryData<string> Devices => ["cpu", "cpu:2", "cuda:0", "cuda:0,1"];

    public void Dispose() => _fixture.Dispose();

    [Theory]
    [MemberData(nameof(Devices))]
    public void Every_layer_of_the_steps_asked_for_and_of_no_other_is_there(string device)
    {
        TrainingResult result = Run("run", device, "4,8");

        Span[] spans = Read(result.Profile!.File!);
        int replicas = device is "cpu" or "cuda:0" ? 1 : 2;
        spans.Where(span => span.Name.StartsWith("step ", StringComparison.Ordinal)).Select(span => span.Name)
            .ShouldBe(["step 4", "step 5", "step 6", "step 7", "step 8"]);
        foreach (string layer in (string[])["lstm_1", "lstm_1 backward", "attention", "attention backward", "dense_1", "output backward",
            "loss", "optimiser"])
        {
            spans.Count(span => span.Name == layer).ShouldBe(5 * replicas, layer);
        }

        spans.Any(span => span.Name == "all-reduce").ShouldBe(replicas > 1);
        spans.Any(span => span.Name == "waiting for the copy").ShouldBe(device.StartsWith("cuda", StringComparison.Ordinal));
        spans.Count(span => span.Name == "waiting for data").ShouldBe(5);
        spans.Any(span => span.Name == "assembling batches").ShouldBeTrue();
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Layers_follow_each_other_within_their_step(string device)
    {
        Span[] spans = Read(Run("run", device, "4,8").Profile!.File!);
        Span[] steps = [.. spans.Where(span => span.Name.StartsWith("step ", StringComparison.Ordinal))];

        // Times are rounded to a nanosecond; those of a simulated GPU's events are milliseconds in single precision.
        double slack = device.StartsWith("cuda", StringComparison.Ordinal) ? 50 : 0.01;
        foreach (IGrouping<int, Span> track
            in spans.Where(span => span.Kind is "compute" or "update" or "exchange" or "copy").GroupBy(span => span.Track))
        {
            Span[] laps = [.. track.OrderBy(span => span.Begin)];
            foreach ((Span before, Span after) in laps.Zip(laps.Skip(1)))
            {
                after.Begin.ShouldBeGreaterThanOrEqualTo(before.End - slack, $"{after.Name} behind {before.Name}");
            }

            laps.ShouldAllBe(lap => steps.Any(step => lap.Begin >= step.Begin - slack && lap.End <= step.End + slack));
        }
    }

    [Theory]
    [InlineData("cpu")]
    [InlineData("cpu:2")]
    [InlineData("cuda:0")]
    public void Looking_changes_nothing(string device)
    {
        TrainingResult with = Run("with", device, "2,9");
        TrainingResult without = Run("without", device, null);

        without.Profile.ShouldBeNull();
        File.Exists(Path.Combine(without.CheckpointDir, "profile_trace.json")).ShouldBeFalse();
        foreach (string file in new[] { "best_model.safetensors", "last.ckpt" })
        {
            TrainingFixture.Payload(_fixture.File($"with/{file}"))
                .ShouldBe(TrainingFixture.Payload(_fixture.File($"without/{file}")), file);
        }
    }

    [Fact]
    public void The_table_adds_up_what_the_file_shows()
    {
        TrainingResult result = Run("run", "cpu:2", "4,8");
        Span[] spans = Read(result.Profile!.File!);
        double whole = spans.Where(span => span.Kind == "whole").Sum(span => span.Milliseconds);

        foreach (ProfileRow row in result.Profile.Rows.Where(row => row.Share is not null && row.Name != "everything else"))
        {
            // Of several replicas the first one speaks for all.
            Span[] own = [.. spans.Where(span => span.Name == row.Name).GroupBy(span => span.Track).OrderBy(track => track.Key).First()];
            row.Calls.ShouldBe(own.Length, row.Name);
            (row.Seconds * 1e3).ShouldBe(own.Sum(span => span.Milliseconds), 1e-3, row.Name);
            row.Share!.Value.ShouldBe(row.Seconds * 1e3 / whole, 1e-3, row.Name);
        }

        result.Profile.Rows.Where(row => row.Share is not null).Sum(row => row.Share!.Value).ShouldBe(1, 1e-6);
        result.Profile.Sentences.ShouldHaveSingleItem().ShouldStartWith("train: ");
    }

    [Fact]
    public void Steps_that_the_run_never_does_are_said_so()
    {
        RecordingObserver observer = new();
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Profile = "100,200" }, observer);

        result.Profile!.Rows.ShouldBeEmpty();
        observer.Messages.ShouldContain(message => message.Text.Contains("Profile 100,200"));
    }

    [Fact]
    public void A_resumed_run_counts_on()
    {
        TrainingFixture.RunUntil(_fixture.Options("run"), 5);
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Resume = "auto", Profile = "7" });

        Read(result.Profile!.File!).Where(span => span.Kind == "whole").Select(span => span.Name).ShouldBe(["step 7"]);
    }

    [Fact]
    public void Sums_go_on_when_the_file_is_full()
    {
        TraceRecorder trace = new();
        TraceTrack track = trace.Track("train", "thread");
        for (int i = 0; i < TraceRecorder.Capacity + 5; i++)
        {
            track.Add("lstm_1", SpanKind.Compute, 0, 10);
        }

        trace.Spans.Count.ShouldBe(TraceRecorder.Capacity);
        trace.Dropped.ShouldBe(5);
        trace.Sums.ShouldHaveSingleItem().Count.ShouldBe(TraceRecorder.Capacity + 5);
    }

    [Theory]
    [InlineData(SpanKind.Wait, "waiting for data is the bottleneck (60 % of the time)")]
    [InlineData(SpanKind.Update, "updating the parameters is the bottleneck (60 % of the time)")]
    [InlineData(SpanKind.Exchange, "adding up gradients is the bottleneck (60 % of the time)")]
    [InlineData(SpanKind.Copy, "copying is the bottleneck (60 % of the time)")]
    [InlineData(SpanKind.Compute, "the longest of it lstm_1 (80 %)")]
    public void The_bottleneck_is_named(SpanKind longest, string sentence)
    {
        TraceRecorder trace = new();
        TraceTrack track = trace.Track("train", "thread");
        track.Add("step 1", SpanKind.Whole, 0, 1000);
        track.Add("the culprit", longest == SpanKind.Compute ? SpanKind.Wait : longest, 0, longest == SpanKind.Compute ? 100 : 600);
        track.Add("lstm_1", SpanKind.Compute, 600, longest == SpanKind.Compute ? 1000 : 700);
        track.Add("lstm_1 backward", SpanKind.Compute, 600, longest == SpanKind.Compute ? 1000 : 700);

        ProfileSummary.Of(trace, null).Sentences.ShouldHaveSingleItem().ShouldContain(sentence);
    }

    [Theory]
    [InlineData("10,20", 10, 20)]
    [InlineData("7", 7, 7)]
    [InlineData("0,1", 0, 1)]
    public void A_range_of_steps_is_read(string text, long first, long last)
    {
        StepRange.TryParse(text, out StepRange range).ShouldBeTrue();

        range.ShouldBe(new StepRange(first, last));
        (range.Contains(first), range.Contains(last), range.Contains(first - 1), range.Contains(last + 1))
            .ShouldBe((true, true, false, false));
    }

    [Theory]
    [InlineData("")]
    [InlineData("5,4")]
    [InlineData("1,2,3")]
    [InlineData("-1,4")]
    [InlineData("a")]
    [InlineData("1, 2")]
    [InlineData("99999999999999999999")]
    public void What_is_no_range_is_refused(string text) => StepRange.TryParse(text, out _).ShouldBeFalse();

    private static Span[] Read(string path)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. json.RootElement.GetProperty("traceEvents").EnumerateArray().Where(item => item.GetProperty("ph").GetString() == "X")
            .Select(item => new Span(
            item.GetProperty("name").GetString()!, item.GetProperty("cat").GetString()!.Split(',')[1], item.GetProperty("tid").GetInt32(),
                item.GetProperty("ts").GetDouble(), item.GetProperty("dur").GetDouble()))];
    }

    private TrainingResult Run(string run, string device, string? profile)
    {
        if (device.StartsWith("cuda", StringComparison.Ordinal))
        {
            CudaSimulator.Require();
        }

        return TrainingFixture.Run(_fixture.Options(run) with { Device = device, Profile = profile });
    }

    private sealed record Span(string Name, string Kind, int Track, double Begin, double Microseconds)
    {
        public double End => Begin + Microseconds;

        public double Milliseconds => Microseconds / 1e3;
    }
}
