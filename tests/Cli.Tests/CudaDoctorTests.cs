using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>What doctor says of CUDA. What a process can use is looked up once, so each of these is a process of its own.</summary>
public sealed class CudaDoctorTests : IDisposable
{
    private const string Simulator = "CUDATRAINER_CUDA_SIMULATOR";

    private static readonly string Libraries = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../cudasim"));

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void No_driver_is_a_normal_state()
    {
        (CommandOutcome outcome, JsonElement cuda, Func<string, JsonElement> check) =
            Doctor(new() { ["CUDATRAINER_LIBCUDA"] = "/nowhere/libcuda.so.1" });
        outcome.ExitCode.ShouldBe(0);
        Status(check("CUDA")).ShouldBe("ok");
        Found(check("CUDA")).ShouldContain("the CUDA driver was not found (tried /nowhere/libcuda.so.1: ");
        Found(check("CUDA")).ShouldEndWith("the CPU is used");
        cuda.GetProperty("available").GetBoolean().ShouldBeFalse();
        cuda.GetProperty("devices").GetArrayLength().ShouldBe(0);
        JsonElement attempt = cuda.GetProperty("libraries")[0].GetProperty("trace").EnumerateArray().ShouldHaveSingleItem();
        attempt.GetProperty("path").GetString().ShouldBe("/nowhere/libcuda.so.1");
    }

    [Fact]
    public void Training_on_CUDA_without_CUDA_fails_and_says_why()
    {
        string features = FeatureFolder.Write(_folder.File("features"));
        CommandOutcome outcome = CommandRunner.RunIn(
            _folder.Path, Without(new() { ["CUDATRAINER_LIBCUDA"] = "/nowhere/libcuda.so.1" }), "train", "--features-dir", features,
                "--device", "cuda:0", "--epochs", "1");
        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("CUDA is not available: the CUDA driver was not found (tried /nowhere/libcuda.so.1: ");
    }

    // Unwaited, the failure comes out of whichever call is next once it has happened: only its code is certain.
    [Theory]
    [InlineData("0", "failed on cuda:0: CUDA_ERROR_LAUNCH_FAILED (719)")]
    [InlineData("1", "cuLaunchKernel(SoftmaxFocalLoss_Run_f16) failed on cuda:0: CUDA_ERROR_LAUNCH_FAILED (719)")]
    public void A_failed_kernel_is_named_when_every_launch_is_waited_for(string wait, string message)
    {
        string features = FeatureFolder.Write(_folder.File("features"));
        CommandOutcome outcome = CommandRunner.RunIn(
            _folder.Path, new()
            {
                [Simulator] = RequireSimulator(),
                ["CUDASIM_FAIL_LAUNCH"] = "SoftmaxFocalLoss_Run_f16",
                ["CUDATRAINER_SYNC"] = wait
            },
            "train", "--features-dir", features, "--device", "cuda:0", "--epochs", "1", "--model", "frame-mlp");
        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain(message);
    }

    [Theory]
    [InlineData("12.5", 0, "compute capability 12.5")]
    [InlineData("3.0", 1, "SIMULATED GPU 0 has 3.0")]
    public void A_GPU_newer_than_what_kernels_are_compiled_for_works_and_one_too_old_is_told(string capability, int exitCode,
        string message)
    {
        string features = FeatureFolder.Write(_folder.File("features"));
        CommandOutcome outcome = CommandRunner.RunIn(
            _folder.Path, new()
            {
                [Simulator] = RequireSimulator(),
                ["CUDASIM_COMPUTE_CAPABILITY"] = capability,
                ["CUDATRAINER_KERNEL_CACHE"] = _folder.File("kernels")
            },
            "train", "--features-dir", features, "--device", "cuda:0", "--epochs", "1", "--model", "frame-mlp");
        outcome.ExitCode.ShouldBe(exitCode, outcome.Error);
        outcome.Error.ShouldContain(message);
        Directory.Exists(_folder.File("kernels")).ShouldBe(exitCode == 0);
    }

    [Fact]
    public void The_simulator_is_said_to_be_one()
    {
        (CommandOutcome outcome, JsonElement cuda, Func<string, JsonElement> check) =
            Doctor(new() { [Simulator] = RequireSimulator(), ["CUDASIM_DEVICES"] = "3" });
        outcome.ExitCode.ShouldBe(0);
        Status(check("CUDA")).ShouldBe("warn");
        Found(check("CUDA")).ShouldBe("SIMULATED: 3 simulated devices");
        foreach (string name in new[] { "CUDA driver", "cuBLAS", "cuDNN", "NCCL" })
        {
            Found(check(name)).ShouldStartWith("SIMULATED ");
            Found(check(name)).ShouldContain(Libraries);
        }

        Found(check("cuda:2")).ShouldMatch(@"SIMULATED GPU 2, compute capability 8\.0, .* GiB, .* free, GPU-");
        Found(check("kernels of cuda:2")).ShouldMatch(@"^PTX 7\.0 for sm_80, compiled in \d+ ms, loaded in \d+ ms$");
        Found(check("GPU to GPU")).Split(", ")
            .ShouldBe(["0->1 direct", "0->2 direct", "1->0 direct", "1->2 direct", "2->0 direct", "2->1 direct"]);
        cuda.GetProperty("simulated").GetBoolean().ShouldBeTrue();
        cuda.GetProperty("devices").GetArrayLength().ShouldBe(3);
    }

