using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary><c>train --profile</c> of the built program, from clips to the table.</summary>
public class ProfileTests
{
    [Fact]
    public void A_run_from_clips_ends_with_a_table_a_sentence_for_each_stage_and_a_file_for_Perfetto()
    {
        using TemporaryFolder folder = new();
        CommandRunner.RunIn(folder.Path, [], "demo", "--clips-only", "--clips", "12", "--output", "demo").ExitCode.ShouldBe(0);

        CommandOutcome outcome = CommandRunner.RunIn(
            folder.Path, [], "train", "--dataset-path", "demo/dataset", "--preset", "original", "--max-corrupt", "0.5", "--frames", "1",
                "--epochs", "3", "--batch-size", "4", "--checkpoint-dir", "run", "--profile", "2,4");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        string[] lines = outcome.Output.Split('\n');
        foreach (string name in new[] { "conv1_1", "conv5_4", "fc2", "decoding", "resizing", "waiting for frames" })
        {
            lines.Count(line => line.StartsWith("extract ", StringComparison.Ordinal) && line.Contains($" {name} ")).ShouldBe(1, name);
        }

        foreach (string name in new[] { "lstm_1", "lstm_1 backward", "loss", "optimiser", "waiting for data" })
        {
            lines.Where(line => line.StartsWith("train ", StringComparison.Ordinal) && line.Contains($" {name}  ")).ShouldHaveSingleItem()
                .ShouldMatch(@" 3 +[0-9.]+$", name);
        }

        lines.Count(line => line.Contains(" is the bottleneck ")).ShouldBe(2);
        outcome.Output.ShouldContain("profile_trace.json");
        using var trace = JsonDocument.Parse(File.ReadAllBytes(folder.File("run/profile_trace.json")));
        trace.RootElement.GetProperty("traceEvents").GetArrayLength().ShouldBeGreaterThan(50);
        using var results = JsonDocument.Parse(File.ReadAllBytes(folder.File("run/training_results.json")));
        results.RootElement.GetProperty("profile").GetProperty("rows").GetArrayLength().ShouldBeGreaterThan(20);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("20,10")]
    [InlineData("ten")]
    public void What_is_no_range_of_steps_is_a_usage_error(string steps)
    {
        using TemporaryFolder folder = new();

        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], "train", "--features-dir", "features", "--profile", steps);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldStartWith($"error: --profile: \"{steps}\" is not valid; expected FIRST,LAST");
    }
}
