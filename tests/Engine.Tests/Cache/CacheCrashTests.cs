using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>Sessions that end at every possible moment, and the next one that picks up what is left.</summary>
public sealed class CacheCrashTests : IDisposable
{
    private static readonly Dictionary<string, string> Failures = new() { ["003.mp4"] = "zero frames" };

    private readonly CacheFixture _fixture = new();

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(1)]
    public void A_first_extraction_killed_at_any_change_to_the_disk_continues(double torn)
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4), test: CacheFixture.Clips(5, 6));
        SortedDictionary<string, string> expected = CacheFixture.Undisturbed(dataset, Failures);
        for (int killAt = 0; Kill(dataset, killAt, torn, out int stored); killAt++)
        {
            (int planned, _) = _fixture.Run(dataset, Failures);

            // A write of which everything reached the disk has happened, even if nobody was told.
            planned.ShouldBeInRange(8 - stored - (torn == 1 ? 1 : 0), 8 - stored, $"killed at change {killAt}");
            _fixture.Snapshot().ShouldBe(expected, $"killed at change {killAt}");
            _fixture.Reset();
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    public void An_update_killed_at_any_change_to_the_disk_continues(double torn)
    {
        VideoDataset before = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4), test: CacheFixture.Clips(5, 6));
        VideoDataset after = CacheFixture.Dataset(CacheFixture.Clips(6, 4, 1, 7), CacheFixture.Clips(101, 100, 8));
        _fixture.Run(before, Failures);
        SortedDictionary<string, byte[]> start = _fixture.Save();
        SortedDictionary<string, string> expected = CacheFixture.Undisturbed(after);
        for (int killAt = 0; Kill(after, killAt, torn, out int stored); killAt++)
        {
            (int planned, _) = _fixture.Run(after);

            planned.ShouldBe(2 - stored, $"killed at change {killAt}");
            _fixture.SnapshotOfDataset().ShouldBe(expected, $"killed at change {killAt}");
            _fixture.Restore(start);
        }
    }

    [Fact]
    public void A_session_killed_while_it_finishes_an_interrupted_commit_leaves_it_to_the_next()
    {
        VideoDataset before = CacheFixture.Dataset(CacheFixture.Clips(1, 2), test: CacheFixture.Clips(5, 6));
        VideoDataset after = CacheFixture.Dataset(CacheFixture.Clips(6, 1, 7));
        _fixture.Run(before);
        SortedDictionary<string, byte[]> start = _fixture.Save();
        SortedDictionary<string, string> expected = CacheFixture.Undisturbed(after);
        for (int first = 0; Kill(after, first, 0, out _); first++)
        {
            for (int second = 0; Kill(after, second, 0, out _); second += 2)
            {
            }

            _fixture.SnapshotOfDataset().ShouldBe(expected, $"killed at change {first}");
            _fixture.Restore(start);
        }
    }

    [Fact]
    public void Going_back_after_an_interrupted_update_loses_no_features()
    {
        VideoDataset before = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4));
        VideoDataset after = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 7));
        _fixture.Run(before);
        SortedDictionary<string, byte[]> start = _fixture.Save();
        var planned = new List<int>();
        for (int killAt = 0; Kill(after, killAt, 0.5, out _); killAt++)
        {
            planned.Add(_fixture.Run(before).Planned);
            _fixture.Restore(start);
        }

        // Nothing is lost before the commit, in it or after it.
        planned.ShouldAllBe(count => count == 0);
    }

    [Fact]
    public void An_interrupted_commit_is_refused_to_readers()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        int refused = 0;
        for (int killAt = 0; Kill(dataset, killAt, 0, out _); killAt++)
        {
            if (CacheCommit.IsPending(_fixture.Directory))
            {
                Should.Throw<CacheException>(() => FeatureSplits.Open(_fixture.Directory))
                    .Message.ShouldContain("is being changed, or a change of it was interrupted");
                CacheInspector.Info(_fixture.Directory).Problems.ShouldContain(problem => problem.Contains("was interrupted"));
                refused++;
            }

            _fixture.Reset();
        }

        refused.ShouldBeGreaterThan(8);
    }

    [Fact]
    public void A_clips_file_cut_or_damaged_at_any_byte_is_made_again_and_no_other()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3));
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, dataset, Failures);
        }

        SortedDictionary<string, byte[]> start = _fixture.Save();
        SortedDictionary<string, string> expected = CacheFixture.Undisturbed(dataset, Failures);
        string[] clips = [.. start.Keys.Where(name => name.EndsWith(".clip"))];
        clips.Length.ShouldBe(5);
        foreach (string name in new[] { 1, 3 }.Select(content => clips.Single(
            clip => clip.EndsWith($"{CacheFixture.Clips(content)[0].ContentHash}.clip"))))
        {
            for (int at = 0; at < start[name].Length; at++)
            {
                File.WriteAllBytes(_fixture.File(name), start[name][..at]);
                ShouldBeMadeAgain($"cut at {at}");
                _fixture.Restore(start);
                _fixture.Corrupt(name, at);
                ShouldBeMadeAgain($"damaged at {at}");
                _fixture.Restore(start);
            }
        }

        void ShouldBeMadeAgain(string what)
        {
            CacheInspector.Verify(_fixture.Directory).Problems.ShouldHaveSingleItem(what).ShouldContain(".clip' is damaged");
            using (FeatureCache cache = _fixture.Open())
            {
                cache.Notes.ShouldContain(note => note.StartsWith("1 files in"), what);
            }

            _fixture.Run(dataset, Failures).Planned.ShouldBe(1, what);
            _fixture.Snapshot().ShouldBe(expected, what);
        }
    }

    [Fact]
    public void A_key_file_that_is_damaged_or_missing_loses_nothing()
    {
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, dataset);
        }

        string folder = ClipFolder.AllIn(_fixture.Directory).Single();
        _fixture.Corrupt(Path.Combine(folder, "key.json"), 20);

        CacheInspector.Info(_fixture.Directory).Problems.ShouldHaveSingleItem().ShouldContain("key.json is damaged");
        _fixture.Run(dataset).Planned.ShouldBe(0);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(dataset));
    }

    /// <summary>Any sequence of datasets, each session killed or not, ends in the files that the last dataset alone would give.</summary>
    [Fact]
    public void Whatever_happened_before_the_files_are_those_of_the_dataset()
    {
        Gen<int[]> contents = Gen.Choose(0, 20).ArrayOf(6);
        Gen<(int[] Train, int[] Test, int KillAt)> session = from train in contents
                                                             from test in contents
                                                             from killAt in Gen.Choose(0, 60)
                                                             select (Train: train, Test: test, KillAt: killAt);
        Prop.ForAll(Arb.From(session.NonEmptyListOf().Resize(6)), sessions =>
        {
            _fixture.Reset();
            VideoDataset? dataset = null;
            foreach ((int[] train, int[] test, int killAt) in sessions)
            {
                // One of each class is always there.
                dataset = CacheFixture.Dataset(CacheFixture.Clips([.. train, 50, 51]), test: CacheFixture.Clips([.. test, 52, 53]));
                Kill(dataset, killAt, 0.5, out _);
            }

            _fixture.Run(dataset!, Failures);
            _fixture.SnapshotOfDataset().ShouldBe(CacheFixture.Undisturbed(dataset!, Failures));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(30));
    }

    public void Dispose() => _fixture.Dispose();

    /// <summary>Runs a session that is killed at a change to the disk.</summary>
    /// <param name="dataset">The dataset.</param>
    /// <param name="killAt">Which change.</param>
    /// <param name="torn">How much of that change still happens if it is a write.</param>
    /// <param name="stored">How many rows and failures were completely stored before.</param>
    /// <returns>False when the session ended before it could be killed.</returns>
    private bool Kill(VideoDataset dataset, int killAt, double torn, out int stored)
    {
        stored = 0;
        try
        {
            using FeatureCache cache = _fixture.Open(disk: new FaultyDisk { KillAt = killAt, Torn = torn });
            foreach (Clip clip in cache.Plan(dataset).Missing)
            {
                if (Failures.TryGetValue(clip.RelativePath, out string? status))
                {
                    cache.AppendFailure(clip.ContentHash, status, $"details of {clip.RelativePath}");
                }
                else
                {
                    cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
                }

                stored++;
            }

            cache.Commit(dataset, maxCorrupt: 1);
            return false;
        }
        catch (KilledException)
        {
            return true;
        }
    }
}
