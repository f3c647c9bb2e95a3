using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>One product as a single thread computes it: C[m, n] = op(A)·op(B) (+ C) (+ bias), then the activation.</summary>
internal unsafe struct GemmProblem
{
    public bool TransA;
    public bool TransB;
    public int M;
    public int N;
    public int K;
    public void* A;
    public nint Lda;

    /// <summary>Row-major B; unused if <see cref="PackedB"/> is set.</summary>
    public void* B;
    public nint Ldb;

    /// <summary>The whole of op(A), packed before; A is then unused.</summary>
    public PackedPanels PackedA;

    /// <summary>The whole of op(B), packed before.</summary>
    public PackedPanels PackedB;
    public float* C;
    public nint Ldc;
    public bool Accumulate;

    /// <summary>[n] or null.</summary>
    public float* Bias;
    public Activation Activation;

    /// <summary>Multiplies pairs of bfloat16 in place of numbers; K is then even, as is the distance of rows that lie along k.</summary>
    public PairTile PairTile;

    /// <summary>Values of k, or pairs of them: what is packed as one number.</summary>
    public readonly int Depth => PairTile.Exists ? K / 2 : K;
}

/// <summary>
/// A packed operand: for each block of <see cref="GemmBlocks.DepthBlock"/> values of k, its panels of rows (of A) or columns (of B) one
/// behind the other.
/// </summary>
/// <param name="data">The first panel; null for none.</param>
/// <param name="extent">Rows or columns, filled up to whole panels.</param>
/// <param name="first">The row or column that counts as 0, a multiple of the panel's height or width.</param>
internal readonly unsafe struct PackedPanels(float* data, int extent, int first = 0)
{
    public bool Exists => data is not null;

    /// <summary>The panel that begins with <paramref name="index"/>.</summary>
    /// <param name="k">Begin of the block of k.</param>
    /// <param name="depth">The block's stored length, which A rounds up to whole lines.</param>
    /// <param name="index">Row or column, a multiple of the panel's height or width.</param>
    public float* At(int k, int depth, int index) => data + ((nint)k * extent) + ((nint)depth * (first + index));

    /// <summary>The same from row or column <paramref name="index"/> on.</summary>
    public PackedPanels From(int index) => Exists ? new PackedPanels(data, extent, first + index) : this;
}

/// <summary>The cache blocking around <see cref="GemmMicroKernel"/>.</summary>
internal static unsafe class GemmBlocks
{
    /// <summary>Length of the partial sums (kc): a panel of B (32 KB) and one of A (12 KB) stay in the first-level cache.</summary>
    public const int DepthBlock = 256;

    /// <summary>Rows of A packed at a time (mc): 240 KB, within the second-level cache; a multiple of every tile height.</summary>
    private const int RowBlock = 240;

    /// <summary>Columns of B packed at a time (nc): 2 MB, a core's part of the last-level cache.</summary>
    private const int ColumnBlock = 2048;

