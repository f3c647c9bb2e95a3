using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class SparseGemmTests
{
    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    /// <summary>The dense product is tested against plain loops; zeros left out must not change a bit of it.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void Same_bits_as_the_dense_product(SimdLevel level) => TestTeams.ForEach(level, teams =>
    {
        var random = new Random(3);
        int[] rows = [1, 5, 16, 33, 255, 300], columns = [1, 8, 31, 64, 130], depths = [0, 1, 17, 255, 256, 300, 1500];
        for (int i = 0; i < 60; i++)
        {
            var product = new Product(rows[random.Next(rows.Length)], columns[random.Next(columns.Length)],
                depths[random.Next(depths.Length)])
            {
                TransA = random.Next(2) == 0,
                TransB = random.Next(2) == 0,
                TransC = random.Next(2) == 0,
                Accumulate = random.Next(2) == 0,
                WithBias = random.Next(2) == 0,
                Half = random.Next(2) == 0,
                Density = random.Next(5) / 4.0,
                Padding = random.Next(2) * 3,
            };
            foreach (ThreadTeam team in teams)
            {
                (float[] sparse, float[] dense) = product.Run(team);
                for (int e = 0; e < dense.Length; e++)
                {
                    if (!sparse[e].Equals(dense[e]))
                    {
                        Assert.Fail($"{product} on {level} with {team.Size} threads: element {e} is {sparse[e]}, dense {dense[e]}");
                    }
                }
            }
        }
    });

    [Theory]
    [MemberData(nameof(Levels))]
    public void Infinity_and_NaN_on_the_left_are_not_taken_for_zeros(SimdLevel level) => TestTeams.ForEach(level, teams =>
    {
        float[] a = [0, float.NaN, 0, 0, float.PositiveInfinity, 0], b = [2, 3, 4], c = new float[2];
        fixed (float* pa = a, pb = b, pc = c)
        {
            foreach (ThreadTeam team in teams)
            {
                SparseGemm.Run(team, false, false, false, 2, 1, 3, pa, 3, pb, 1, pc, 1);
                c[0].ShouldBe(float.NaN);
                c[1].ShouldBe(float.PositiveInfinity);
            }
        }
    });

    [Theory]
    [MemberData(nameof(Levels))]
    public void Compressing_keeps_order_and_places(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        var random = new Random(9);
        for (int i = 0; i < 200; i++)
        {
            float[] source = [.. Enumerable.Range(0, 16)
                .Select(_ => random.Next(3) == 0 ? random.NextSingle() - 0.5f : random.Next(2) == 0 ? 0f : -0f)];
            var probe = new CompressProbe { Source = source };
            team.Run(ref probe);
            (float, int)[] expected = [.. source.Take(probe.Width).Select((value, lane) => (value, 7 + (5 * lane)))
                .Where(pair => pair.value != 0)];
            probe.Result.ShouldBe(expected);
        }
    }

    private struct CompressProbe : ITeamKernel
    {
        public float[] Source;
        public (float, int)[] Result;
        public int Width;

        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            Width = TSimd.Width;
            float* values = stackalloc float[32];
            int* places = stackalloc int[32];
            fixed (float* source = Source)
            {
                int count = TSimd.CompressNonZero(source, 7, 5, values, places);
                Result = new (float, int)[count];
                for (int i = 0; i < count; i++)
                {
                    Result[i] = (values[i], places[i]);
                }
            }
        }
    }

    private sealed record Product(int M, int N, int K)
    {
        public bool TransA { get; init; }

        public bool TransB { get; init; }

        public bool TransC { get; init; }

        public bool Accumulate { get; init; }

        public bool WithBias { get; init; }

        public bool Half { get; init; }

        /// <summary>Part of A that is not zero.</summary>
        public double Density { get; init; }

        public int Padding { get; init; }

        public (float[] Sparse, float[] Dense) Run(ThreadTeam team)
        {
            var random = new Random(M + N + K);
            int lda = (TransA ? M : K) + Padding, ldb = (TransB ? K : N) + Padding, ldc = (TransC ? M : N) + Padding;
            float[] a = Draw(random, (TransA ? K : M) * lda, Density), b = Draw(random, (TransB ? N : K) * ldb, 1),
                c = Draw(random, (TransC ? N : M) * ldc, 1);
            float[] bias = Draw(random, N, 1);
            Half[] halves = [.. a.Select(value => (Half)value)];
            a = [.. halves.Select(value => (float)value)];
            float[] dense = TransC ? Transposed(c, N, M, ldc) : Compact(c, M, N, ldc);
            fixed (float* pa = a, pb = b, pc = c, pd = dense, pbias = bias)
            {
                fixed (Half* ph = halves)
                {
                    float* addend = WithBias ? pbias : null;
                    Gemm.Run(team, TransA, TransB, M, N, K, pa, lda, pb, ldb, pd, N, Accumulate, addend);
                    if (Half)
                    {
                        SparseGemm.Run(team, TransA, TransB, TransC, M, N, K, ph, lda, pb, ldb, pc, ldc, Accumulate, addend);
                    }
                    else
                    {
                        SparseGemm.Run(team, TransA, TransB, TransC, M, N, K, pa, lda, pb, ldb, pc, ldc, Accumulate, addend);
                    }
                }
            }

            return (TransC ? Transposed(c, N, M, ldc) : Compact(c, M, N, ldc), dense);
        }

        private static float[] Draw(Random random, int count, double density) =>
            [.. Enumerable.Range(0, count).Select(_ => random.NextDouble() < density ? (2 * random.NextSingle()) - 1 : 0)];

        private static float[] Compact(float[] matrix, int rows, int columns, int ld) =>
            [.. Enumerable.Range(0, rows * columns).Select(i => matrix[(i / columns * ld) + (i % columns)])];

        /// <summary>[rows, columns] → [columns, rows].</summary>
        private static float[] Transposed(float[] matrix, int rows, int columns, int ld) =>
            [.. Enumerable.Range(0, rows * columns).Select(i => matrix[(i % rows * ld) + (i / rows)])];
    }
}
