using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Cache;

public sealed class CacheInspectorTests : IDisposable
{
    private readonly CacheFixture _fixture = new();
    private readonly VideoDataset _dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4));

    [Fact]
    public void Info_says_what_is_there()
    {
        _fixture.Run(_dataset, new Dictionary<string, string> { ["003.mp4"] = "zero frames" });

        CacheInfo info = CacheInspector.Info(_fixture.Directory, CacheFixture.Key with { Frames = 20 });

        info.Splits.Select(split => (split.Split, split.Rows, split.Failures))
            .ShouldBe([(DatasetSplit.Train, 3, 1), (DatasetSplit.Validation, 2, 0)]);
        info.Splits[0].Key.ShouldBe(CacheFixture.Key.Fields);
        info.Splits[0].Bytes.ShouldBe(Directory.EnumerateFiles(_fixture.Directory, "train_*").Sum(path => new FileInfo(path).Length));
        info.Differences.ShouldHaveSingleItem().ToString().ShouldBe("frames: cached 2, wanted 20");
        info.Partial.ShouldBeEmpty();
        info.Problems.ShouldBeEmpty();
        info.Writer.ShouldBeNull();
    }

    [Fact]
    public void Info_shows_an_unfinished_extraction_and_its_writer()
    {
        using FeatureCache cache = _fixture.Open();
        CacheFixture.Extract(cache, _dataset, new Dictionary<string, string> { ["003.mp4"] = "zero frames" });

        CacheInfo info = CacheInspector.Info(_fixture.Directory);

        PartialExtractionInfo partial = info.Partial.ShouldHaveSingleItem();
        (partial.Rows, partial.Failures).ShouldBe((5, 1));
        partial.Key.ShouldBe(CacheFixture.Key.Fields);
        info.Writer.ShouldBe(Environment.ProcessId);
        info.Bytes.ShouldBeGreaterThanOrEqualTo(partial.Bytes);
    }

    [Fact]
    public void Verify_reads_everything()
    {
        _fixture.Run(_dataset);
        var calls = new List<(int, int)>();

        CacheVerification verification = CacheInspector.Verify(_fixture.Directory, (done, total) => calls.Add((done, total)));

        verification.Rows.ShouldBe(6);
        verification.Problems.ShouldBeEmpty();
        calls.ShouldBe(Enumerable.Range(1, 6).Select(done => (done, 6)));
    }

    [Fact]
    public void Verify_finds_a_flipped_bit_in_any_file()
    {
        _fixture.Run(_dataset);
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, CacheFixture.Dataset(CacheFixture.Clips(1, 2, 9)));
        }

        SortedDictionary<string, byte[]> files = _fixture.Save();
        foreach ((string name, byte[] content) in files)
        {
            _fixture.Corrupt(name, content.Length / 2);

            CacheInspector.Verify(_fixture.Directory).Problems.ShouldNotBeEmpty(name);
            File.WriteAllBytes(_fixture.File(name), content);
        }

        files.Count.ShouldBe(10);
        CacheInspector.Verify(_fixture.Directory).Problems.ShouldBeEmpty();
    }

    [Fact]
    public void Clear_removes_everything_that_is_the_caches()
    {
        _fixture.Run(_dataset);
        File.WriteAllText(_fixture.File("notes.txt"), "mine");
        using (FeatureCache cache = _fixture.Open(CacheFixture.Key with { Frames = 3 }))
        {
            CacheFixture.Extract(cache, _dataset);
        }

        CacheClearing clearing = CacheMaintenance.Clear(_fixture.Directory, staleOnly: false);

        clearing.Kept.ShouldBeEmpty();
        clearing.Bytes.ShouldBeGreaterThan(0);
        _fixture.Snapshot().Keys.ShouldBe(["notes.txt"]);
    }

    [Fact]
    public void Clear_stale_keeps_what_is_in_use()
    {
        _fixture.Run(_dataset);
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, CacheFixture.Dataset(CacheFixture.Clips(1, 2, 9)));
        }

        SortedDictionary<string, string> before = _fixture.Snapshot();
        using (FeatureCache cache = _fixture.Open(CacheFixture.Key with { Frames = 3 }))
        {
            CacheFixture.Extract(cache, _dataset);
        }

        File.WriteAllText(_fixture.File("train_features.npy.new"), "never committed");

        CacheMaintenance.Clear(_fixture.Directory, staleOnly: true);

        _fixture.Snapshot().ShouldBe(before);
    }

    [Fact]
    public void An_unfinished_first_extraction_is_not_stale()
    {
        using (FeatureCache cache = _fixture.Open())
        {
            CacheFixture.Extract(cache, _dataset);
        }

        CacheMaintenance.Clear(_fixture.Directory, staleOnly: true);

        _fixture.Run(_dataset).Planned.ShouldBe(0);
    }

    [Fact]
    public void Nothing_is_cleared_under_a_writer()
    {
        using FeatureCache cache = _fixture.Open();

        Should.Throw<CacheLockedException>(() => CacheMaintenance.Clear(_fixture.Directory, staleOnly: false));
    }

    [Fact]
    public void A_missing_folder_is_named() =>
        Should.Throw<CacheException>(() => CacheInspector.Info(_fixture.Directory)).Message.ShouldBe(
            $"The cache folder '{_fixture.Directory}' does not exist. Check CacheDir.");

    public void Dispose() => _fixture.Dispose();
}
