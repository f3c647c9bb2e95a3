using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>Videos that cannot be decoded.</summary>
public sealed class CachePolicyTests : IDisposable
{
    private readonly CacheFixture _fixture = new();
    private readonly VideoDataset _dataset = CacheFixture.Dataset(CacheFixture.Clips(Enumerable.Range(0, 20)));
    private readonly Dictionary<string, string> _failures = new() { ["003.mp4"] = "zero frames", ["008.mp4"] = "no video stream" };

    [Fact]
    public void Skipped_clips_leave_their_split_and_are_listed()
    {
        (_, CacheSummary summary) = _fixture.Run(_dataset, _failures);

        summary.Splits[0].ShouldBe(new CachedSplit(DatasetSplit.Train, new ClassCounts(9, 9), new ClassCounts(1, 1)));
        summary.Failed.Select(failed => failed.ToString()).ShouldBe(
            ["'003.mp4': zero frames (details of 003.mp4)", "'008.mp4': no video stream (details of 008.mp4)"]);
        summary.Warnings.ShouldBeEmpty();
        NpyFile.ReadHeader(_fixture.File("train_features.npy")).Shape.ShouldBe([18, 2, 3]);
        string[] lines = File.ReadAllLines(_fixture.File("train_videos.csv"));
        lines.Length.ShouldBe(21);
        lines[4].ShouldBe("004.mp4,nonviolent,source of 004.mp4,ok");
        lines[19..].ShouldBe(["003.mp4,violent,source of 003.mp4,zero frames", "008.mp4,nonviolent,source of 008.mp4,no video stream"]);
    }

    [Fact]
    public void Zeros_keep_a_row_that_says_so()
    {
        (_, CacheSummary summary) = _fixture.Run(_dataset, _failures, CorruptPolicy.Zeros);

        summary.Splits[0].Rows.ShouldBe(new ClassCounts(10, 10));
        summary.Failed.Count.ShouldBe(2);
        NpyFile.Read<float>(_fixture.File("train_features.npy")).Data[(3 * 6)..(4 * 6)].ShouldBe(new float[6]);
        File.ReadAllLines(_fixture.File("train_videos.csv"))[4].ShouldBe("003.mp4,violent,source of 003.mp4,zero frames");
        CacheInspector.Info(_fixture.Directory).Splits[0].ShouldSatisfyAllConditions(
            split => split.Rows.ShouldBe(20), split => split.ZeroRows.ShouldBe(2), split => split.Failures.ShouldBe(2));
    }

    [Fact]
    public void Fail_names_the_first()
    {
        Should.Throw<CacheException>(() => _fixture.Run(_dataset, _failures, CorruptPolicy.Fail)).Message.ShouldBe(
            "The video '003.mp4': zero frames (details of 003.mp4) cannot be used. Repair or remove it, or leave such videos out " +
                "with OnCorrupt skip.");
    }

    [Fact]
    public void Fail_does_not_wait_for_the_rest()
    {
        using FeatureCache cache = _fixture.Open();
        Clip clip = cache.Plan(_dataset).Missing[5];
        cache.AppendFailure(clip.ContentHash, "zero frames", "");

        Should.Throw<CacheException>(() => cache.Commit(_dataset, CorruptPolicy.Fail))
            .Message.ShouldContain("'005.mp4': zero frames cannot be used");
    }

    [Fact]
    public void Too_many_failures_name_the_first_ten()
    {
        var failures = Enumerable.Range(0, 12).ToDictionary(i => $"{i:000}.mp4", _ => "zero frames");

        string message = Should.Throw<CacheException>(() => _fixture.Run(_dataset, failures, maxCorrupt: 0.2)).Message;

        message.ShouldStartWith("12 of 22 videos cannot be used, more than the share of 0.2 that MaxCorrupt allows.");
        message.Split('\n').Length.ShouldBe(12);
        message.ShouldContain("'009.mp4': zero frames");
        message.ShouldEndWith("and 2 more");
        _fixture.Run(_dataset, maxCorrupt: 0.6).Planned.ShouldBe(0);
    }

