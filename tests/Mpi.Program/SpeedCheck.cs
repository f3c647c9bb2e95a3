using System.Diagnostics;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Mpi.Program;

/// <summary>How long an all-reduce takes: the best and the middle of several, for a few sizes.</summary>
internal static class SpeedCheck
{
    private const int Repetitions = 15;

    public static void Run(MpiWorld world)
    {
        using var team = new ThreadTeam(1);
        using var ring = new MpiRing(world, team);
        foreach (int count in new[] { 1_000, 100_000, 3_300_000 })
        {
            foreach (bool half in new[] { false, true })
            {
                float[] values = new float[count];
                double[] times = new double[Repetitions];
                ring.AllReduceSum(values, half);
                for (int i = 0; i < Repetitions; i++)
                {
                    world.Barrier();
                    long start = Stopwatch.GetTimestamp();
                    ring.AllReduceSum(values, half);
                    times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                }

                Array.Sort(times);
                if (world.Rank == 0)
                {
                    Console.WriteLine($"{count} elements, {(half ? "half" : "single")} precision on the wire, {world.Size} ranks: best {times[0]:0.000} ms, median {times[Repetitions / 2]:0.000} ms");
                }
            }
        }
    }
}
