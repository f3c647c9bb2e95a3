using System.Diagnostics;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>Runs tests/Mpi.Program under the system's mpirun.</summary>
internal static class Mpirun
{
    private static readonly string Program = BesideOwnFolder();

    /// <summary>
    /// Whether survivors of a lost rank can be told to live on: otherwise mpirun may kill them before they have said anything.
    /// </summary>
    public static void RequireOpenMpi() => Assert.SkipUnless(
        MpiWorld.InstalledVersion?.StartsWith("Open MPI", StringComparison.Ordinal) == true, "mpirun's --enable-recovery is OpenMPI's");

    /// <summary>The test is skipped, with the reason, where mpirun, the native library or the program is missing.</summary>
    public static CommandOutcome Run(int ranks, IReadOnlyList<string> options, params string[] arguments)
    {
        Assert.SkipUnless(MpiWorld.IsAvailable, MpiWorld.Detail);
        Assert.SkipUnless(File.Exists(Program), $"{Program} has not been built");
        bool openMpi = MpiWorld.InstalledVersion!.StartsWith("Open MPI", StringComparison.Ordinal);
        using Process process = ChildProcess.StartMpirun(
            ranks, [Program, .. arguments], options: [.. openMpi ? ["--oversubscribe"] : Array.Empty<string>(), .. options]);
        return ChildProcess.Finish(process);
    }

    /// <summary>artifacts/bin/Engine.Tests/release → artifacts/bin/Mpi.Program/release.</summary>
    private static string BesideOwnFolder()
    {
        string own = AppContext.BaseDirectory.TrimEnd('/');
        return Path.GetFullPath(Path.Combine(own, "../../Mpi.Program", Path.GetFileName(own), "CudaTrainer.Mpi.Program"));
    }
}
