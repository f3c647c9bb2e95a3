using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Mpi.Program;

/// <summary>The ring all-reduce against sums made from every rank's values in the documented order.</summary>
internal static class RingCheck
{
    private static readonly int[] Counts = [1, 3, 15, 16, 17, 63, 64, 65, 1_000, 4_099, 300_001];

    public static void Run(MpiWorld world, Checker check)
    {
        using var team = new ThreadTeam(2);
        using var ring = new MpiRing(world, team);
        foreach (int count in Counts)
        {
            foreach (bool half in new[] { false, true })
            {
                string name = $"ring of {count} in {(half ? "half" : "single")} precision";
                float[] values = Values(world.Rank, count);
                ring.AllReduceSum(values, half);
                check.Same(name, Expected(world.Size, count, half), values);
                check.SameOnAllRanks(name, values);
            }
        }

        // The largest finite number in half precision is 65504.
        float[] large = Enumerable.Repeat(40_000f, 50).ToArray();
        ring.AllReduceSum(large, halfOnWire: true);
        check.That("a sum beyond half precision is infinite", world.Size == 1 || large.All(float.IsPositiveInfinity));
        CountTraffic(world, ring, check);

        // All sizes have been summed, so that the buffers are as large as they become.
        float[] again = Values(world.Rank, Counts[^1]);
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        ring.AllReduceSum(again, halfOnWire: false);
        ring.AllReduceSum(again, halfOnWire: true);
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        check.That("nothing is allocated", allocated == 0, $"{allocated} bytes");
    }

    private static void CountTraffic(MpiWorld world, MpiRing ring, Checker check)
    {
        const int Count = 16 * 1024;
        MpiTraffic before = ring.Traffic;
        ring.AllReduceSum(Values(world.Rank, Count), halfOnWire: false);
        MpiTraffic after = ring.Traffic;
        long steps = 2L * RingSchedule.Steps(world.Size), sent = 0;
        for (int step = 0; step < world.Size - 1; step++)
        {
            sent += RingSchedule.Bounds(Count, world.Size, RingSchedule.ReduceSends(world.Rank, world.Size, step)).Count * sizeof(float);
            sent += RingSchedule.Bounds(Count, world.Size, RingSchedule.GatherSends(world.Rank, world.Size, step)).Count * sizeof(float);
        }

        check.That("messages are counted", after.Messages - before.Messages == steps);
        check.That("bytes are counted", after.Bytes - before.Bytes == sent);
        check.That("time is counted", world.Size == 1 || after.Time > before.Time);
    }

    private static float[] Values(int rank, int count)
    {
        var random = new Random(1_000 + rank);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.5f) * MathF.Pow(10, random.Next(-3, 3)))];
    }

    private static float[] Expected(int size, int count, bool half)
    {
        float[][] values = [.. Enumerable.Range(0, size).Select(rank => Values(rank, count))];
        float[] sums = new float[count];
        for (int chunk = 0; chunk < size; chunk++)
        {
            (long begin, long length) = RingSchedule.Bounds(count, size, chunk);
            for (long i = begin; i < begin + length; i++)
            {
                float sum = values[chunk][i];
                for (int hop = 1; hop < size; hop++)
                {
                    sum = (half ? (float)(Half)sum : sum) + values[(chunk + hop) % size][i];
                }

                sums[i] = half && size > 1 ? (float)(Half)sum : sum;
            }
        }

        return sums;
    }
}
