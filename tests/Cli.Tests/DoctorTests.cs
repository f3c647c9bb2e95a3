using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

public class DoctorTests
{
    [Fact]
    public void Json_lists_every_check_with_its_status()
    {
        using TemporaryFolder folder = new();
        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], "doctor", "--json");

        using var json = JsonDocument.Parse(outcome.Output);
        var checks = json.RootElement.GetProperty("checks").EnumerateArray().ToDictionary(check => check.GetProperty("name").GetString()!);
        new[] { "cudatrainer", "system", ".NET", "processor", "memory", "SIMD", "terminal", "video", "hdf5", "MPI", "CUDA", "self-test cpu", "feature cache", "checkpoints" }.ShouldBeSubsetOf(checks.Keys);
        checks.Values.ShouldAllBe(check => check.GetProperty("status").GetString() == "ok" || check.GetProperty("remedy")
            .GetString()!.Length > 0);
        bool anyFailed = checks.Values.Any(check => check.GetProperty("status").GetString() == "fail");
        json.RootElement.GetProperty("healthy").GetBoolean().ShouldBe(!anyFailed);
        outcome.ExitCode.ShouldBe(anyFailed ? 1 : 0);
        Directory.EnumerateFileSystemEntries(folder.Path).ShouldBeEmpty();
        Found("feature cache").ShouldMatch(@", writes [0-9]+ MB/s$");
        Found("self-test cpu").ShouldMatch("^[1-9][0-9] ops agree with the reference, off by [0-9.]+e-[0-9]+ at most$");

        string Found(string check) => checks[check].GetProperty("found").GetString()!;
    }

    [Fact]
    public void A_level_this_machine_lacks_fails_with_the_remedy()
    {
        CommandOutcome outcome = CommandRunner.RunIn(Environment.CurrentDirectory, new() { ["CUDATRAINER_SIMD"] = "v9999" }, "doctor");

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldContain("FAIL  SIMD");
        outcome.Output.ShouldContain("-> unset CUDATRAINER_SIMD");
    }

    [Fact]
    public void A_folder_that_cannot_be_made_fails()
    {
        using TemporaryFolder folder = new();
        string file = folder.File("file", "");

        CommandOutcome outcome =
            CommandRunner.Run("doctor", "--cache-dir", "/proc/none/cache", "--checkpoint-dir", Path.Combine(file, "run"));

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldContain("FAIL  feature cache");
        outcome.Output.ShouldContain("FAIL  checkpoints");
    }
}
