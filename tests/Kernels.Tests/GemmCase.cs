using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

/// <summary>The entry points of <see cref="Gemm"/>.</summary>
internal enum GemmKind
{
    Single,
    HalfA,
    HalfB,
    Packed,
    HalfAPacked,
    Member,
}

/// <summary>One random product between guard pages, and its plain double-precision result.</summary>
internal sealed unsafe record GemmCase(int M, int N, int K)
{
    public int Seed { get; init; }

    public bool TransA { get; init; }

    public bool TransB { get; init; }

    public bool Accumulate { get; init; }

    public bool WithBias { get; init; }

    public Activation Activation { get; init; }

    /// <summary>How much wider than their content the rows are.</summary>
    public int Padding { get; init; }

    public Edge Edge { get; init; }

    public GemmKind Kind { get; init; }

    /// <summary>Whether A and B are drawn from what bfloat16 holds, 8 bits, in place of what a half holds.</summary>
    public bool IsBFloat { get; init; }

    /// <summary>
    /// Computes only <see cref="Rows"/> rows from this one on (not if A is transposed); M stays the size that the inputs are drawn for.
    /// </summary>
    public int FirstRow { get; init; }

    public int? Rows { get; init; }

    private int Lda => (TransA ? M : K) + Padding;

    private int Ldb => (TransB ? K : N) + Padding;

    private int Ldc => N + Padding;

    /// <summary>On every team: |error| ≤ 1e-6 · Σ|a·b|, and nothing outside C's columns written.</summary>
    public void Check(params ThreadTeam[] teams)
    {
        (float[] a, float[] b, float[] c, float[] bias) = Inputs();
        (double[] expected, double[] scale) = Expected(a, b, c, bias);
        foreach (ThreadTeam team in teams)
        {
            float[] result = Run(team, a, b, c, bias);
            for (int i = 0; i < result.Length; i++)
            {
                (int row, int column) = Math.DivRem(i, Ldc);
                if (column >= N)
                {
                    result[i].ShouldBe(c[i], $"{this} wrote behind row {row}");
                }
                else if (!(Math.Abs(result[i] - expected[(row * N) + column]) <= 1e-6 * scale[(row * N) + column]))
                {
                    Assert.Fail($"{this} on {team.Level} with {team.Size} threads: C[{row}, {column}] is {result[i]}, expected {expected[(row * N) + column]}");
                }
            }
        }
    }

    /// <summary>The result C, rows at distance N + padding.</summary>
    public float[] Run(ThreadTeam team)
    {
        (float[] a, float[] b, float[] c, float[] bias) = Inputs();
        if (Rows is { } rows)
        {
            a = a[(FirstRow * Lda)..((FirstRow + rows) * Lda)];
            c = c[(FirstRow * Ldc)..((FirstRow + rows) * Ldc)];
            return (this with { M = rows, Rows = null }).Run(team, a, b, c, bias);
        }

        return Run(team, a, b, c, bias);
    }

    private static int Extent(int rows, int columns, int ld) => rows == 0 || columns == 0 ? 0 : ((rows - 1) * ld) + columns;

    private static Half[] Halves(float[] values) => [.. values.Select(x => (Half)x)];

    /// <summary>C by plain loops, and the sum of the magnitudes that make up each element.</summary>
    private (double[] C, double[] Scale) Expected(float[] a, float[] b, float[] c, float[] bias)
    {
        double[] expected = new double[M * N];
        double[] scale = new double[M * N];
        for (int i = 0; i < M; i++)
        {
            for (int j = 0; j < N; j++)
            {
                double sum = 0;
                double magnitude = 0;
                void Add(double term)
                {
                    sum += term;
                    magnitude += Math.Abs(term);
                }

                Add(WithBias ? bias[j] : 0);
                Add(Accumulate ? c[(i * Ldc) + j] : 0);
                for (int p = 0; p < K; p++)
                {
                    Add((double)a[TransA ? (p * Lda) + i : (i * Lda) + p] * b[TransB ? (j * Ldb) + p : (p * Ldb) + j]);
                }

                expected[(i * N) + j] = Activation == Activation.Relu ? Math.Max(0, sum) : sum;
                scale[(i * N) + j] = magnitude;
            }
        }

        return (expected, scale);
    }

