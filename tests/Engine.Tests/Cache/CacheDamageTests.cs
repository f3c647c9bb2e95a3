using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>Files that are damaged, missing or somebody else's.</summary>
public sealed class CacheDamageTests : IDisposable
{
    private readonly CacheFixture _fixture = new();
    private readonly VideoDataset _dataset = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4, 5, 6, 7, 8));

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(7)]
    public void Damage_in_a_sampled_row_is_noticed_at_once(int row)
    {
        _fixture.Run(_dataset);
        _fixture.Corrupt("train_features.npy", _fixture.RowOffset("train_features.npy", row) + 7);

        using (FeatureCache cache = _fixture.Open())
        {
            cache.Notes.ShouldHaveSingleItem().ShouldContain($"has lost 1 of its 8 rows, of which row {row} is the first");
        }

        _fixture.Run(_dataset).Planned.ShouldBe(1);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    [Fact]
    public void Damage_elsewhere_is_found_by_verify_and_repaired_on_demand()
    {
        _fixture.Run(_dataset);
        _fixture.Corrupt("train_features.npy", _fixture.RowOffset("train_features.npy", 2));
        _fixture.Corrupt("train_features.npy", _fixture.RowOffset("train_features.npy", 3));

        CacheInspector.Verify(_fixture.Directory).Problems.Select(problem => problem.Split(':')[0]).ShouldBe(
            [$"'{_fixture.File("train_features.npy")}', row 2", $"'{_fixture.File("train_features.npy")}', row 3"]);
        CacheMaintenance.MarkDamaged(_fixture.Directory).ShouldBe(2);

        using (FeatureCache cache = _fixture.Open())
        {
            cache.Notes.ShouldNotContain(note => note.Contains("interrupted"), "rows that were lost are no videos that were extracted");
        }

        _fixture.Run(_dataset).Planned.ShouldBe(2);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
        CacheInspector.Verify(_fixture.Directory).Problems.ShouldBeEmpty();
    }

    [Fact]
    public void Damage_never_reaches_a_new_file()
    {
        _fixture.Run(_dataset);
        _fixture.Corrupt("train_features.npy", _fixture.RowOffset("train_features.npy", 2));
        VideoDataset changed = CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4, 5, 6, 7, 9));

        Should.Throw<CacheException>(() => _fixture.Run(changed)).Message.ShouldContain("The features of '003.mp4' in");

        // The row that was extracted for the new clip is kept, the damaged one is made again.
        _fixture.Run(changed).Planned.ShouldBe(1);
        _fixture.SnapshotOfDataset().ShouldBe(CacheFixture.Undisturbed(changed));
    }

    [Fact]
    public void A_truncated_file_is_completed()
    {
        _fixture.Run(_dataset);
        string path = _fixture.File("train_features.npy");
        byte[] whole = File.ReadAllBytes(path);
        for (int length = 0; length < whole.Length; length += 13)
        {
            File.WriteAllBytes(path, whole[..length]);
            int lost = 8 - (Math.Max(0, length - 128) / CacheFixture.Key.RowBytes);
            using (FeatureCache cache = _fixture.Open())
            {
                cache.Notes.ShouldHaveSingleItem().ShouldContain($"has lost {lost} of its 8 rows");
            }

            _fixture.Run(_dataset).Planned.ShouldBe(lost);
            File.ReadAllBytes(path).ShouldBe(whole);
        }
    }

    [Theory]
    [InlineData("train_features.npy", 8)]
    [InlineData("train_labels.npy", 0)]
    [InlineData("train_videos.csv", 0)]
    [InlineData("test_features.npy", 0)]
    public void A_missing_file_is_made_again(string name, int planned)
    {
        _fixture.Run(_dataset);
        File.Delete(_fixture.File(name));

        _fixture.Run(_dataset).Planned.ShouldBe(planned);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    [Fact]
    public void Labels_changed_by_someone_are_written_again()
    {
        _fixture.Run(_dataset);
        NpyFile.Write<long>(_fixture.File("train_labels.npy"), [1, 1, 1, 1, 1, 1, 1, 1], 8);

        _fixture.Run(_dataset).Summary.Changed.ShouldBeTrue();
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    [Theory]
    [InlineData("train_features.npy")]
    [InlineData("val_labels.npy")]
    [InlineData("test_videos.csv")]
    public void Files_from_elsewhere_are_refused_and_kept(string name)
    {
        Directory.CreateDirectory(_fixture.Directory);
        File.WriteAllText(_fixture.File(name), "precious");

        Should.Throw<CacheException>(() => _fixture.Run(_dataset))
            .Message.ShouldStartWith($"'{_fixture.File(name)}' was not written by this cache");
        File.ReadAllText(_fixture.File(name)).ShouldBe("precious");
        CacheMaintenance.Clear(_fixture.Directory, staleOnly: false).Kept.ShouldHaveSingleItem().RelativePath.ShouldBe(name);
        File.ReadAllText(_fixture.File(name)).ShouldBe("precious");
    }

    public static TheoryData<string, long[]> ForeignShapes() => new()
    {
        { "the same shape", [8, 2, 3] },
        { "more rows", [9, 2, 3] },
        { "fewer rows", [7, 2, 3] },
        { "other frames", [8, 3, 3] },
        { "another rank", [8, 6] },
    };

    [Theory]
    [MemberData(nameof(ForeignShapes))]
    public void A_file_that_took_the_place_of_ours_is_refused_and_kept(string what, long[] shape)
    {
        _fixture.Run(_dataset);
        string path = _fixture.File("train_features.npy");
        NpyFile.Write<float>(path, new float[shape.Aggregate((a, b) => a * b)], shape);
        byte[] foreign = File.ReadAllBytes(path);

        string message = Should.Throw<CacheException>(() => _fixture.Run(_dataset), what).Message;

        message.ShouldStartWith($"'{path}' is not the file that 'train_rows.json' describes");
        CacheInspector.Info(_fixture.Directory).Problems.ShouldContain(message);
        CacheMaintenance.Clear(_fixture.Directory, staleOnly: false).Kept.Count.ShouldBe(4);
        File.ReadAllBytes(path).ShouldBe(foreign);
    }

    [Fact]
    public void A_description_damaged_at_any_byte_is_never_believed()
    {
        _fixture.Run(_dataset);
        string path = _fixture.File("val_rows.json");
        byte[] whole = File.ReadAllBytes(path);
        int body = Encoding.UTF8.GetString(whole).LastIndexOf("\"crc32c\"", StringComparison.Ordinal);
        for (int offset = 0; offset < body; offset++)
        {
            byte[] damaged = (byte[])whole.Clone();
            damaged[offset] ^= 2;
            File.WriteAllBytes(path, damaged);

            Should.Throw<CacheException>(() => CommittedSplit.Open(new SplitFiles(_fixture.Directory, DatasetSplit.Validation)),
                $"byte {offset}")
                .Message.ShouldContain("val_rows.json");
        }
    }

    [Fact]
    public void A_damaged_description_is_refused_until_it_is_cleared()
    {
        _fixture.Run(_dataset);
        _fixture.Corrupt("train_rows.json", 300);

        Should.Throw<CacheException>(() => _fixture.Run(_dataset)).Message.ShouldContain("Remove them with 'cudatrainer cache clear'");
        CacheMaintenance.Clear(_fixture.Directory, staleOnly: false).Kept.ShouldBeEmpty();

        _fixture.Run(_dataset).Planned.ShouldBe(10);
        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    [Fact]
    public void A_commit_list_from_elsewhere_is_refused()
    {
        _fixture.Run(_dataset);
        foreach (string text in (string[])["", "{}", "[1]",
            """{"format":["cudatrainer cache commit 1"],"replace":[],"delete":["../precious"]}"""])
        {
            File.WriteAllText(_fixture.File(CacheCommit.FileName), text);

            Should.Throw<CacheException>(() => _fixture.Open()).Message.ShouldContain("is not a list of changes written by this cache");
        }
    }

    [Fact]
    public void An_unfinished_extraction_of_an_earlier_version_is_named_and_kept_until_it_is_cleared()
    {
        _fixture.Run(_dataset);
        string log = _fixture.File("rows-0123456789ab.partial");
        File.WriteAllBytes(log, [.. "CTROWS\0\x01"u8, 1, 2, 3]);
        File.WriteAllText(_fixture.File("rows-mine.partial"), "precious");

        using (FeatureCache cache = _fixture.Open())
        {
            cache.Notes.ShouldHaveSingleItem().ShouldStartWith($"'{log}' is an unfinished extraction of an earlier version");
        }

        CacheInspector.Info(_fixture.Directory).Problems.ShouldHaveSingleItem().ShouldContain(log);
        CacheMaintenance.Clear(_fixture.Directory, staleOnly: true).Removed.ShouldBe([log]);
        File.Exists(_fixture.File("rows-mine.partial")).ShouldBeTrue();
    }

    [Fact]
    public void A_commit_that_an_earlier_version_did_not_finish_is_finished()
    {
        _fixture.Run(_dataset);
        SortedDictionary<string, string> before = _fixture.Snapshot();
        File.Move(_fixture.File("train_labels.npy"), _fixture.File("train_labels.npy.new"));
        File.WriteAllBytes(_fixture.File("rows-0123456789ab.partial"), [.. "CTROWS\0\x01"u8]);
        File.WriteAllText(_fixture.File(CacheCommit.FileName), """
            {"format":["cudatrainer cache commit 1"],"replace":["train_labels.npy"],"delete":["rows-0123456789ab.partial"]}
            """);

        _fixture.Open().Dispose();

        _fixture.Snapshot().ShouldBe(before);
    }

    [Fact]
    public void A_full_disk_is_noticed_before_the_work_begins()
    {
        var disk = new FaultyDisk { ClaimedFree = 500 };
        using FeatureCache cache = _fixture.Open(disk: disk);

        CacheFullException full = Should.Throw<CacheFullException>(() => cache.Plan(_dataset));

        full.BytesFree.ShouldBe(500);
        full.BytesNeeded.ShouldBe((10 * ClipFolder.FileBytes(CacheFixture.Key.RowBytes)) + (10 * CacheFixture.Key.RowBytes));
        full.Message.ShouldContain("560 bytes more, 500 bytes are free");
        full.Message.ShouldContain("FeatureDtype float16");
    }

    [Fact]
    public void A_disk_that_fills_up_anywhere_costs_nothing_that_was_stored()
    {
        SortedDictionary<string, string> expected = CacheFixture.Undisturbed(_dataset);
        int filled = 0;
        for (int room = 0; ; room += 97)
        {
            _fixture.Reset();
            var disk = new FaultyDisk { Room = room };
            int stored = 0;
            try
            {
                using FeatureCache cache = _fixture.Open(disk: disk);
                foreach (Clip clip in cache.Plan(_dataset).Missing)
                {
                    cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
                    stored++;
                }

                cache.Commit(_dataset);
                break;
            }
            catch (CacheFullException full)
            {
                full.BytesNeeded.ShouldBeGreaterThan(0);
                filled++;
            }

            _fixture.Run(_dataset).Planned.ShouldBe(10 - stored, $"room for {room} bytes");
            _fixture.Snapshot().ShouldBe(expected, $"room for {room} bytes");
        }

        filled.ShouldBeGreaterThan(20);
    }

    [Fact]
    public void A_session_goes_on_when_there_is_room_again()
    {
        var disk = new FaultyDisk { Room = 300 };
        using (FeatureCache cache = _fixture.Open(disk: disk))
        {
            foreach (Clip clip in cache.Plan(_dataset).Missing)
            {
                try
                {
                    cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
                }
                catch (CacheFullException)
                {
                    disk.Room = long.MaxValue;
                    cache.Append(clip.ContentHash, CacheFixture.Features(clip.ContentHash));
                }
            }

            cache.Commit(_dataset);
        }

        _fixture.Snapshot().ShouldBe(CacheFixture.Undisturbed(_dataset));
    }

    [Fact]
    public void The_checksum_is_castagnolis()
    {
        // The check value of RFC 3720 and every catalogue of CRCs.
        Crc32C.Of("123456789"u8).ShouldBe(0xe3069283);
        Crc32C.Of([]).ShouldBe(0u);
        Crc32C.Of(new byte[32]).ShouldBe(0x8a9136aa);
    }

    public void Dispose() => _fixture.Dispose();
}
