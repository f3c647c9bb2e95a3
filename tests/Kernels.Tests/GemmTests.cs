using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class GemmTests
{
    public static TheoryData<SimdLevel, int> Teams => TestTeams.All;

    [Theory]
    [MemberData(nameof(Teams))]
    public void Every_small_size_agrees_with_plain_loops(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        int[] sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 24, 25, 31, 32, 33, 40];
        foreach (int m in sizes)
        {
            foreach (int n in sizes)
            {
                foreach (int k in (int[])[0, 1, 2, 3, 5, 15, 16, 17, 33])
                {
                    new GemmCase(m, n, k) { Seed = m + (n * 64) + (k * 4096) }.Check(team);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Teams))]
    public void All_variants_agree_with_plain_loops(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        var random = new Random(threads);
        for (int i = 0; i < 200; i++)
        {
            // Lengths around the borders of tiles, of packed lines and of the blocks of k and m.
            int[] borders = [1, 4, 6, 8, 12, 16, 32, 48, 64, 128];
            int m = i % 10 == 0 ? 240 + random.Next(-1, 14) : Near(borders, random);
            int n = Near(borders, random);
            int k = i % 5 == 0 ? (256 * random.Next(1, 3)) + random.Next(-1, 2) : Near(borders, random);
            new GemmCase(m, n, k)
            {
                Seed = i,
                TransA = random.Next(2) == 0,
                TransB = random.Next(2) == 0,
                Accumulate = random.Next(2) == 0,
                WithBias = random.Next(2) == 0,
                Activation = random.Next(2) == 0 ? Activation.Relu : Activation.None,
                Padding = random.Next(3) * 5,
                Edge = random.Next(2) == 0 ? Edge.Behind : Edge.Before,
                Kind = (GemmKind)random.Next(6),
            }.Check(team);
        }
    }

    private static int Near(int[] borders, Random random) => Math.Max(1, borders[random.Next(borders.Length)] + random.Next(-1, 2));
}
