using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class ContentHashIndexTests : IDisposable
{
    private readonly DatasetFolder _folder = new();

    public ContentHashIndexTests()
    {
        _folder.AddClips("fight", 5).AddClips("normal", 5);
        foreach (string file in Directory.EnumerateFiles(_folder.Path, "*.mp4", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(file, new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        }
    }

    private string IndexFile => Path.Combine(_folder.Beside("cache"), ContentHashIndex.FileName);

    [Fact]
    public void Unchanged_files_are_not_read_again()
    {
        FilesRead().ShouldBe(10);
        FilesRead().ShouldBe(0);
    }

    [Fact]
    public void A_changed_file_is_read_again()
    {
        FilesRead();
        _folder.Add("fight/00.mp4", "changed");

        FilesRead().ShouldBe(1);
    }

    [Fact]
    public void Hashes_are_stored_while_others_are_added()
    {
        var index = ContentHashIndex.Open(_folder.Beside("busy"));
        var facts = FileFacts.Of(Directory.EnumerateFiles(_folder.Path, "*.mp4", SearchOption.AllDirectories).First());
        using var adding = new Task(() =>
        {
            for (int i = 0; i < 200_000; i++)
            {
                index.Remember($"/clips/{i}.mp4", facts, "00", long.MaxValue);
            }
        });
        adding.Start();
        while (!adding.IsCompleted)
        {
            index.Save();
        }

        index.Save();
        ContentHashIndex.Open(_folder.Beside("busy")).Count.ShouldBe(200_000);
    }

    [Fact]
    public void The_remembered_hashes_are_the_right_ones()
    {
        VideoDataset first = Scan(out _);

        Scan(out _).Clips.ShouldBe(first.Clips);
        _folder.Scan().Clips.ShouldBe(first.Clips);
    }

    [Fact]
    public void A_file_that_may_still_change_within_its_time_stamp_is_not_remembered()
    {
        _folder.Add("fight/new.mp4");
        FilesRead().ShouldBe(11);

        FilesRead().ShouldBe(1);
    }

    [Fact]
    public void Files_that_went_away_are_forgotten()
    {
        FilesRead();
        File.Delete(_folder.File("fight/00.mp4"));
        FilesRead();

        File.ReadAllText(IndexFile).ShouldNotContain("fight/00.mp4");
        FilesRead().ShouldBe(0);
    }

    [Fact]
    public void Datasets_share_an_index()
    {
        using var other = new DatasetFolder();
        other.AddClips("fight", 5).AddClips("normal", 5);
        FilesRead();
        other.Scan(new DatasetOptions { IndexDirectory = _folder.Beside("cache") });

        FilesRead().ShouldBe(0);
    }

    [Fact]
    public void A_damaged_index_is_replaced_with_a_warning()
    {
        FilesRead();
        byte[] bytes = File.ReadAllBytes(IndexFile);
        for (int i = 0; i < bytes.Length; i += 101)
        {
            byte[] damaged = (byte[])bytes.Clone();
            damaged[i] ^= 1;
            File.WriteAllBytes(IndexFile, damaged);

            Scan(out int read).Warnings.ShouldHaveSingleItem().ShouldContain("every video is read again");
            read.ShouldBe(10);
            File.ReadAllBytes(IndexFile).ShouldBe(bytes);
        }
    }

    [Fact]
    public void An_index_that_cannot_be_stored_is_only_a_warning()
    {
        File.WriteAllText(_folder.Beside("cache"), "a file where the folder should be");

        Scan(out _).Warnings.ShouldHaveSingleItem().ShouldContain("could not be stored");
    }

    [Fact]
    public void Cancellation_keeps_what_was_hashed()
    {
        using var cancellation = new CancellationTokenSource();
        var options = new DatasetOptions
        {
            IndexDirectory = _folder.Beside("cache"),
            HashThreads = 1,
            HashProgress = (done, _) =>
            {
                if (done == 4)
                {
                    cancellation.Cancel();
                }
            },
        };
        Should.Throw<OperationCanceledException>(() => DatasetScanner.Scan(_folder.Path, options, cancellation.Token));

        FilesRead().ShouldBeInRange(1, 6);
    }

    public void Dispose() => _folder.Dispose();

    private int FilesRead()
    {
        Scan(out int read);
        return read;
    }

    private VideoDataset Scan(out int filesRead)
    {
        int total = 0;
        VideoDataset dataset = _folder.Scan(
            new DatasetOptions { IndexDirectory = _folder.Beside("cache"), HashProgress = (_, toRead) => total = toRead });
        filesRead = total;
        return dataset;
    }
}
