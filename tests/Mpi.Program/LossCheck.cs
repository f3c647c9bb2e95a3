using System.Diagnostics;
using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Mpi.Program;

/// <summary>Sums in a loop, out of which one rank breaks; the others are to end and to say who it was.</summary>
internal static class LossCheck
{
    public const int OtherWasLost = 4;

    private const int Rounds = 10_000;
    private const int LossRound = 20;
    private const int Count = 50_000;

    /// <param name="how"><c>kill</c>, <c>fail</c>, <c>leave</c>, or <c>none</c>, in which case all ranks come to the end.</param>
    /// <param name="who">The rank that does it.</param>
    public static int Run(MpiWorld world, string how, int who)
    {
        // mpirun ends the others as soon as one is dead; they are to say why first.
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => context.Cancel = true);
        using var heartbeat = Heartbeat.Start(world);
        using var team = new ThreadTeam(1);
        using var ring = new MpiRing(world, team);
        float[] values = new float[Count];
        int rounds = how == "none" ? 2 * LossRound : Rounds;
        try
        {
            for (int round = 0; round < rounds; round++)
            {
                ring.AllReduceSum(values, halfOnWire: false);
                if (round == LossRound && world.Rank == who && how != "none")
                {
                    Break(how, world.Rank, heartbeat);
                    return 3;
                }
            }
        }
        catch (RankLostException lost)
        {
            bool broken = WorldCheck.Throws<MpiException>(world.Barrier);
            Console.WriteLine($"rank {world.Rank} ends{(broken ? string.Empty : " (with a world that is not broken)")}: {lost.Message}");
            return OtherWasLost;
        }

        world.Finish();
        heartbeat.Finish();
        Console.WriteLine($"rank {world.Rank} came to the end");
        return 0;
    }

    private static void Break(string how, int rank, Heartbeat heartbeat)
    {
        Console.WriteLine($"rank {rank} is pid {Environment.ProcessId}");
        Console.Out.Flush();
        switch (how)
        {
            case "kill":
                Process.GetCurrentProcess().Kill();
                Thread.Sleep(Timeout.Infinite);
                break;
            case "fail":
                heartbeat.Fail("the disk is full");
                break;
            default:
                break;
        }
    }
}
