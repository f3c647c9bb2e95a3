using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Cli.Doctor;

/// <summary>What <c>--distributed mpi</c> needs. Having none is a normal state.</summary>
internal static class MpiCheck
{
    public static Check Run() => Check.Ok("MPI",
        MpiWorld.InstalledVersion is { } version
        ? $"{version}, {MpiWorld.Detail}"
        : $"not there, only --distributed mpi needs it: {MpiWorld.Detail}");
}
