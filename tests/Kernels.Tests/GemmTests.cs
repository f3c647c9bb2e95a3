using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class GemmTests
{
    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Levels))]
    public void Every_small_size_agrees_with_plain_loops(SimdLevel level) => TestTeams.ForEach(level, teams =>
    {
        int seed = 0;
        for (int m = 0; m <= 14; m++)
        {
            for (int n = 0; n <= 34; n++)
            {
                int[] depths = (m + n) % 4 == 0 ? [0, 1, 17] : [((m * 7) + n) % 34];
                foreach (int k in depths)
                {
                    seed++;
                    new GemmCase(m, n, k) { Seed = seed, TransA = seed % 2 == 0, TransB = seed % 3 == 0, WithBias = seed % 5 == 0 }.Check(
                        teams);
                }
            }
        }
    });

    [Theory]
    [MemberData(nameof(Levels))]
    public void All_variants_agree_with_plain_loops(SimdLevel level) => TestTeams.ForEach(level, teams =>
    {
        var random = new Random(5);
        for (int i = 0; i < 300; i++)
        {
            // Lengths around the borders of tiles, of packed lines and of the blocks of k and m.
            int[] borders = [1, 4, 6, 8, 12, 16, 32, 48, 64, 128];
            int m = i % 10 == 0 ? 240 + random.Next(-1, 14) : Near(borders, random);
            int n = Near(borders, random);
            int k = i % 5 == 0 ? (256 * random.Next(1, 3)) + random.Next(-1, 2) : Near(borders, random);
            var product = new GemmCase(m, n, k)
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
            };
            product.Check(teams);
        }
    });

    [Theory]
    [MemberData(nameof(Levels))]
    public void Threads_do_not_change_a_bit(SimdLevel level)
    {
        foreach (GemmKind kind in Enum.GetValues<GemmKind>())
        {
            foreach ((int m, int n, int k) in ((int, int, int)[])[(64, 100, 300), (300, 20, 70), (1, 200, 520)])
            {
                var product = new GemmCase(m, n, k) { Seed = m, Kind = kind, TransB = true, Accumulate = true, WithBias = true };
                using var one = new ThreadTeam(1, level);
                float[] expected = product.Run(one);
                for (int threads = 2; threads <= 3; threads++)
                {
                    using var team = new ThreadTeam(threads, level);
                    product.Run(team).ShouldBe(expected, product.ToString());
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_row_has_the_same_bits_alone_in_a_batch_and_by_every_entry_point(SimdLevel level)
    {
        using var team = new ThreadTeam(2, level);
        var batch = new GemmCase(61, 70, 600) { Seed = 3, TransB = true, WithBias = true, Activation = Activation.Relu };
        float[] expected = batch.Run(team);
        foreach (GemmKind kind in Enum.GetValues<GemmKind>())
        {
            (batch with { Kind = kind }).Run(team).ShouldBe(expected, kind.ToString());
            foreach (int row in (int[])[0, 11, 12, 30, 60])
            {
                float[] alone = (batch with { Kind = kind, FirstRow = row, Rows = 1 }).Run(team);
                alone.ShouldBe(expected[(row * 70)..((row + 1) * 70)], $"row {row}, {kind}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Sums_run_over_k_in_order_in_blocks_of_256(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        const int k = 700;
        float[] a = Numbers.Random(k, 1);
        float[] b = Numbers.Random(k, 2);
        float[] c = [0.5f];
        fixed (float* pa = a, pb = b, pc = c)
        {
            Gemm.Run(team, false, false, 1, 1, k, pa, k, pb, 1, pc, 1, accumulate: true);
        }

        float expected = 0.5f;
        for (int block = 0; block < k; block += 256)
        {
            float sum = 0;
            for (int p = block; p < Math.Min(k, block + 256); p++)
            {
                sum = MathF.FusedMultiplyAdd(a[p], b[p], sum);
            }

            expected += sum;
        }

        if (Fma.IsSupported || AdvSimd.IsSupported)
        {
            c[0].ShouldBe(expected);
        }
        else
        {
            // The products are rounded too.
            c[0].ShouldBe(expected, 1e-4f);
        }
    }

    [Fact]
    public void A_matrix_packed_for_another_level_is_refused()
    {
        using var team = new ThreadTeam(1, SimdLevel.V128);
        using var matrix = new PackedMatrix(SimdLevel.V256, 4, 4);
        Should.Throw<ArgumentException>(() => Gemm.RunPacked(team, false, 1, (float*)null, 4, matrix, null, 4))
            .Message.ShouldContain("V256");
    }

    private static int Near(int[] borders, Random random) => Math.Max(1, borders[random.Next(borders.Length)] + random.Next(-1, 2));
}
