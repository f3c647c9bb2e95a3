using System.Runtime.Versioning;

namespace CudaTrainer.Cli.Tests;

/// <summary>Folders with everything in them that is no clip, as every command that reads folders meets them.</summary>
[SupportedOSPlatform("linux")]
public sealed class FolderTests : IDisposable
{
    private const UnixFileMode Listable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private readonly TemporaryFolder _folder = new();

    public FolderTests()
    {
        File.SetUnixFileMode(_folder.Path, Listable);
        foreach (string name in new[] { "Violence/a", "Violence/b", "Violence/deep/c", "Normal/d", "Normal/e", "Normal/f", "Weaponized/g" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1], frames: 8);
        }

        Directory.CreateSymbolicLink(_folder.File("clips/Violence/deep/up"), "..");
        Directory.CreateSymbolicLink(_folder.File("clips/Normal/up"), "../Normal");
        _folder.File("clips/Violence/.hidden.mp4", "not looked at");
        Directory.CreateDirectory(_folder.File("clips/Normal/locked"));
        File.SetUnixFileMode(_folder.File("clips/Normal/locked"), UnixFileMode.None);
        TemporaryFolder.MakeFifo(_folder.File("clips/Normal/pipe.mp4"));
    }

    [Theory]
    [InlineData("predict", "clips")]
    [InlineData("evaluate", "--nonviolent-videos", "clips", "--window", "0.2", "--output", ".")]
    [InlineData("data", "scan", "clips")]
    [InlineData("doctor", "clips")]
    [InlineData("train", "--dataset-path", "clips", "--dry-run")]
    [InlineData("train", "--dataset-path", "clips", "--fast-dev-run", "1", "--model", "linear", "--stream", "motion")]
    [InlineData("extract", "--dataset-path", "clips", "--stream", "motion")]
    [InlineData("cv", "--dataset-path", "clips", "--folds", "2", "--stream", "motion")]
    public void Every_command_says_the_same_of_a_folder(params string[] command)
    {
        CommandOutcome outcome = Run(command);

        outcome.Error.ShouldContain("Normal/locked/': cannot be read: permission denied", customMessage: outcome.Output);
        outcome.Error.ShouldContain("Violence/deep/up/ (a link to a folder already listed)");
        outcome.Error.ShouldContain("Normal/up/ (a link to a folder already listed)");
        outcome.Error.ShouldContain("Violence/.hidden.mp4 (hidden)");
        if (command[0] is not ("predict" or "evaluate"))
        {
            outcome.Error.ShouldContain("Weaponized/ (not a class folder");
        }
    }

    [Fact]
    public void Prediction_answers_for_what_can_be_read_and_names_the_rest()
    {
        CommandOutcome outcome = Run("predict", "clips", "--csv");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        string[] rows = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        rows.Count(row => row.Contains(",ok,")).ShouldBe(7);
        rows.ShouldContain(row => row.StartsWith("clips/Normal/pipe.mp4,,,") && row.Contains(",not a regular file,"));
        rows[^1].ShouldStartWith("clips/Normal/locked/,,,");
        rows[^1].ShouldContain(",unreadable,");
        Run("predict", "clips", "--strict").ExitCode.ShouldBe(1);
        Run("predict", "clips/Violence", "--strict").ExitCode.ShouldBe(0);
        CommandOutcome windows = Run("predict", "clips", "--window", "0.2", "--csv");
        windows.ExitCode.ShouldBe(0, windows.Error);
        windows.Output.ShouldContain("clips/Normal/locked/,,,,,");

        CommandOutcome locked = Run("predict", "clips/Normal/locked");
        locked.ExitCode.ShouldBe(1);
        locked.Error.ShouldContain("error: There are no videos in 'clips/Normal/locked' that can be read.");
    }

    public void Dispose()
    {
        File.SetUnixFileMode(_folder.File("clips/Normal/locked"), Listable);
        _folder.Dispose();
    }

    /// <summary>An administrator may read everything: there the program runs as somebody else.</summary>
    private CommandOutcome Run(params string[] arguments)
    {
        string[] asUser = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
        return ChildProcess.Run("env", ["--", .. asUser, "dotnet", CommandRunner.ProgramFile, .. arguments], _folder.Path,
            [new("HOME", _folder.Path)]);
    }
}
