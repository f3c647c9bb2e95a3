using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class FolderLockTests : IDisposable
{
    private const string Name = "writer.lock";

    private readonly TemporaryFolder _folder = new();

    private string File => _folder.File(Name);

    [Fact]
    public void One_holder_at_a_time_and_who_it_is()
    {
        using (FolderLock.Take(_folder.Path, Name))
        {
            FolderWriter writer = Should.Throw<FolderLockedException>(() => FolderLock.Take(_folder.Path, Name)).Writer!;
            (writer.Process, writer.Host).ShouldBe((Environment.ProcessId, Environment.MachineName));
            writer.Since.ShouldBeInRange(DateTime.UtcNow.AddMinutes(-1), DateTime.UtcNow);
            FolderLock.HolderOf(_folder.Path, Name).ShouldBe(writer);
        }

        System.IO.File.ReadAllText(File).ShouldBeEmpty();
        FolderLock.HolderOf(_folder.Path, Name).ShouldBeNull();
        FolderLock.Take(_folder.Path, Name).Dispose();
    }

    /// <summary>A network file system may keep flock to one machine; then the file is touched by its holder on the other one.</summary>
    [Fact]
    public void A_holder_on_another_machine_is_known_by_its_touch()
    {
        System.IO.File.WriteAllText(File, new FolderWriter(7, "elsewhere", DateTime.UtcNow).ToLine());
        using (new Timer(_ => System.IO.File.SetLastWriteTimeUtc(File, DateTime.UtcNow), null, FolderLock.Beat, FolderLock.Beat))
        {
            Should.Throw<FolderLockedException>(() => FolderLock.Take(_folder.Path, Name)).Message.ShouldContain("process 7 on elsewhere");
        }
    }

    [Fact]
    public void What_a_killed_process_left_is_no_lock()
    {
        foreach (string host in (string[])["elsewhere", Environment.MachineName])
        {
            System.IO.File.WriteAllText(File, new FolderWriter(7, host, DateTime.UtcNow).ToLine());
            FolderLock.Take(_folder.Path, Name).Dispose();
        }
    }

    [Fact]
    public async Task The_holder_touches_its_file()
    {
        using (FolderLock.Take(_folder.Path, Name))
        {
            DateTime before = System.IO.File.GetLastWriteTimeUtc(File);
            await Task.Delay(3 * FolderLock.Beat, TestContext.Current.CancellationToken);
            System.IO.File.GetLastWriteTimeUtc(File).ShouldBeGreaterThan(before);
        }
    }

    public void Dispose() => _folder.Dispose();
}