    /// <summary>Floats of working memory that <see cref="Run"/> needs for a problem of this size.</summary>
    public static nint WorkspaceSize<TSimd, TVec>(int m, int n, int k, bool packedA, bool packedB)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        int rows = GemmMicroKernel.MaxRows<TSimd, TVec>();
        int columns = GemmMicroKernel.Columns<TSimd, TVec>();
        nint a = packedA ? 0 : GemmPacking.SizeA(Math.Min(m, RowBlock), Math.Min(k, DepthBlock), rows);
        nint b = packedB ? 0 : GemmPacking.SizeB(Math.Min(n, ColumnBlock), Math.Min(k, DepthBlock), columns);
        return (rows * columns) + a + b;
    }

    /// <summary>Computes the whole problem on the calling thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TSimd, TVec, TA, TASource, TB, TBSource>(ref readonly GemmProblem problem, float* workspace)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where TA : unmanaged
        where TASource : struct, IPackSource<TA>
        where TB : unmanaged
        where TBSource : struct, IPackSource<TB>
    {
        if (problem.K == 0)
        {
            FinishEmptySum<TSimd, TVec>(in problem);
            return;
        }

        int panelRows = GemmMicroKernel.MaxRows<TSimd, TVec>();
        int panelColumns = GemmMicroKernel.Columns<TSimd, TVec>();
        float* tile = workspace;
        float* packedA = tile + (panelRows * panelColumns);
        float* packedB = packedA
            + (problem.PackedA.Exists ? 0
                : GemmPacking.SizeA(Math.Min(problem.M, RowBlock), Math.Min(problem.Depth, DepthBlock), panelRows));
        int columnBlock = problem.PackedB.Exists ? problem.N : ColumnBlock;
        for (int column = 0; column < problem.N; column += columnBlock)
        {
            int columns = Math.Min(columnBlock, problem.N - column);
            for (int k = 0; k < problem.Depth; k += DepthBlock)
            {
                int depth = Math.Min(DepthBlock, problem.Depth - k);
                float* panelsB = packedB;
                if (problem.PackedB.Exists)
                {
                    panelsB = problem.PackedB.At(k, depth, 0);
                }
                else
                {
                    TB* b = (TB*)problem.B + (problem.TransB ? column * problem.Ldb : column);
                    GemmPacking.PackBlockB<TSimd, TVec, TB, TBSource>(
                        problem.PairTile.Exists, problem.TransB, columns, k, depth, b, problem.Ldb, packedB);
                }

                for (int row = 0; row < problem.M; row += RowBlock)
                {
                    int rows = Math.Min(RowBlock, problem.M - row);
                    float* panelsA = packedA;
                    if (problem.PackedA.Exists)
                    {
                        panelsA = problem.PackedA.At(k, GemmPacking.RoundUp(depth, GemmMicroKernel.KStep), row);
                    }
                    else
                    {
                        TA* a = (TA*)problem.A + (problem.TransA ? row : row * problem.Lda);
                        GemmPacking.PackBlockA<TSimd, TVec, TA, TASource>(
                            problem.PairTile.Exists, problem.TransA, rows, k, depth, a, problem.Lda, packedA);
                    }

                    Multiply<TSimd, TVec>(in problem, row, rows, column, columns, k, depth, panelsA, panelsB, tile);
                }
            }
        }
    }

    /// <summary>One packed block of A times one packed block of B.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TSimd, TVec>(
        ref readonly GemmProblem problem, int row, int rows, int column, int columns, int k, int depth, float* packedA, float* packedB,
        float* tile)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        int panelRows = GemmMicroKernel.MaxRows<TSimd, TVec>();
        int panelColumns = GemmMicroKernel.Columns<TSimd, TVec>();
        nint panelSize = GemmPacking.SizeA(panelRows, depth, panelRows);
        bool last = k + depth == problem.Depth;
        bool add = k > 0 || problem.Accumulate;
        int aheadStep = GemmMicroKernel.AheadStep<TSimd, TVec>((rows + panelRows - 1) / panelRows);
        bool relu = last && problem.Activation == Activation.Relu;
        for (int j = 0; j < columns; j += panelColumns)
        {
            float* a = packedA;
            float* ahead = packedB + ((nint)depth * panelColumns);
            float* bias = last && problem.Bias is not null ? problem.Bias + column + j : null;
            for (int i = 0; i < rows; i += panelRows)
            {
                int tileRows = Math.Min(panelRows, rows - i);
                float* c = problem.C + ((row + i) * problem.Ldc) + column + j;

                // C is far away when k goes into its next block; its lines arrive while the tile is computed.
                for (int r = 0; r < tileRows; r++)
                {
                    TSimd.Prefetch(c + (r * problem.Ldc));
                    TSimd.Prefetch(c + (r * problem.Ldc) + TSimd.Width);
                }

                bool direct = tileRows == panelRows && columns - j >= panelColumns && bias is null && !relu;
                float* target = direct ? c : tile;
                nint stride = direct ? problem.Ldc : panelColumns;
                if (problem.PairTile.Exists)
                {
                    problem.PairTile.Run(tileRows, depth, a, panelRows * GemmMicroKernel.KStep, packedB, target, stride, direct && add);
                }
                else
                {
                    GemmMicroKernel.Run<TSimd, TVec, LineLayout>(
                        tileRows, depth, a, panelRows * GemmMicroKernel.KStep, packedB, target, stride,
                        direct && add ? TileUpdate.Add : TileUpdate.Overwrite, ahead, aheadStep);
                }

                if (!direct)
                {
                    StoreTile<TSimd, TVec>(tile, tileRows, Math.Min(panelColumns, columns - j), c, problem.Ldc, add, bias, relu);
                }

                ahead += depth * aheadStep;
                a += panelSize;
            }

            packedB += (nint)depth * panelColumns;
        }
    }

    /// <summary>Adds a tile of finished partial sums to C, or overwrites C, and applies the epilogue of the last block of k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void StoreTile<TSimd, TVec>(float* tile, int rows, int columns, float* c, nint ldc, bool add, float* bias, bool relu)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j += TSimd.Width)
            {
                int lanes = columns - j;
                TVec sum = TSimd.Load(tile + j);
                if (add)
                {
                    sum = TSimd.Add(Lanes.Load<TSimd, TVec>(c + j, lanes), sum);
                }

                if (bias is not null)
                {
                    sum = TSimd.Add(sum, Lanes.Load<TSimd, TVec>(bias + j, lanes));
                }

                if (relu)
                {
                    // In this order a NaN stays a NaN.
                    sum = TSimd.Max(TSimd.Zero, sum);
                }

                Lanes.Store<TSimd, TVec>(c + j, sum, lanes);
            }

            tile += 2 * TSimd.Width;
            c += ldc;
        }
    }

    /// <summary>k = 0: the product is 0, the rest of the formula still applies.</summary>
    private static void FinishEmptySum<TSimd, TVec>(ref readonly GemmProblem problem)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        float* zeros = stackalloc float[2 * TSimd.Width];
        new Span<float>(zeros, 2 * TSimd.Width).Clear();
        for (int i = 0; i < problem.M; i++)
        {
            for (int j = 0; j < problem.N; j += 2 * TSimd.Width)
            {
                float* c = problem.C + (i * problem.Ldc) + j;
                float* bias = problem.Bias is null ? null : problem.Bias + j;
                StoreTile<TSimd, TVec>(
                    zeros, 1, Math.Min(2 * TSimd.Width, problem.N - j), c, problem.Ldc, problem.Accumulate, bias,
                        problem.Activation == Activation.Relu);
            }
        }
    }
}