    [Fact]
    public void The_limit_itself_is_allowed()
    {
        _fixture.Run(_dataset, _failures, maxCorrupt: 2.0 / 22).Summary.Failed.Count.ShouldBe(2);
    }

    [Fact]
    public void Changing_the_policy_extracts_nothing()
    {
        _fixture.Run(_dataset, _failures, CorruptPolicy.Zeros);
        _fixture.Run(_dataset, policy: CorruptPolicy.Skip).Planned.ShouldBe(0);

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset, _failures));
        _fixture.Run(_dataset, policy: CorruptPolicy.Zeros).Planned.ShouldBe(0);
    }

    [Fact]
    public void A_failure_is_not_tried_again_until_the_file_changes()
    {
        _fixture.Run(_dataset, _failures);
        _fixture.Run(_dataset).Planned.ShouldBe(0);

        Clip[] repaired = [.. _dataset[DatasetSplit.Train].Select(
            clip => clip.RelativePath == "003.mp4" ? CacheFixture.Clip("003.mp4", 1, "repaired") : clip)];
        (int planned, CacheSummary summary) = _fixture.Run(CacheFixture.Dataset(repaired));

        planned.ShouldBe(1);
        summary.Failed.ShouldHaveSingleItem().Clip.RelativePath.ShouldBe("008.mp4");
    }

    [Theory]
    [InlineData(FailureStatus.TimedOut)]
    [InlineData(FailureStatus.ReadError)]
    public void A_failure_of_the_moment_is_tried_again(string status)
    {
        var failures = new Dictionary<string, string> { ["003.mp4"] = status };
        _fixture.Run(_dataset, failures);
        _fixture.Run(_dataset, failures).Planned.ShouldBe(1);
        _fixture.Run(_dataset).Planned.ShouldBe(1);

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    [Fact]
    public void Clips_that_cannot_be_opened_count_as_failed_without_being_planned()
    {
        Clip[] clips = [.. CacheFixture.Clips(1, 2, 3, 4), CacheFixture.Clip("pipe.mp4", 1, "", ClipFault.NotRegularFile)];

        (int planned, CacheSummary summary) = _fixture.Run(CacheFixture.Dataset(clips));

        planned.ShouldBe(6);
        summary.Failed.ShouldHaveSingleItem().ToString().ShouldBe("'pipe.mp4': not a regular file");
        File.ReadAllLines(_fixture.File("train_videos.csv"))[^1].ShouldBe("pipe.mp4,violent,source of pipe.mp4,not a regular file");
        _fixture.Run(CacheFixture.Dataset(clips)).Summary.Changed.ShouldBeFalse();
    }

    [Fact]
    public void A_split_left_with_one_class_is_refused()
    {
        var failures = new Dictionary<string, string> { ["101.mp4"] = "zero frames" };

        Should.Throw<CacheException>(() => _fixture.Run(_dataset, failures)).Message.ShouldStartWith(
            "The split 'val' has 1 nonviolent, 0 violent clips after leaving out 1 that cannot be decoded (0 nonviolent, 1 violent); " +
                "it needs clips of both classes.");
    }

    [Fact]
    public void Losses_in_one_class_are_warned_about()
    {
        Dictionary<string, string> failures = new[] { 1, 3, 5 }.ToDictionary(i => $"{i:000}.mp4", _ => "zero frames");

        _fixture.Run(_dataset, failures).Summary.Warnings.ShouldHaveSingleItem()
            .ShouldStartWith("Videos that cannot be used are spread unevenly: 0 of 11 nonviolent and 3 of 11 violent ones.");
    }

    [Fact]
    public void A_success_takes_precedence_over_a_failure()
    {
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, _dataset);
            cache.AppendFailure(_dataset[DatasetSplit.Train][0].ContentHash, "zero frames", "");
            cache.Commit(_dataset).Failed.ShouldBeEmpty();
        }

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    public void Dispose() => _fixture.Dispose();
}
