using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Cache;

public sealed class FeatureCacheTests : IDisposable
{
    private readonly CacheFixture _fixture = new();

    [Fact]
    public void A_dataset_becomes_arrays_in_its_order()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(5, 2, 9, 4), test: CacheFixture.Clips(7, 8));

        (int planned, CacheSummary summary) = _fixture.Run(dataset);

        planned.ShouldBe(8);
        summary.Changed.ShouldBeTrue();
        (summary.Extracted, summary.Reused, summary.Failed.Count).ShouldBe((8, 0, 0));
        summary.Splits.Select(split => (split.Split, split.Rows)).ShouldBe(
        [
            (DatasetSplit.Train, new ClassCounts(2, 2)), (DatasetSplit.Validation, new ClassCounts(1, 1)),
            (DatasetSplit.Test, new ClassCounts(1, 1)),
        ]);
        NpyArray<float> features = NpyFile.Read<float>(_fixture.File("train_features.npy"));
        features.Shape.ShouldBe([4, 2, 3]);
        features.Data.ShouldBe(dataset[DatasetSplit.Train].SelectMany(clip => CacheFixture.Features(clip.ContentHash)));
        NpyArray<long> labels = NpyFile.Read<long>(_fixture.File("train_labels.npy"));
        labels.Shape.ShouldBe([4]);
        labels.Data.ShouldBe([1, 0, 1, 0]);
        File.ReadAllLines(_fixture.File("train_videos.csv")).ShouldBe(
        [
            "path,class,source,status",
            "005.mp4,violent,source of 005.mp4,ok",
            "002.mp4,nonviolent,source of 002.mp4,ok",
            "009.mp4,violent,source of 009.mp4,ok",
            "004.mp4,nonviolent,source of 004.mp4,ok",
        ]);
    }

    [Fact]
    public void Float16_features_are_rounded()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        _fixture.Run(dataset, key: CacheFixture.Key with { ElementType = ElementType.F16 });

        NpyFile.Read<Half>(_fixture.File("train_features.npy")).Data
            .ShouldBe(dataset[DatasetSplit.Train].SelectMany(clip => CacheFixture.Features(clip.ContentHash)).Select(value => (Half)value));
    }

    [Fact]
    public void A_second_session_writes_nothing()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4));
        _fixture.Run(dataset);
        var before = Directory.EnumerateFiles(_fixture.Directory).Where(path => !path.Contains("writer"))
            .ToDictionary(path => path, File.GetLastWriteTimeUtc);

        var disk = new FaultyDisk { KillAt = 0 };
        (int planned, CacheSummary summary) = _fixture.Run(dataset, disk: disk);

        planned.ShouldBe(0);
        summary.Changed.ShouldBeFalse();
        (summary.Extracted, summary.Reused).ShouldBe((0, 6));
        Directory.EnumerateFiles(_fixture.Directory).Where(path => !path.Contains("writer"))
            .ToDictionary(path => path, File.GetLastWriteTimeUtc).ShouldBe(before);
    }

    public static TheoryData<string, int[], int[], int> Changes() => new()
    {
        { "nothing", [1, 2, 3, 4], [], 0 },
        { "one added", [1, 2, 3, 4, 5], [], 1 },
        { "one removed", [1, 3, 4], [], 0 },
        { "one replaced", [1, 2, 3, 6], [], 1 },
        { "order", [4, 3, 2, 1], [], 0 },
        { "two moved to another split", [1, 2], [3, 4], 0 },
        { "a copy of one", [1, 2, 3, 4, 4], [], 0 },
        { "everything", [11, 12], [13, 14, 13, 14], 4 },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void Only_what_changed_is_extracted_again(string change, int[] train, int[] test, int extracted)
    {
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4)));
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(train), test: CacheFixture.Clips(test));

        _fixture.Run(dataset).Planned.ShouldBe(extracted, change);

        _fixture.SnapshotOfDataset().ShouldBe(CacheFixture.Undisturbed(dataset));
    }

    [Fact]
    public void A_split_that_went_away_takes_its_files_along()
    {
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2), test: CacheFixture.Clips(3, 4)));
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2)));

        Directory.EnumerateFiles(_fixture.Directory, "test_*").ShouldBeEmpty();
    }

    [Fact]
    public void Labels_come_from_the_dataset()
    {
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2)));
        Clip[] swapped = [CacheFixture.Clip("001.mp4", 0, "content 1"), CacheFixture.Clip("002.mp4", 1, "content 2")];

        _fixture.Run(CacheFixture.Dataset(swapped)).Planned.ShouldBe(0);

        NpyFile.Read<long>(_fixture.File("train_labels.npy")).Data.ShouldBe([0, 1]);
    }

    [Fact]
    public void The_order_of_extraction_leaves_no_trace()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(Enumerable.Range(0, 60)));
        using (FeatureCache cache = _fixture.Open())
        {
            System.Threading.Tasks.Parallel.ForEach(cache.Plan(dataset).Missing.Reverse(),
                new ParallelOptions { MaxDegreeOfParallelism = 4 }, clip =>
            {
                // Two workers may hand in the same content.
                cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
                cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
            });
            cache.Commit(dataset);
        }

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(dataset));
    }

    [Fact]
    public void One_session_can_commit_twice()
    {
        VideoDataset first = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        VideoDataset second = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3));
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, first);
            cache.Commit(first);
            CacheFixture.Extract(cache, second).ShouldBe(1);
            cache.Commit(second);
        }

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(second));
    }

    [Fact]
    public void Another_key_is_named_field_by_field_and_extracted_anew()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        _fixture.Run(dataset);
        FeatureKey other = CacheFixture.Key with { Frames = 3, Backbone = "test 2" };

        using (FeatureCache cache = _fixture.Open(other))
        {
            cache.Differences.ShouldBe([new KeyDifference("frames", "2", "3"), new KeyDifference("backbone", "test 1", "test 2")]);
            cache.Notes.ShouldContain(note => note.Contains("frames: cached 2, wanted 3"));
            CacheFixture.Extract(cache, dataset).ShouldBe(4);
        }

        // Not committed: the old features are still there for the old key.
        _fixture.Run(dataset).Planned.ShouldBe(0);
        _fixture.Run(dataset, key: other).Planned.ShouldBe(0);
        NpyFile.ReadHeader(_fixture.File("train_features.npy")).Shape.ShouldBe([2, 3, 3]);
    }

    [Fact]
    public void A_commit_before_everything_is_extracted_is_refused_and_loses_nothing()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3));
        using (FeatureCache cache = _fixture.Open())
        {
            Clip clip = cache.Plan(dataset).Missing[0];
            cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
            Should.Throw<CacheException>(() => cache.Commit(dataset)).Message.ShouldStartWith(
                "4 of 5 videos have not been extracted (the first is '002.mp4'). Run the same command again to continue.");
        }

        using FeatureCache again = _fixture.Open();
        again.Notes.ShouldHaveSingleItem().ShouldContain("interrupted after 1 videos");
        again.Plan(dataset).Missing.Count.ShouldBe(4);
    }

    [Fact]
    public void Another_datasets_features_are_kept()
    {
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3)));

        using (FeatureCache cache = _fixture.Open())
        {
            cache.Plan(CacheFixture.Dataset(CacheFixture.Clips(1, 2))).Notes.ShouldHaveSingleItem()
                .ShouldContain("also holds the features of 1 videos that are not in this dataset");
        }

        VideoDataset first = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3)),
            second = CacheFixture.Dataset(CacheFixture.Clips(3, 11, 12), CacheFixture.Clips(13, 14));
        _fixture.Run(second).Planned.ShouldBe(4);
        _fixture.Run(second).Summary.Changed.ShouldBeFalse();
        _fixture.Run(first).Planned.ShouldBe(0);
        _fixture.Run(second).Planned.ShouldBe(0);
        _fixture.Run(first).Planned.ShouldBe(0);

        CacheMaintenance.Prune(_fixture.Directory, null, null, null);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(first));
    }

    [Fact]
    public void Features_of_another_kind_are_kept()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3));
        FeatureKey other = CacheFixture.Key with { Frames = 3 };
        _fixture.Run(dataset);

        _fixture.Run(dataset, key: other).Planned.ShouldBe(5);
        _fixture.Run(dataset).Planned.ShouldBe(0);
        _fixture.Run(dataset, key: other).Planned.ShouldBe(0);
    }

    [Fact]
    public void A_row_put_aside_that_was_damaged_is_extracted_again()
    {
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3)));
        VideoDataset without = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        _fixture.Run(without);
        string aside = Directory.EnumerateFiles(_fixture.Directory, "*.clip", SearchOption.AllDirectories).ShouldHaveSingleItem();
        _fixture.Corrupt(Path.GetRelativePath(_fixture.Directory, aside), 5);
        File.SetLastWriteTimeUtc(aside, DateTime.UtcNow.AddDays(-1));

        Should.Throw<CacheException>(() => _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3))))
            .Message.ShouldContain("Run the same command again");
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3))).Planned.ShouldBe(1);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3))));
    }

    [Fact]
    public void What_was_put_aside_is_removed_by_age_size_and_content()
    {
        VideoDataset first = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3)), second = CacheFixture.Dataset(CacheFixture.Clips(11, 12));
        _fixture.Run(first);
        _fixture.Run(second);
        string[] aside = [.. Directory.EnumerateFiles(_fixture.Directory, "*.clip", SearchOption.AllDirectories)];
        aside.Length.ShouldBe(3);
        long size = new FileInfo(aside[0]).Length;
        File.SetLastWriteTimeUtc(aside[1], DateTime.UtcNow.AddDays(-3));

        Pruned(before: DateTime.UtcNow.AddDays(-4)).ShouldBe(0);
        Pruned(before: DateTime.UtcNow.AddDays(-2)).ShouldBe(1);
        File.Exists(aside[1]).ShouldBeFalse();
        Pruned(contents: new HashSet<string> { "another" }).ShouldBe(0);
        Pruned(mostBytes: size).ShouldBe(1);
        Pruned().ShouldBe(2, "the last one, and the key of its folder");
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(second));

        int Pruned(DateTime? before = null, long? mostBytes = null, IReadOnlySet<string>? contents = null) =>
            CacheMaintenance.Prune(_fixture.Directory, before, mostBytes, contents).Removed.Count;
    }

    [Fact]
    public void Clearing_leaves_nothing_behind()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3));
        _fixture.Run(dataset);
        string motion = _fixture.File("motion");
        using (FeatureCache cache = FeatureCache.Open(motion, CacheFixture.Key))
        {
            CacheFixture.Extract(cache, dataset);
        }

        CacheMaintenance.Clear(_fixture.Directory, staleOnly: false);

        Directory.Exists(_fixture.Directory).ShouldBeFalse();
    }

    [Fact]
    public void Clearing_touches_nothing_that_is_no_cache()
    {
        _fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3)));
        Directory.CreateDirectory(_fixture.File("holidays"));
        File.WriteAllText(_fixture.File("holidays/train_features.npy"), "mine");

        CacheMaintenance.Clear(_fixture.Directory, staleOnly: false);

        Directory.EnumerateFileSystemEntries(_fixture.Directory, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(_fixture.Directory, path)).Order().ShouldBe(["holidays", "holidays/train_features.npy"]);
    }

    [Fact]
    public void Helpers_leave_no_trace()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(Enumerable.Range(0, 9)));
        var failures = new Dictionary<string, string> { ["004.mp4"] = "zero frames" };
        using (FeatureCache cache = _fixture.Open())
        {
            IReadOnlyList<Clip> missing = cache.Plan(dataset).Missing;
            for (int rank = 0; rank < 3; rank++)
            {
                using var helper = FeatureCache.Help(_fixture.Directory, CacheFixture.Key);
                foreach (Clip clip in missing.Where((_, i) => i % 3 == rank))
                {
                    if (failures.TryGetValue(clip.RelativePath, out string? status))
                    {
                        helper.AppendFailure(clip.ContentHash, status, $"details of {clip.RelativePath}");
                    }
                    else
                    {
                        helper.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
                    }
                }
            }

            cache.Refresh();
            cache.Commit(dataset, maxCorrupt: 1).Extracted.ShouldBe(missing.Count - 1);
        }

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(dataset, failures));
    }

    [Fact]
    public void One_process_writes_at_a_time()
    {
        using (_fixture.Open())
        {
            CacheLockedException refusal = Should.Throw<CacheLockedException>(() => _fixture.Open());
            refusal.Holder.ShouldBe(Environment.ProcessId);
            refusal.Message.ShouldStartWith(
                $"The cache '{_fixture.Directory}' is being written by process {Environment.ProcessId}, since ");
            refusal.Message.ShouldEndWith(" UTC. Wait until it has finished, stop it, or choose another CacheDir.");
        }

        _fixture.Open().Dispose();
    }

    [Fact]
    public void Readers_are_not_shut_out()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4));
        _fixture.Run(dataset);
        using FeatureCache cache = _fixture.Open();
        using var reader = FeatureSplits.Open(_fixture.Directory);
        VideoDataset other = CacheFixture.Dataset(CacheFixture.Clips(5, 6));
        CacheFixture.Extract(cache, other);
        cache.Commit(other);

        // The mapping keeps the features it was opened with.
        float[] row = new float[6];
        reader.Train.ReadRow(3, row);
        row.ShouldBe(CacheFixture.Features(dataset[DatasetSplit.Train][3].ContentHash));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_named()
    {
        File.WriteAllText(_fixture.Directory, "a file");

        Should.Throw<CacheException>(() => _fixture.Open()).Message.ShouldContain($"'{_fixture.Directory}' cannot be created");
        File.Delete(_fixture.Directory);
    }

    [Theory]
    [InlineData(float.NaN, ElementType.F32, "Check the weight file")]
    [InlineData(float.NegativeInfinity, ElementType.F16, "Check the weight file")]
    [InlineData(70_000f, ElementType.F16, "use FeatureDtype float32")]
    public void Features_that_are_not_finite_never_enter(float value, ElementType type, string hint)
    {
        using FeatureCache cache = _fixture.Open(CacheFixture.Key with { ElementType = type });
        float[] row = new float[6];
        row[4] = value;

        string message = Should.Throw<CacheException>(() => cache.Append(new string('0', 64), row)).Message;

        message.ShouldStartWith("The feature at frame 1, element 1 is ");
        message.ShouldEndWith(hint + ".");
    }

    [Fact]
    public void A_row_of_another_length_is_refused()
    {
        using FeatureCache cache = _fixture.Open();

        Should.Throw<ArgumentException>(() => cache.Append(new string('0', 64), new float[5]))
            .Message.ShouldContain("1 × 2 × 3 = 6 elements, not 5");
    }

    public void Dispose() => _fixture.Dispose();
}
