using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Written_content_replaces_the_old_and_leaves_nothing_else()
    {
        string path = _folder.File("state.json", "old content, which is longer"u8);

        AtomicFile.WriteAllText(path, "näu");

        File.ReadAllBytes(path).ShouldBe(Encoding.UTF8.GetBytes("näu"));
        Directory.GetFiles(_folder.Path).ShouldBe([path]);
    }

    [Fact]
    public void Old_content_stays_visible_until_the_commit()
    {
        string path = _folder.File("state", "old"u8);

        AtomicFile.Write(path, stream =>
        {
            stream.Write("new"u8);
            stream.Flush();
            File.ReadAllText(path).ShouldBe("old");
        });

        File.ReadAllText(path).ShouldBe("new");
    }

    [Fact]
    public void A_failing_writer_leaves_the_old_file_and_passes_its_exception_on()
    {
        string path = _folder.File("state", "old"u8);

        Should.Throw<InvalidOperationException>(() => AtomicFile.Write(path, stream =>
        {
            stream.Write("half of the n"u8);
            throw new InvalidOperationException("model exploded");
        })).Message.ShouldBe("model exploded");

        File.ReadAllText(path).ShouldBe("old");
        Directory.GetFiles(_folder.Path).ShouldBe([path]);
    }

    [Fact]
    public void A_writer_that_closes_the_stream_is_fine()
    {
        string path = _folder.File("table.csv");

        AtomicFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream);
            writer.Write("a,b");
        });

        File.ReadAllText(path).ShouldBe("a,b");
    }

    [Fact]
    public void Dispose_without_commit_discards()
    {
        string path = _folder.File("state", "old"u8);

        using (var file = AtomicFile.Create(path))
        {
            file.Append("new"u8);
        }

        File.ReadAllText(path).ShouldBe("old");
        Directory.GetFiles(_folder.Path).ShouldBe([path]);
    }

    [Fact]
    public void A_full_disk_is_named_as_such()
    {
        string path = _folder.File("features.npy", "old"u8);

        IOException error = Should.Throw<IOException>(() => AtomicFile.Write(path, _ =>
        {
            using var full = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            full.Write(new byte[16]);
        }));

        error.Message.ShouldBe($"Cannot write '{path}': the disk is full. Free some space or choose another folder.");
        File.ReadAllText(path).ShouldBe("old");
        Directory.GetFiles(_folder.Path).ShouldBe([path]);
    }

    [Fact]
    public void A_missing_folder_is_named()
    {
        string path = _folder.File("absent/state");

        Should.Throw<IOException>(() => AtomicFile.WriteAllBytes(path, [1])).Message
            .ShouldBe($"Cannot write '{path}': the folder '{_folder.File("absent")}' does not exist.");
    }

    [Fact]
    public void A_folder_in_the_way_is_named()
    {
        string path = Directory.CreateDirectory(_folder.File("state")).FullName;

        Should.Throw<IOException>(() => AtomicFile.WriteAllBytes(path, [1])).Message
            .ShouldBe($"Cannot write '{path}': a folder of that name exists.");
    }

    [Fact]
    public void Threads_writing_one_path_leave_one_whole_file()
    {
        string path = _folder.File("state");
        string[] contents = Enumerable.Range(0, 8).Select(i => new string((char)('a' + i), 10_000)).ToArray();

        System.Threading.Tasks.Parallel.ForEach(contents, content => AtomicFile.WriteAllText(path, content));

        contents.ShouldContain(File.ReadAllText(path));
        Directory.GetFiles(_folder.Path).ShouldBe([path]);
    }

    [Fact]
    public void Stale_temporary_files_are_deleted_and_live_ones_are_not()
    {
        string stale = _folder.File(".state.4242-7.tmp", "half"u8);
        string foreign = _folder.File(".notes.tmp", "mine"u8);
        using var live = AtomicFile.Create(_folder.File("state"));

        AtomicFile.DeleteStale(_folder.Path).ShouldBe([stale]);

        File.Exists(foreign).ShouldBeTrue();
        live.Append("new"u8);
        live.Commit();
        File.ReadAllText(live.Path).ShouldBe("new");
    }

    [Theory]
    [InlineData(".best.safetensors.123-4.tmp", true)]
    [InlineData("best.safetensors.123-4.tmp", false)]
    [InlineData(".best.123.tmp", false)]
    [InlineData(".best.-4.tmp", false)]
    [InlineData(".best.12x-4.tmp", false)]
    [InlineData(".best.123-4.tmp2", false)]
    public void Temporary_names_are_recognised(string name, bool expected) =>
        AtomicFile.IsTemporaryName(name).ShouldBe(expected);
}