    [Fact]
    public void A_GPU_that_kernels_do_not_run_on_fails()
    {
        (CommandOutcome outcome, _, Func<string, JsonElement> check) =
            Doctor(new() { [Simulator] = RequireSimulator(), ["CUDASIM_COMPUTE_CAPABILITY"] = "6.1" });
        outcome.ExitCode.ShouldBe(1);
        Status(check("kernels of cuda:0")).ShouldBe("fail");
        Found(check("kernels of cuda:0"))
            .ShouldContain("kernels are written for compute capability 7.0 and newer; SIMULATED GPU 0 has 6.1");
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void GPUs_that_do_not_reach_each_other_are_shown_so()
    {
        (_, _, Func<string, JsonElement> check) = Doctor(new() { [Simulator] = RequireSimulator(), ["CUDASIM_PEER"] = "off" });
        Found(check("GPU to GPU")).ShouldBe("0->1 by way of the host, 1->0 by way of the host");
    }

    [Fact]
    public void The_simulator_is_refused_unless_its_own_variable_names_it()
    {
        RequireSimulator();
        (_, JsonElement cuda, Func<string, JsonElement> check) =
            Doctor(new() { ["CUDATRAINER_LIBCUDA"] = Path.Combine(Libraries, "libcuda.so.1") });
        Status(check("CUDA")).ShouldBe("warn");
        Found(check("CUDA")).ShouldContain("it is the simulator, which only CUDATRAINER_CUDA_SIMULATOR may choose");
        cuda.GetProperty("available").GetBoolean().ShouldBeFalse();
        cuda.GetProperty("simulated").GetBoolean().ShouldBeFalse();
    }

    [Fact]
    public void An_old_driver_is_told_with_what_is_needed()
    {
        (_, JsonElement cuda, Func<string, JsonElement> check) =
            Doctor(new() { [Simulator] = RequireSimulator(), ["CUDASIM_DRIVER_VERSION"] = "11020" });
        Status(check("CUDA")).ShouldBe("warn");
        Found(check("CUDA")).ShouldContain("11.2; 11.4 or newer is needed: install a newer NVIDIA driver");
        cuda.GetProperty("available").GetBoolean().ShouldBeFalse();
    }

    [Fact]
    public void A_driver_older_than_the_libraries_is_told_too()
    {
        (_, JsonElement cuda, Func<string, JsonElement> check) =
            Doctor(new() { [Simulator] = RequireSimulator(), ["CUDASIM_DRIVER_VERSION"] = "11080" });
        Status(check("cuBLAS")).ShouldBe("warn");
        Found(check("cuBLAS")).ShouldContain("it is of CUDA 12, and the driver supports only CUDA 11");
        cuda.GetProperty("reason").GetString()!.ShouldContain("cuBLAS was not found");
    }

    [Theory]
    [InlineData("libcublas.so.12", "cuBLAS", false)]
    [InlineData("libcudnn.so.9", "cuDNN", true)]
    [InlineData("libnccl.so.2", "NCCL", true)]
    public void A_missing_library_is_named_with_the_file_that_was_tried(string file, string name, bool available)
    {
        (CommandOutcome outcome, JsonElement cuda, Func<string, JsonElement> check) =
            Doctor(new() { [Simulator] = SimulatorWithout(file) });
        outcome.ExitCode.ShouldBe(0);
        Status(check(name)).ShouldBe("warn");
        Found(check(name)).ShouldStartWith($"{name} was not found (tried {_folder.Path}/lib{name.ToLowerInvariant()}.so");
        check(name).GetProperty("remedy").GetString()!.ShouldContain($"CUDATRAINER_LIB{name.ToUpperInvariant()}");
        cuda.GetProperty("available").GetBoolean().ShouldBe(available);
    }

    [Fact]
    public void NCCL_is_not_missed_where_there_is_one_GPU()
    {
        (_, _, Func<string, JsonElement> check) =
            Doctor(new() { [Simulator] = SimulatorWithout("libnccl.so.2"), ["CUDASIM_DEVICES"] = "1" });
        Status(check("NCCL")).ShouldBe("ok");
        Found(check("NCCL")).ShouldStartWith("not needed for one GPU: NCCL was not found (tried ");
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A copy of the simulator that lacks one library.</summary>
    private string SimulatorWithout(string file)
    {
        RequireSimulator();
        foreach (string library in Directory.GetFiles(Libraries, "*.so*").Where(library => Path.GetFileName(library) != file))
        {
            File.Copy(library, Path.Combine(_folder.Path, Path.GetFileName(library)));
        }

        return _folder.Path;
    }

    private static string RequireSimulator()
    {
        Assert.SkipUnless(Directory.Exists(Libraries), "the CUDA simulator has not been built");
        return Libraries;
    }

    private static string Found(JsonElement check) => check.GetProperty("found").GetString()!;

    private static string Status(JsonElement check) => check.GetProperty("status").GetString()!;

    /// <summary>
    /// The environment without what this process may have been told of CUDA. What the simulator has compiled is shared by its copies.
    /// </summary>
    private static Dictionary<string, string?> Without(Dictionary<string, string?> environment)
    {
        environment.TryAdd(Simulator, null);
        environment.TryAdd("CUDASIM_PTX_CACHE", Path.Combine(Libraries, "ptx-cache"));
        return environment;
    }

    private (CommandOutcome Outcome, JsonElement Cuda, Func<string, JsonElement> Check) Doctor(Dictionary<string, string?> environment)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, Without(environment), "doctor", "--json");
        JsonElement root = JsonSerializer.Deserialize<JsonElement>(outcome.Output);
        var checks = root.GetProperty("checks").EnumerateArray().ToDictionary(check => check.GetProperty("name").GetString()!);
        return (outcome, root.GetProperty("cuda"), name => checks[name]);
    }
}
