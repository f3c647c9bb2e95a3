using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>The built program under mpirun, on tiny features and drawn clips.</summary>
public sealed class DistributedTests : IDisposable
{
    private const string Simulator = "CUDATRAINER_CUDA_SIMULATOR";

    private static readonly string SimulatorFolder = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../cudasim"));

    private readonly TemporaryFolder _folder = new();

    /// <summary>24 clips in batches of 5: the last one has 4, as many as the most ranks; with batches of 23 the last has 1.</summary>
    [Theory]
    [InlineData(2, 5)]
    [InlineData(4, 23)]
    public void Ranks_train_as_one_process_does(int ranks, int batch)
    {
        FeatureFolder.Write(_folder.File("features"));
        string[] train = ["--epochs", "2", "--batch-size", $"{batch}", "--sync-batchnorm", "--log-every-steps", "1", "--check-replicas",
            "1", "--ema", "0.8", "--swa-start", "1"];
        CommandOutcome alone = Train("alone", train);
        alone.ExitCode.ShouldBe(0, alone.Error);
        CommandOutcome together = Mpirun(ranks, [], [.. Arguments("together"), .. train, "--distributed", "mpi"]);
        together.ExitCode.ShouldBe(0, together.Output + together.Error);

        // Sums in another order, through two epochs of steps that normalise few samples.
        Losses("together").Zip(Losses("alone")).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < 1e-3 * Math.Abs(pair.Second));
        together.Output.Split("Results of the best checkpoint").Length.ShouldBe(2, "one rank reports");
        using var results = JsonDocument.Parse(File.ReadAllText(_folder.File("together/training_results.json")));
        JsonElement communication = results.RootElement.GetProperty("communication");
        communication.GetProperty("replicas").GetInt32().ShouldBe(ranks);
        communication.GetProperty("bytes_per_step").GetDouble().ShouldBeGreaterThan(1e4);
        File.Exists(_folder.File("together/ema_model.safetensors")).ShouldBeTrue();
        Directory.EnumerateFiles(_folder.File("together")).Select(Path.GetFileName).Order()
            .ShouldBe(Directory.EnumerateFiles(_folder.File("alone")).Select(Path.GetFileName).Order());
    }

    /// <summary>Each rank normalises its own shard, as each virtual device does.</summary>
    [Fact]
    public void Ranks_train_as_virtual_devices_do()
    {
        FeatureFolder.Write(_folder.File("features"));
        string[] train = ["--epochs", "2", "--batch-size", "8", "--log-every-steps", "1"];
        Train("alone", [.. train, "--device", "cpu:2"]).ExitCode.ShouldBe(0);
        CommandOutcome together = Mpirun(2, [], [.. Arguments("together"), .. train, "--distributed", "mpi"]);
        together.ExitCode.ShouldBe(0, together.Error);

        // Two addends have one sum, whoever adds: the same bits.
        Losses("together").ShouldBe(Losses("alone"));
    }

    [Fact]
    public void A_killed_rank_ends_the_others_and_any_number_of_ranks_goes_on()
    {
        FeatureFolder.Write(_folder.File("features"));
        string[] train = ["--sync-batchnorm", "--batch-size", "5", "--early-stopping-patience", "0", "--checkpoint-every", "0"];
        using Process process = StartMpirun(2, [], [.. Arguments("run"), .. train, "--epochs", "100000", "--distributed", "mpi"]);
        SpinWait.SpinUntil(() => File.Exists(_folder.File("run/last.ckpt")) || process.HasExited, TimeSpan.FromMinutes(1)).ShouldBeTrue();
        int victim = Ranks(process).Single(rank => rank.Rank == 1).Pid;
        long began = Stopwatch.GetTimestamp();
        Process.GetProcessById(victim).Kill();
        CommandOutcome outcome = ChildProcess.Finish(process);

        Stopwatch.GetElapsedTime(began).ShouldBeLessThan(TimeSpan.FromSeconds(20));
        outcome.ExitCode.ShouldNotBe(0);
        string log = File.ReadAllText(_folder.File("run/train.log"));
        log.ShouldContain("is in last.ckpt; --resume auto goes on from there");
        int epochs = File.ReadLines(_folder.File("run/training_history.csv")).Count() - 1;
        foreach (int ranks in (int[])[1, 3])
        {
            string[] more = [.. Arguments("run"), .. train, "--epochs", $"{++epochs + 1}", "--resume", "auto"];
            CommandOutcome resumed =
                ranks == 1 ? CommandRunner.RunIn(_folder.Path, [], more) : Mpirun(ranks, [], [.. more, "--distributed", "mpi"]);
            resumed.ExitCode.ShouldBe(0, resumed.Error);
            (resumed.Output + resumed.Error).ShouldContain("resumed from");
        }
    }

    [Fact]
    public void A_rank_that_fails_tells_the_others_why()
    {
        FeatureFolder.Write(_folder.File("features"));
        FeatureFolder.Write(_folder.File("others"), train: 30);
        string program = $"dotnet {CommandRunner.ProgramFile} train --distributed mpi --epochs 1 --checkpoint-dir run --features-dir";
        CommandOutcome outcome = Mpirun(2, [],
            ["bash", "-c", $"if [ $OMPI_COMM_WORLD_RANK = 0 ]; then {program} features; else {program} others; fi"], wrap: false);
        outcome.ExitCode.ShouldNotBe(0);
        outcome.Error.ShouldContain("Rank 1 has other features than rank 0");
        Directory.EnumerateFiles(_folder.File("run"), "*.ckpt").ShouldBeEmpty();
    }

    [Theory]
    [InlineData("none", "error: --distributed mpi: this process was not started by mpirun.")]
    [InlineData("2", "error: --distributed mpi: mpirun has started 2 processes, but Open MPI v")]
    public void Without_mpirun_or_with_that_of_another_MPI_the_error_says_what_to_do(string launched, string message)
    {
        FeatureFolder.Write(_folder.File("features"));
        Dictionary<string, string?> environment = launched == "none"
            ? []
            : new() { ["OMPI_COMM_WORLD_SIZE"] = launched, ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1" };
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, environment, [.. Arguments("run"), "--distributed", "mpi"]);
        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines[0].ShouldStartWith(message);
        outcome.ErrorLines[1].ShouldStartWith("hint: ");
    }

    [Fact]
    public void A_rank_has_one_device()
    {
        FeatureFolder.Write(_folder.File("features"));
        CommandOutcome outcome = Mpirun(2, [], [.. Arguments("run"), "--distributed", "mpi", "--device", "cpu:2"]);
        outcome.ExitCode.ShouldNotBe(0);
        outcome.Error.ShouldContain("--device cpu:2 does not go together with --distributed");
    }

    /// <summary>GPUs of two processes, by NCCL.</summary>
    [Theory]
    [InlineData("float32")]
    [InlineData("float16")]
    public void Two_processes_train_on_simulated_GPUs(string type)
    {
        RequireSimulator();
        FeatureFolder.Write(_folder.File("features"));
        CommandOutcome outcome = Mpirun(
            2, new() { [Simulator] = SimulatorFolder },
                [.. Arguments("run"), "--epochs", "2", "--device", "cuda", "--distributed", "mpi", "--check-replicas", "1",
                "--allreduce-dtype", type]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("by NCCL SIMULATED");

        CommandOutcome tooMany = Mpirun(3, new() { [Simulator] = SimulatorFolder },
            [.. Arguments("other"), "--device", "cuda", "--distributed", "mpi"]);
        tooMany.Error.ShouldContain("--device cuda: this machine has 2 GPUs for 3 processes.");
        string without = Directory.CreateDirectory(_folder.File("without")).FullName;
        foreach (string library in Directory.EnumerateFiles(SimulatorFolder, "*.so*")
            .Where(path => !path.Contains("nccl", StringComparison.Ordinal)))
        {
            File.CreateSymbolicLink(Path.Combine(without, Path.GetFileName(library)), library);
        }

        Mpirun(2, new() { [Simulator] = without }, [.. Arguments("third"), "--device", "cuda", "--distributed", "mpi"])
            .Error.ShouldContain("needs NCCL: ");
    }

    /// <summary>Two GPUs of one process: how gradients travel is found out, said, and leaves no trace in the result.</summary>
    [Fact]
    public void Peer_access_that_works_lies_or_is_missing_gives_the_same_model()
    {
        RequireSimulator();
        FeatureFolder.Write(_folder.File("features"));
        Dictionary<string, string> ways = new()
        {
            ["on"] = "gradients peer to peer, checked",
            ["off"] = "gradients by way of the host's memory: cuda:0 has no peer access to cuda:1",
            ["lying"] = "gradients by way of the host's memory: the driver says that cuda:0 can read the memory of cuda:1, but copies",
        };
        foreach ((string peer, string message) in ways)
        {
            CommandOutcome outcome = CommandRunner.RunIn(
                _folder.Path, new() { [Simulator] = SimulatorFolder, ["CUDASIM_PEER"] = peer },
                    [.. Arguments(peer), "--epochs", "2", "--device", "cuda", "--check-replicas", "1"]);
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            outcome.Error.ShouldContain(message);
            File.ReadAllBytes(_folder.File($"{peer}/best_model.safetensors"))
                .ShouldBe(File.ReadAllBytes(_folder.File("on/best_model.safetensors")));
        }
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void Extraction_by_two_ranks_leaves_the_cache_of_one()
    {
        CommandRunner.RunIn(_folder.Path, [], "demo", "--clips-only", "--clips", "12", "--output", "demo").ExitCode.ShouldBe(0);
        string[] extract = ["extract", "--dataset-path", "demo/dataset", "--frames", "2", "--max-corrupt", "0.5", "--cache-dir"];
        CommandRunner.RunIn(_folder.Path, [], [.. extract, "alone"]).ExitCode.ShouldBe(0);
        CommandOutcome together = Mpirun(2, [], [.. extract, "together", "--distributed", "mpi"]);
        together.ExitCode.ShouldBe(0, together.Error);
        ShouldBeTheSameCache("together", "alone");

        // One rank dies in the middle; another number of ranks goes on with what both have done.
        using Process process = StartMpirun(2, [], [.. extract, "killed", "--distributed", "mpi"]);
        SpinWait.SpinUntil(() => Directory.Exists(_folder.File("killed")) && Directory.EnumerateFiles(_folder.File("killed"), "*.clip",
            SearchOption.AllDirectories).Any(), TimeSpan.FromMinutes(1)).ShouldBeTrue();
        Process.GetProcessById(Ranks(process).Single(rank => rank.Rank == 1).Pid).Kill();
        ChildProcess.Finish(process).ExitCode.ShouldNotBe(0);
        CommandOutcome again = Mpirun(3, [], [.. extract, "killed", "--distributed", "mpi"]);
        again.ExitCode.ShouldBe(0, again.Error);
        ShouldBeTheSameCache("killed", "alone");
        Directory.EnumerateDirectories(_folder.File("killed")).ShouldBeEmpty();
    }

    public void Dispose() => _folder.Dispose();

    private static void RequireSimulator() => Assert.SkipUnless(Directory.Exists(SimulatorFolder), "the simulator has not been built");

    private static string[] Arguments(string run) =>
        ["train", "--features-dir", "features", "--checkpoint-dir", run, "--model", "simple-lstm", "--warmup-epochs", "0"];

    /// <summary>Pids of mpirun's children by rank.</summary>
    private static IEnumerable<(int Rank, int Pid)> Ranks(Process mpirun)
    {
        foreach (string task in Directory.EnumerateDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), out _)))
        {
            (int Rank, int Pid)? found = null;
            try
            {
                string[] status = File.ReadAllText(Path.Combine(task, "stat")).Split(") ", 2)[^1].Split(' ');
                if (int.Parse(status[1], CultureInfo.InvariantCulture) == mpirun.Id)
                {
                    string rank = File.ReadAllText(Path.Combine(task, "environ")).Split('\0')
                        .Single(entry => entry.StartsWith("OMPI_COMM_WORLD_RANK=", StringComparison.Ordinal));
                    found = (int.Parse(rank.Split('=')[1], CultureInfo.InvariantCulture),
                        int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture));
                }
            }
            catch (IOException)
            {
                // A process that has ended meanwhile.
            }

            if (found is { } known)
            {
                yield return known;
            }
        }
    }

    private CommandOutcome Train(string run, string[] options) => CommandRunner.RunIn(_folder.Path, [], [.. Arguments(run), .. options]);

    private CommandOutcome Mpirun(int ranks, Dictionary<string, string?> environment, string[] arguments, bool wrap = true)
    {
        using Process process = StartMpirun(ranks, environment, arguments, wrap);
        return ChildProcess.Finish(process);
    }

    /// <param name="wrap">The arguments are the program's; otherwise a command of their own.</param>
    private Process StartMpirun(int ranks, Dictionary<string, string?> environment, string[] arguments, bool wrap = true) =>
        ChildProcess.StartMpirun(
            ranks, [.. wrap ? ["dotnet", CommandRunner.ProgramFile] : Array.Empty<string>(), .. arguments], _folder.Path, environment,
            "--oversubscribe");

    private double[] Losses(string run) =>
        [.. File.ReadLines(_folder.File($"{run}/training_steps.csv")).Skip(1)
            .Select(line => double.Parse(line.Split(',')[3], CultureInfo.InvariantCulture))];

    private void ShouldBeTheSameCache(string left, string right)
    {
        // Not the locks, nor the list of files' hashes, which leaves out what has changed a moment ago.
        string[] Names(string cache) => [.. Directory.EnumerateFiles(_folder.File(cache)).Select(path => Path.GetFileName(path))
            .Where(name => name.EndsWith(".npy", StringComparison.Ordinal) || name.EndsWith(".csv",
            StringComparison.Ordinal) || name.EndsWith(".json", StringComparison.Ordinal)).Order()];
        Names(left).ShouldBe(Names(right));
        foreach (string name in Names(left))
        {
            File.ReadAllBytes(_folder.File($"{left}/{name}")).AsSpan().SequenceEqual(File.ReadAllBytes(_folder.File($"{right}/{name}")))
                .ShouldBeTrue(name);
        }
    }
}
