using System.Diagnostics;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>What a program under mpirun left.</summary>
internal sealed record MpirunOutcome(int ExitCode, string Output)
{
    public string[] Lines(string start) => [.. Output.Split('\n').Select(line => line.Trim())
        .Where(line => line.StartsWith(start, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
}

/// <summary>Runs tests/Mpi.Program under the system's mpirun.</summary>
internal static class Mpirun
{
    // No test waits on purpose; this ends a run that hangs, and fails it.
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    private static readonly string s_program = BesideOwnFolder();

    /// <summary>
    /// Whether survivors of a lost rank can be told to live on: otherwise mpirun may kill them before they have said anything.
    /// </summary>
    public static void RequireOpenMpi() => Assert.SkipUnless(
        MpiWorld.InstalledVersion?.StartsWith("Open MPI", StringComparison.Ordinal) == true, "mpirun's --enable-recovery is OpenMPI's");

    /// <summary>The test is skipped, with the reason, where mpirun, the native library or the program is missing.</summary>
    public static MpirunOutcome Run(int ranks, IReadOnlyList<string> options, params string[] arguments)
    {
        string? launcher = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':')
            .Select(folder => Path.Combine(folder, "mpirun")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(launcher is null, "mpirun is not installed (Debian: openmpi-bin)");
        Assert.SkipUnless(MpiWorld.IsAvailable, MpiWorld.Detail);
        Assert.SkipUnless(File.Exists(s_program), $"{s_program} has not been built");
        bool openMpi = MpiWorld.InstalledVersion!.StartsWith("Open MPI", StringComparison.Ordinal);
        var start = new ProcessStartInfo(launcher!,
            [.. openMpi ? ["--oversubscribe"] : Array.Empty<string>(), .. options, "-n", $"{ranks}", s_program, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";

        // OpenMPI gives its programs a terminal, to which the runtime would send control sequences.
        start.Environment["TERM"] = "dumb";
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(s_limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"mpirun still ran after {s_limit}. It wrote: {output.Result}{error.Result}");
        }

        return new(process.ExitCode, output.Result + error.Result);
    }

    /// <summary>artifacts/bin/Engine.Tests/release → artifacts/bin/Mpi.Program/release.</summary>
    private static string BesideOwnFolder()
    {
        string own = AppContext.BaseDirectory.TrimEnd('/');
        return Path.GetFullPath(Path.Combine(own, "../../Mpi.Program", Path.GetFileName(own), "CudaTrainer.Mpi.Program"));
    }
}
