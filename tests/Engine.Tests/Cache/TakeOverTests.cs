using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>What several processes have extracted, each into a folder of its own, becomes the cache that one would have made.</summary>
public sealed class TakeOverTests : IDisposable
{
    private static readonly Dictionary<string, string> _failures = new() { ["004.mp4"] = "zero frames" };

    private readonly CacheFixture _fixture = new();
    private readonly VideoDataset _dataset = CacheFixture.Dataset(CacheFixture.Clips(Enumerable.Range(0, 9)));

    [Fact]
    public void Shares_leave_no_trace()
    {
        using (FeatureCache cache = _fixture.Open())
        {
            IReadOnlyList<Clip> missing = cache.Plan(_dataset).Missing;
            for (int rank = 0; rank < 3; rank++)
            {
                Share(rank, missing.Where((_, i) => i % 3 == rank));
            }

            for (int rank = 0; rank < 3; rank++)
            {
                cache.TakeOver(Folder(rank));
                Directory.Exists(Folder(rank)).ShouldBeFalse();
            }

            cache.Commit(_dataset, maxCorrupt: 1).Extracted.ShouldBe(missing.Count - 1);
        }

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset, _failures));
    }

    /// <summary>What a process that was killed has left: whole rows count, a damaged one is extracted again.</summary>
    [Fact]
    public void A_damaged_row_is_missing_again()
    {
        using FeatureCache cache = _fixture.Open();
        Clip[] clips = [.. cache.Plan(_dataset).Missing.Take(3)];
        Share(1, clips);
        string log = RowLog.AllIn(Folder(1)).Single();
        byte[] bytes = File.ReadAllBytes(log);
        bytes[^1] ^= 1;
        File.WriteAllBytes(log, bytes[..^1]);
        cache.TakeOver(Folder(1));
        cache.Plan(_dataset).Missing.ShouldContain(clips[2]);
        cache.Plan(_dataset).Missing.ShouldNotContain(clips[0]);
    }

    [Fact]
    public void Rows_of_another_key_are_not_taken()
    {
        using FeatureCache cache = _fixture.Open();
        Clip[] clips = [.. cache.Plan(_dataset).Missing.Take(1)];
        FeatureKey other = CacheFixture.Key with { Backbone = "test 2" };
        using (FeatureCache share = FeatureCache.Open(Folder(1), other))
        {
            share.Append(clips[0].ContentHash, CacheFixture.Features(clips[0].ContentHash, other));
        }

        cache.TakeOver(Folder(1));
        cache.Plan(_dataset).Missing.ShouldContain(clips[0]);
        Directory.Exists(Folder(1)).ShouldBeFalse();
    }

    [Fact]
    public void A_share_that_is_still_written_is_left_alone()
    {
        using FeatureCache cache = _fixture.Open();
        using FeatureCache share = FeatureCache.Open(Folder(1), CacheFixture.Key);
        Should.Throw<CacheLockedException>(() => cache.TakeOver(Folder(1)));
        Directory.Exists(Folder(1)).ShouldBeTrue();
    }

    public void Dispose() => _fixture.Dispose();

    private string Folder(int rank) => _fixture.File($"rank-{rank}");

    private void Share(int rank, IEnumerable<Clip> clips)
    {
        using FeatureCache share = FeatureCache.Open(Folder(rank), CacheFixture.Key);
        foreach (Clip clip in clips)
        {
            if (_failures.TryGetValue(clip.RelativePath, out string? status))
            {
                share.AppendFailure(clip.ContentHash, status, $"details of {clip.RelativePath}");
            }
            else
            {
                share.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
            }
        }
    }
}
