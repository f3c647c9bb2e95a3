using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary><c>--device cuda</c> in the built program: on the simulator, and on machines without CUDA.</summary>
public class CudaTests
{
    private static readonly string Simulator = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../cudasim"));

    internal static readonly Dictionary<string, string?> Simulated = new() { ["CUDATRAINER_CUDA_SIMULATOR"] = Simulator };

    private static readonly Dictionary<string, string?> Without =
        new() { ["CUDATRAINER_CUDA_SIMULATOR"] = null, ["CUDATRAINER_LIBCUDA"] = "/nowhere/libcuda.so.1" };

    internal static bool HasSimulator => Directory.Exists(Simulator);

    [Fact]
    public void Without_CUDA_asking_for_it_is_an_error_that_lists_what_was_tried()
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, Without, "train", "--features-dir", "features", "--checkpoint-dir", "run",
            "--device", "cuda");

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines[0].ShouldStartWith("error: --device cuda: CUDA is not available: ");
        outcome.ErrorLines[0].ShouldContain("/nowhere/libcuda.so.1");
        outcome.ErrorLines[1].ShouldContain("doctor");
        Directory.Exists(folder.File("run")).ShouldBeFalse();
    }

    [Fact]
    public void Without_CUDA_auto_computes_on_the_cpu_and_says_why()
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, Without, "train", "--features-dir", "features", "--checkpoint-dir", "run",
            "--epochs", "1");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("auto: no CUDA, the CUDA driver was not found");
    }

    /// <summary>
    /// Training on the simulated GPU, resumed on the CPU's files: the whole path of a user, with SIMULATED said in the first lines.
    /// </summary>
    [Fact]
    public void Train_evaluate_and_gradcheck_run_on_the_simulator()
    {
        Assert.SkipUnless(HasSimulator, "the simulator has not been built");
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        string[] train = ["train", "--features-dir", "features", "--checkpoint-dir", "run", "--device", "cuda:0", "--epochs", "2"];
        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, Simulated, train);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("cuda:0 (asked for): SIMULATED");
        outcome.Error.ShouldContain("each one CUDA graph");
        using var results = JsonDocument.Parse(File.ReadAllText(folder.File("run/training_results.json")));
        results.RootElement.GetProperty("device").GetString()!.ShouldContain("SIMULATED");
        results.RootElement.GetProperty("precision").GetString()!.ShouldContain("fp16");

        CommandOutcome evaluated = CommandRunner.RunIn(folder.Path, Without, "evaluate", "--checkpoint", "run/best_model.safetensors",
            "--features-dir", "features");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);

        CommandOutcome checks = CommandRunner.RunIn(folder.Path, Simulated, "gradcheck", "--device", "cuda:0");
        checks.ExitCode.ShouldBe(0, checks.Output);
        checks.Output.ShouldContain("cuda:0 fp16");
        checks.Output.ShouldContain("checks passed");
    }

    /// <summary>From clips: decoding, VGG19 in half precision, the cache, training and prediction.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void Clips_become_a_trained_model_on_the_simulator()
    {
        Assert.SkipUnless(HasSimulator, "the simulator has not been built");
        using TemporaryFolder folder = new();
        CommandRunner.RunIn(folder.Path, [], "demo", "--clips-only", "--clips", "12", "--output", "demo").ExitCode.ShouldBe(0);
        CommandOutcome trained = CommandRunner.RunIn(
            folder.Path, Simulated, "train", "--dataset-path", "demo/dataset", "--device", "cuda:0", "--max-corrupt", "0.5", "--frames",
                "1", "--epochs", "2", "--batch-size", "4", "--checkpoint-dir", "run");
        trained.ExitCode.ShouldBe(0, trained.Error);
        trained.Error.ShouldContain("SIMULATED");

        string clip = Directory.EnumerateFiles(folder.File("demo/unseen"), "*.mp4", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal).First();
        string[] predict = ["predict", clip, "--checkpoint", "run/best_model.safetensors", "--json"];
        double onCuda = Probability(CommandRunner.RunIn(folder.Path, Simulated, [.. predict, "--device", "cuda:0"])),
            onCpu = Probability(CommandRunner.RunIn(folder.Path, Without, predict));
        onCuda.ShouldBe(onCpu, 0.01);

        static double Probability(CommandOutcome outcome)
        {
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            using var answer = JsonDocument.Parse(outcome.Output);
            return answer.RootElement[0].GetProperty("violent").GetDouble();
        }
    }

    [Fact]
    public void Auto_never_chooses_the_simulator()
    {
        Assert.SkipUnless(HasSimulator, "the simulator has not been built");
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        CommandOutcome outcome =
            CommandRunner.RunIn(folder.Path, Simulated, "train", "--features-dir", "features", "--checkpoint-dir", "run",
            "--epochs", "1");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("the simulated GPU is used only with --device cuda");
    }
}
