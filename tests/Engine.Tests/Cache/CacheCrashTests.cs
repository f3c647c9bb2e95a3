using System.Runtime.InteropServices;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>Sessions that end at every possible moment, and the next one that picks up what is left.</summary>
public sealed class CacheCrashTests : IDisposable
{
    private static readonly Dictionary<string, string> s_failures = new() { ["003.mp4"] = "zero frames" };

    private readonly CacheFixture _fixture = new();

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(1)]
    public void A_first_extraction_killed_at_any_change_to_the_disk_continues(double torn)
    {
        var dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4), test: CacheFixture.Clips(5, 6));
        var expected = CacheFixture.Undisturbed(dataset, s_failures);
        for (var killAt = 0; Kill(dataset, killAt, torn, out var stored); killAt++)
        {
            var (planned, _) = _fixture.Run(dataset, s_failures);

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
        var before = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4), test: CacheFixture.Clips(5, 6));
        var after = CacheFixture.Dataset(CacheFixture.Clips(6, 4, 1, 7), CacheFixture.Clips(101, 100, 8));
        _fixture.Run(before, s_failures);
        var start = _fixture.Save();
        var expected = CacheFixture.Undisturbed(after);
        for (var killAt = 0; Kill(after, killAt, torn, out var stored); killAt++)
        {
            var (planned, _) = _fixture.Run(after);

            planned.ShouldBe(2 - stored, $"killed at change {killAt}");
            _fixture.Snapshot().ShouldBe(expected, $"killed at change {killAt}");
            _fixture.Restore(start);
        }
    }

    [Fact]
    public void A_session_killed_while_it_finishes_an_interrupted_commit_leaves_it_to_the_next()
    {
        var before = CacheFixture.Dataset(CacheFixture.Clips(1, 2), test: CacheFixture.Clips(5, 6));
        var after = CacheFixture.Dataset(CacheFixture.Clips(6, 1, 7));
        _fixture.Run(before);
        var start = _fixture.Save();
        var expected = CacheFixture.Undisturbed(after);
        for (var first = 0; Kill(after, first, 0, out _); first++)
        {
            for (var second = 0; Kill(after, second, 0, out _); second += 2)
            {
            }

            _fixture.Snapshot().ShouldBe(expected, $"killed at change {first}");
            _fixture.Restore(start);
        }
    }

    [Fact]
    public void Going_back_after_an_interrupted_update_loses_no_features()
    {
        var before = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4));
        var after = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 7));
        _fixture.Run(before);
        var start = _fixture.Save();
        var planned = new List<int>();
        for (var killAt = 0; Kill(after, killAt, 0.5, out _); killAt++)
        {
            planned.Add(_fixture.Run(before).Planned);
            _fixture.Restore(start);
        }

        // Nothing is lost until the commit, and then exactly what the commit dropped.
        planned.ShouldBe(planned.Order());
        planned.Distinct().ShouldBe([0, 2]);
    }

    [Fact]
    public void An_interrupted_commit_is_refused_to_readers()
    {
        var dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        var refused = 0;
        for (var killAt = 0; Kill(dataset, killAt, 0, out _); killAt++)
        {
            if (CommitLog.IsPending(_fixture.Directory))
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
    public void A_list_cut_at_any_byte_keeps_every_whole_row()
    {
        var dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2), CacheFixture.Clips(4, 5));
        var (name, log, headBytes) = ExtractOnly(dataset);
        for (var length = headBytes; length <= log.Length; length++)
        {
            File.WriteAllBytes(_fixture.File(name), log[..length]);

            RowsInList(dataset).ShouldBe((length - headBytes) / RecordBytes, $"cut to {length} bytes");
            new FileInfo(_fixture.File(name)).Length.ShouldBe(headBytes + ((length - headBytes) / RecordBytes * RecordBytes));
        }
    }

    [Fact]
    public void A_list_damaged_at_any_byte_loses_that_row_only()
    {
        var dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2), CacheFixture.Clips(4, 5));
        var (name, log, headBytes) = ExtractOnly(dataset);
        for (var offset = headBytes; offset < log.Length; offset++)
        {
            var damaged = (byte[])log.Clone();
            damaged[offset] ^= 0x10;
            File.WriteAllBytes(_fixture.File(name), damaged);

            // The zeros that fill up a record belong to no row.
            var isFilling = (offset - headBytes) % RecordBytes >= 64 + CacheFixture.Key.RowBytes;
            RowsInList(dataset).ShouldBe(isFilling ? 4 : 3, $"damaged at byte {offset}");
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(200)]
    [InlineData(300)]
    public void An_extraction_with_a_damaged_list_ends_in_the_same_files(int fromEnd)
    {
        var dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2), CacheFixture.Clips(4, 5));
        var (name, log, _) = ExtractOnly(dataset);
        File.WriteAllBytes(_fixture.File(name), log[..^fromEnd]);
        _fixture.Corrupt(name, log.Length - fromEnd - 50);

        _fixture.Run(dataset);

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(dataset));
    }

    [Fact]
    public void A_list_damaged_in_its_head_is_refused_and_kept()
    {
        var dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2));
        var (name, _, _) = ExtractOnly(dataset);
        _fixture.Corrupt(name, 20);
        var before = File.ReadAllBytes(_fixture.File(name));

        Should.Throw<CacheException>(() => _fixture.Run(dataset))
            .Message.ShouldContain($"'{_fixture.File(name)}' is not a list of extracted features");
        File.ReadAllBytes(_fixture.File(name)).ShouldBe(before);
    }

    /// <summary>Any sequence of datasets, each session killed or not, ends in the files that the last dataset alone would give.</summary>
    [Fact]
    public void Whatever_happened_before_the_files_are_those_of_the_dataset()
    {
        var contents = Gen.Choose(0, 20).ArrayOf(6);
        var session = from train in contents
                      from test in contents
                      from killAt in Gen.Choose(0, 60)
                      select (Train: train, Test: test, KillAt: killAt);
        Prop.ForAll(Arb.From(session.NonEmptyListOf().Resize(6)), sessions =>
        {
            _fixture.Reset();
            VideoDataset? dataset = null;
            foreach (var (train, test, killAt) in sessions)
            {
                // One of each class is always there.
                dataset = CacheFixture.Dataset(CacheFixture.Clips([.. train, 50, 51]), test: CacheFixture.Clips([.. test, 52, 53]));
                Kill(dataset, killAt, 0.5, out _);
            }

            _fixture.Run(dataset!, s_failures);
            _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(dataset!, s_failures));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(30));
    }

    public void Dispose() => _fixture.Dispose();

    private static int RecordBytes { get; } = (int)RowLog.RecordBytes(CacheFixture.Key.RowBytes);

    /// <summary>Extracts without committing.</summary>
    /// <returns>Name and content of the list of rows, and where the first row begins.</returns>
    private (string Name, byte[] Log, int HeadBytes) ExtractOnly(VideoDataset dataset)
    {
        using var cache = _fixture.Open();
        CacheFixture.Extract(cache, dataset);
        var path = RowLog.PathIn(_fixture.Directory, CacheFixture.Key.Fields);
        var log = File.ReadAllBytes(path);
        return (Path.GetFileName(path), log, log.Length - (dataset.Clips.Count() * RecordBytes));
    }

    /// <summary>Opens the list of rows and checks that each row in it is one of the dataset's, byte for byte.</summary>
    private int RowsInList(VideoDataset dataset)
    {
        using var log = RowLog.Open(new FaultyDisk(), _fixture.Directory, CacheFixture.Key.Fields, CacheFixture.Key.RowBytes);
        var row = new float[CacheFixture.Key.RowElements];
        foreach (var (hash, location) in log.Rows)
        {
            dataset.Clips.ShouldContain(clip => clip.ContentHash == hash);
            RandomAccess.Read(location.File, MemoryMarshal.AsBytes(row.AsSpan()), location.Offset);
            row.ShouldBe(CacheFixture.Features(hash));
        }

        return log.Rows.Count;
    }

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
            using var cache = _fixture.Open(disk: new FaultyDisk { KillAt = killAt, Torn = torn });
            foreach (var clip in cache.Plan(dataset).Missing)
            {
                if (s_failures.TryGetValue(clip.RelativePath, out var status))
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
