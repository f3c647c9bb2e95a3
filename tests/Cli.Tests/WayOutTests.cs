using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>What is measured is honest, and what was found is told, by the built program.</summary>
public sealed class WayOutTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public WayOutTests()
    {
        FeatureFolder.Write(_folder.File("features"));
        Run("train", "--features-dir", "features", "--checkpoint-dir", "run", "--model", "linear", "--no-report").ExitCode.ShouldBe(0);
    }

    [Fact]
    public void Clips_that_were_trained_on_are_no_test()
    {
        foreach (string split in (string[])["train", "val"])
        {
            File.Copy(_folder.File($"features/{split}_features.npy"), Other($"{split}_features.npy"));
            File.Copy(_folder.File($"features/{split}_labels.npy"), Other($"{split}_labels.npy"));
        }

        File.Copy(_folder.File("features/train_features.npy"), Other("test_features.npy"));
        File.Copy(_folder.File("features/train_labels.npy"), Other("test_labels.npy"));

        CommandOutcome measured = Run("evaluate", "--checkpoint", "run", "--features-dir", "other", "--json");

        measured.Error.ShouldContain("24 of the 24 clips of test are clips that 'run/best_model.safetensors' was trained on");
        measured.Error.ShouldNotContain("clips of val are");
        using var json = JsonDocument.Parse(measured.Output);
        json.RootElement.GetProperty("test").GetProperty("trained_on").GetInt32().ShouldBe(24);
        json.RootElement.GetProperty("val").GetProperty("trained_on").GetInt32().ShouldBe(0);
    }

    [Fact]
    public void Runs_that_were_measured_on_other_clips_are_not_ranked()
    {
        FeatureFolder.Write(_folder.File("more"), held: 15);
        Run("train", "--features-dir", "more", "--checkpoint-dir", "second", "--model", "linear", "--no-report").ExitCode.ShouldBe(0);

        Run("report", "run", "second", "--output", "both.html").ExitCode.ShouldBe(0);

        string page = File.ReadAllText(_folder.File("both.html"));
        page.ShouldContain("These runs are not ranked: they were measured on other test clips (12, 15, of which 12 are in all of them)");
        page.ShouldNotContain("has the highest balanced accuracy");
    }

    [Fact]
    public void A_result_is_shown_even_if_its_file_cannot_be_written()
    {
        File.WriteAllText(_folder.File("file"), "in the way");

        CommandOutcome measured = Run("evaluate", "--checkpoint", "run", "--features-dir", "features", "--output", "file/results");

        measured.ExitCode.ShouldBe(1);
        measured.Output.ShouldContain("balanced accuracy");
        measured.Output.ShouldNotContain("written to");
        measured.Error.ShouldContain("The result was found but could not be written");
    }

    [Fact]
    public void Nobody_has_to_read_the_log()
    {
        foreach (string log in (string[])["/dev/full", "&-"])
        {
            CommandOutcome trained = Shell(
                $"train --features-dir features --checkpoint-dir unread --overwrite --model frame-mlp --epochs 3 2>{log}");

            trained.ExitCode.ShouldBe(0, log);
            trained.Output.ShouldContain("Results of the best checkpoint");
        }
    }

    [Fact]
    public void Results_that_cannot_be_told_are_an_error()
    {
        CommandOutcome measured = Shell("evaluate --checkpoint run --features-dir features >/dev/full");

        measured.ExitCode.ShouldBe(1);
        measured.Error.ShouldContain("Standard output cannot be written");
    }

    [Fact]
    public void More_threads_than_the_machine_can_use_are_not_used()
    {
        CommandOutcome trained = Run("train", "--features-dir", "features", "--checkpoint-dir", "threads", "--model", "linear",
            "--no-report", "--threads", "1000");

        trained.ExitCode.ShouldBe(0, trained.Error);
        trained.Error.ShouldContain($"{Environment.ProcessorCount} threads instead of 1000");
    }

    public void Dispose() => _folder.Dispose();

    private string Other(string name)
    {
        Directory.CreateDirectory(_folder.File("other"));
        return _folder.File($"other/{name}");
    }

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);

    private CommandOutcome Shell(string line) =>
        ChildProcess.Run("bash", ["-c", $"exec dotnet '{CommandRunner.ProgramFile}' {line}"], _folder.Path, []);
}