    private (float[] A, float[] B, float[] C, float[] Bias) Inputs()
    {
        var random = new Random(Seed);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ =>
            IsBFloat ? random.Next(-128, 129) / 128f : (float)(Half)((random.NextSingle() * 2) - 1))];
        float[] a = Values(TransA ? Extent(K, M, Lda) : Extent(M, K, Lda));
        float[] b = Values(TransB ? Extent(N, K, Ldb) : Extent(K, N, Ldb));
        float[] c = Values(Extent(M, N, Ldc));
        if (!Accumulate)
        {
            // C must not be read: a NaN in it would show.
            for (int i = 0; i < M; i++)
            {
                c.AsSpan(i * Ldc, N).Fill(float.NaN);
            }
        }

        return (a, b, c, Values(N));
    }

    private float[] Run(ThreadTeam team, float[] aValues, float[] bValues, float[] cValues, float[] biasValues)
    {
        using var a = new GuardedBuffer<float>(aValues, Edge);
        using var b = new GuardedBuffer<float>(bValues, Edge);
        using var c = new GuardedBuffer<float>(cValues, Edge);
        using var biasBuffer = new GuardedBuffer<float>(biasValues, Edge);
        using var halfA = new GuardedBuffer<Half>(Halves(aValues), Edge);
        using var halfB = new GuardedBuffer<Half>(Halves(bValues), Edge);
        float* bias = WithBias ? biasBuffer : (float*)null;
        switch (Kind)
        {
            case GemmKind.Single:
                Gemm.Run(team, TransA, TransB, M, N, K, a.Pointer, Lda, b.Pointer, Ldb, c, Ldc, Accumulate, bias, Activation);
                break;
            case GemmKind.HalfA:
                Gemm.Run(team, TransA, TransB, M, N, K, halfA.Pointer, Lda, b.Pointer, Ldb, c, Ldc, Accumulate, bias, Activation);
                break;
            case GemmKind.HalfB:
                Gemm.Run(team, TransA, TransB, M, N, K, a.Pointer, Lda, halfB.Pointer, Ldb, c, Ldc, Accumulate, bias, Activation);
                break;
            case GemmKind.Packed:
            case GemmKind.HalfAPacked:
                using (var packed = new PackedMatrix(team.Level, K, N))
                {
                    packed.Pack(team, TransB, b, Ldb);
                    if (Kind == GemmKind.Packed)
                    {
                        Gemm.RunPacked(team, TransA, M, a.Pointer, Lda, packed, c, Ldc, Accumulate, bias, Activation);
                    }
                    else
                    {
                        Gemm.RunPacked(team, TransA, M, halfA.Pointer, Lda, packed, c, Ldc, Accumulate, bias, Activation);
                    }
                }

                break;
            case GemmKind.Member:
                var kernel = new MemberKernel(this, a, b, c, bias);
                team.Run(ref kernel);
                break;
        }

        return c.Span.ToArray();
    }

    /// <summary>Each member computes its own rows inside one team region.</summary>
    private readonly struct MemberKernel(GemmCase x, float* a, float* b, float* c, float* bias) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(x.M);
            if (begin == end)
            {
                return;
            }

            nint size = Gemm.MemberWorkspace<TSimd, TVec>(end - begin, x.N, x.K);
            using var workspace = new GuardedBuffer<float>((int)size);
            float* rows = x.TransA ? a + begin : a + (begin * x.Lda);
            Gemm.RunMember<TSimd, TVec>(
                workspace, x.TransA, x.TransB, end - begin, x.N, x.K, rows, x.Lda, b, x.Ldb, c
                    + (begin * x.Ldc), x.Ldc, x.Accumulate, bias, x.Activation);
        }
    }
}
