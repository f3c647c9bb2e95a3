using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

public class DoctorTests
{
    [Fact]
    public void Json_lists_every_check_with_its_status()
    {
        using TemporaryFolder folder = new();
        var outcome = CommandRunner.RunIn(folder.Path, [], "doctor", "--json");

        using var json = JsonDocument.Parse(outcome.Output);
        var checks = json.RootElement.GetProperty("checks").EnumerateArray().ToDictionary(check => check.GetProperty("name").GetString()!);
        new[] { "cudatrainer", "system", ".NET", "processor", "memory", "SIMD", "terminal", "video", "hdf5", "MPI", "CUDA", "self-test cpu", "feature cache", "checkpoints" }.ShouldBeSubsetOf(checks.Keys);
        checks.Values.ShouldAllBe(check => check.GetProperty("status").GetString() == "ok" || check.GetProperty("remedy").GetString()!.Length > 0);
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
        var outcome = CommandRunner.RunIn(Environment.CurrentDirectory, new() { ["CUDATRAINER_SIMD"] = "v9999" }, "doctor");

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldContain("FAIL  SIMD");
        outcome.Output.ShouldContain("-> unset CUDATRAINER_SIMD");
    }

    [Fact]
    public void A_folder_that_cannot_be_made_fails()
    {
        using TemporaryFolder folder = new();
        string file = folder.Write("file", "");

        var outcome = CommandRunner.Run("doctor", "--cache-dir", "/proc/none/cache", "--checkpoint-dir", Path.Combine(file, "run"));

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldContain("FAIL  feature cache");
        outcome.Output.ShouldContain("FAIL  checkpoints");
    }

    [Fact]
    public void Cuda_sources_from_a_folder_are_listed_and_misspelt_ones_are_pointed_out()
    {
        using TemporaryFolder folder = new();
        folder.Write("batch_norm.cu", "");
        Doctor().ShouldContain($"CUDATRAINER_KERNELS: batch_norm.cu from {folder.Path}");
        folder.Write("bath_norm.cu", "");
        Doctor().ShouldContain("-> no embedded source is named bath_norm.cu");

        string Doctor() => CommandRunner.RunIn(Environment.CurrentDirectory, new() { ["CUDATRAINER_KERNELS"] = folder.Path }, "doctor").Output;
    }

    [Fact]
    public void A_folder_of_cuda_sources_that_is_not_there_fails()
    {
        var outcome = CommandRunner.RunIn(Environment.CurrentDirectory, new() { ["CUDATRAINER_KERNELS"] = "/nowhere/kernels" }, "doctor");

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldContain("CUDATRAINER_KERNELS=/nowhere/kernels: there is no such folder.");
    }
}
