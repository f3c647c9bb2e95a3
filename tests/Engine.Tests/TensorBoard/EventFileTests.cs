using System.Text;
using CudaTrainer.Formats.TensorBoard;

namespace CudaTrainer.Engine.Tests.TensorBoard;

/// <summary>The bytes of event files.</summary>
public sealed class EventFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SetClock _clock = new();

    [Fact]
    public void Checksums_are_those_of_the_check_value()
    {
        EventFileWriter.MaskedCrc("123456789"u8).ShouldBe(0xC78AB0E5);
        EventFileReader.Masked("123456789"u8).ShouldBe(0xC78AB0E5);
    }

    /// <summary>Computed by hand with a few lines of Python from TensorBoard's .proto files.</summary>
    [Fact]
    public void A_file_has_the_bytes_of_the_format()
    {
        using EventFileWriter writer = new(_folder.Path, _clock);
        _clock.Seconds++;
        writer.BeginSummary(3).Scalar("epoch_loss", 0.5);
        writer.EndSummary();
        writer.Flush();

        string file = Directory.GetFiles(_folder.Path).ShouldHaveSingleItem();
        Path.GetFileName(file).ShouldStartWith($"events.out.tfevents.1700000001.{Environment.MachineName}.{Environment.ProcessId}.");
        Convert.ToHexStringLower(File.ReadAllBytes(file)).ShouldBe(
            "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d"
            + "34000000000000005e33175c0900004040fc54d94110032a270a250a0a65706f63685f6c6f7373420a080112002a040000003f4a0b0a090a077363616c617273cb43ebb1");
    }

    /// <summary>Lengths of one, two, three and four bytes.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(16_383)]
    [InlineData(16_384)]
    [InlineData(3_000_000)]
    public void Text_of_any_length_comes_back(int length)
    {
        string text = string.Concat(Enumerable.Range(0, length).Select(i => (char)('a' + (i % 26))));
        using EventFileWriter writer = new(_folder.Path, _clock);
        writer.BeginSummary(long.MaxValue).Markdown("ä", text);
        writer.EndSummary();
        writer.Flush();

        BoardValue value = EventFileReader.ReadRun(_folder.Path).ShouldHaveSingleItem().Values.ShouldHaveSingleItem();
        (value.Step, value.Tag, value.Kind).ShouldBe((long.MaxValue, "ä", "text"));
        Encoding.UTF8.GetString(value.Strings.ShouldHaveSingleItem()).ShouldBe(text);
    }

    [Fact]
    public void Nothing_is_written_before_it_is_flushed()
    {
        using (EventFileWriter writer = new(_folder.File("run"), _clock))
        {
            writer.BeginSummary(1).Scalar("a", 1);
            writer.EndSummary();
            Directory.Exists(_folder.File("run")).ShouldBeFalse();
            writer.Flush();
            writer.BeginSummary(2).Scalar("a", 2);
            writer.EndSummary();
        }

        EventFileReader.ReadRun(_folder.File("run")).ShouldHaveSingleItem().Values.ShouldHaveSingleItem().Step.ShouldBe(1);
    }

    /// <summary>TensorBoard reads the files of a run in the order of their names.</summary>
    [Fact]
    public void Later_files_have_later_names_whatever_the_clock_says()
    {
        for (int i = 0; i < 12; i++)
        {
            using EventFileWriter writer = new(_folder.Path, _clock);
            writer.SessionStart(i);
            writer.Flush();
            _clock.Seconds -= i % 3;
        }

        EventFileReader.ReadRun(_folder.Path).SelectMany(file => file.Starts).ShouldBe(Enumerable.Range(0, 12).Select(i => (long)i));
    }

    [Fact]
    public void Histograms_count_every_finite_value_between_its_edges()
    {
        Random random = new(1);
        float[] values = [.. Enumerable.Range(0, 10_000).Select(_ => (random.NextSingle() * 3) - 1), float.NaN, float.PositiveInfinity,
            float.NegativeInfinity];
        double[] buckets = new double[HistogramBuckets.Count * HistogramBuckets.Columns];

        HistogramBuckets.Fill(values, buckets);

        double[][] rows = [.. buckets.Chunk(3)];
        rows.Length.ShouldBe(30);
        rows[0][0].ShouldBe(values.Where(float.IsFinite).Min());
        rows[^1][1].ShouldBe(values.Where(float.IsFinite).Max());
        for (int i = 0; i < rows.Length; i++)
        {
            (double from, double to) = (rows[i][0], rows[i][1]);
            rows[i][2].ShouldBe(values.Count(value => value >= from && (value < to || (i == 29 && value == to))), 1.0,
                $"bucket {i}: rounding may move a value on an edge");
            if (i > 0)
            {
                rows[i][0].ShouldBe(rows[i - 1][1]);
            }
        }

        rows.Sum(row => row[2]).ShouldBe(10_000);
    }

    [Fact]
    public void Histograms_of_nothing_and_of_one_value_are_as_the_plugin_wants_them()
    {
        double[] buckets = new double[90];
        HistogramBuckets.Fill([2, 2, 2, float.NaN], buckets);
        buckets.Chunk(3).Take(29).ShouldAllBe(row => row[0] == 2 && row[1] == 2 && row[2] == 0);
        buckets[87..].ShouldBe([2, 2, 3]);

        HistogramBuckets.Fill([float.NaN], buckets);
        buckets.ShouldAllBe(number => number == 0);

        HistogramBuckets.Fill([float.MinValue, float.MaxValue, 0, float.Epsilon], buckets);
        buckets.Chunk(3).Sum(row => row[2]).ShouldBe(4);

        HistogramBuckets.Fill([0, float.Epsilon], buckets);
        buckets.Chunk(3).Sum(row => row[2]).ShouldBe(2);
    }

    [Fact]
    public void Pr_curves_count_what_reaches_each_threshold()
    {
        Random random = new(1);
        int[] labels = [.. Enumerable.Range(0, 50).Select(_ => random.Next(2))];
        double[] scores = [.. labels.Select(label => Math.Clamp((random.NextDouble() * 0.8) + (0.3 * label), 0, 1))];
        (scores[0], scores[1], scores[2]) = (0, 1, 0.5);

        float[][] rows = [.. PrCurve.Compute(labels, scores).Chunk(201)];

        rows.Length.ShouldBe(6);
        for (int i = 0; i < 201; i++)
        {
            bool Called(int clip) => (int)(scores[clip] * 200) >= i;
            int[] clips = [.. Enumerable.Range(0, 50)];
            int truePositives = clips.Count(clip => Called(clip) && labels[clip] == 1),
                falsePositives = clips.Count(clip => Called(clip) && labels[clip] == 0);
            rows[0][i].ShouldBe(truePositives);
            rows[1][i].ShouldBe(falsePositives);
            rows[2][i].ShouldBe(labels.Count(label => label == 0) - falsePositives);
            rows[3][i].ShouldBe(labels.Sum() - truePositives);
            rows[4][i].ShouldBe(truePositives + falsePositives == 0 ? 0 : (float)truePositives / (truePositives + falsePositives));
            rows[5][i].ShouldBe((float)truePositives / labels.Sum());
        }
    }

    public void Dispose() => _folder.Dispose();

    private sealed class SetClock : TimeProvider
    {
        public long Seconds { get; set; } = 1_700_000_000;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeSeconds(Seconds);
    }
}
