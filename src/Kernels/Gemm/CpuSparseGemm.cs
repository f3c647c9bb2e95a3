using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Row-major matrix product C[m, n] = op(A)[m, k]·op(B)[k, n] (+ C) (+ bias[n]) for a left matrix that is mostly zeros, such as features
/// behind a ReLU: only its other elements are multiplied.
/// </summary>
/// <remarks>
/// <para>
/// The row-wise algorithm of Gustavson, "Two Fast Algorithms for Sparse Matrices" (ACM TOMS 4(3), 1978), for a dense right matrix: for each
/// row, the sum of the rows of B that its non-zero elements name. It is blocked so that it runs at the speed of the nearest cache: a block
/// of B of 32 KB stays there while all rows pass by, each with <see cref="Vectors"/> sums in registers. A multiply-add then needs one load,
/// where the dense kernel needs half of one; so it wins below about two thirds of non-zero elements.
/// </para>
/// <para>
/// Non-zero elements are listed (value, place of B's row) once per block of rows and used for all columns. Every sum adds the same products
/// in the same order as <see cref="Gemm"/>, zeros left out, so the result has the same bits if B is finite. A zero times infinity, which
/// would be NaN, is left out too.
/// </para>
/// </remarks>
internal static unsafe class SparseGemm
{
    /// <summary>Vectors of columns that are summed at a time: fits 16 registers and hides the latency of multiply-add.</summary>
    private const int Vectors = 8;

    /// <summary>Length of the partial sums, as in <see cref="Gemm"/>.</summary>
    private const int Chunk = GemmBlocks.DepthBlock;

    /// <summary>Chunks whose lists are kept at a time: at a quarter of non-zero elements they fill half of the second-level
    /// cache.</summary>
    private const int ChunksPerPass = 5;

    /// <summary>Rows that share a block of B while it is in the nearest cache.</summary>
    private const int RowBlock = 256;

    /// <summary>Bytes of a block of B: a whole first-level cache; less means more passes over the sums, which costs more than the lines
    /// pushed out.</summary>
    private const int BlockBytes = 32 << 10;

    /// <summary>Floats from row to row of a copied chunk of A: rows fall into different cache sets.</summary>
    private const int CopyStride = Chunk + 16;

    /// <param name="team">The threads that compute it; members divide m.</param>
    /// <param name="transA">Whether A is stored [k, m] instead of [m, k].</param>
    /// <param name="transB">Whether B is stored [n, k] instead of [k, n].</param>
    /// <param name="transC">Whether C is stored [n, m] instead of [m, n].</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Length of the sums.</param>
    /// <param name="a">The left matrix.</param>
    /// <param name="lda">Floats from one stored row of A to the next.</param>
    /// <param name="b">The right matrix.</param>
    /// <param name="ldb">Floats from one stored row of B to the next.</param>
    /// <param name="c">The result; must not overlap A, B or the bias.</param>
    /// <param name="ldc">Floats from one stored row of C to the next.</param>
    /// <param name="accumulate">Whether to add to C instead of overwriting it.</param>
    /// <param name="bias">[n], added to each row, or null.</param>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, bool transC, int m, int n, int k, float* a, int lda, float* b, int ldb, float* c,
        int ldc,
        bool accumulate = false, float* bias = null)
        => RunAs<float, SingleSource>(team, transA, transB, transC, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias);

    /// <summary>The product with a left matrix in half precision; sums are in single precision. Parameters as above.</summary>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, bool transC, int m, int n, int k, Half* a, int lda, float* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null)
        => RunAs<Half, HalfSource>(team, transA, transB, transC, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias);

    /// <summary>Either precision; parameters as <c>Run</c>.</summary>
    internal static void RunAs<T, TSource>(
        ThreadTeam team, bool transA, bool transB, bool transC, int m, int n, int k, T* a, int lda, float* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        int width = Vectors * (GemmMicroKernel.Columns(team.Level) / 2);
        nint packed = (nint)k * GemmPacking.RoundUp(n, width);
        var kernel = new Kernel<T, TSource>(transA, transB, transC, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias,
            (float*)team.SharedPacking((nuint)packed * sizeof(float)));
        team.Run(ref kernel);
    }

    private readonly struct Kernel<T, TSource>(
        bool transA, bool transB, bool transC, int m, int n, int k, T* a, nint lda, float* b, nint ldb, float* c, nint ldc,
        bool accumulate, float* bias, float* packed)
        : ITeamKernel
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int width = Vectors * TSimd.Width;
            int groups = (n + width - 1) / width, chunks = (k + Chunk - 1) / Chunk;
            (int begin, int end) = member.Share(groups * chunks);
            for (int i = begin; i < end; i++)
            {
                (int group, int chunk) = Math.DivRem(i, chunks);
                Pack<TSimd, TVec>(chunk * Chunk, Math.Min(Chunk, k - (chunk * Chunk)), group * width, Math.Min(width, n - (group * width)));
            }

            member.Barrier();
            (begin, end) = member.Share(m, GemmMicroKernel.KStep);
            if (begin == end)
            {
                return;
            }

            int blocks = BlocksPerChunk(width);
            nint listLength = ((nint)RowBlock * Math.Min(ChunksPerPass * Chunk, GemmPacking.RoundUp(k, Chunk))) + TSimd.Width;
            nint floats = (2 * (nint)RowBlock * width) + (RowBlock * CopyStride) + (2 * listLength)
                + (RowBlock * ChunksPerPass * blocks);
            float* totals = (float*)member.Scratch((nuint)floats * sizeof(float));
            float* partials = totals + (RowBlock * width);
            float* copy = partials + (RowBlock * width);
            float* values = copy + (RowBlock * CopyStride);
            int* places = (int*)(values + listLength);
            int* counts = places + listLength;
            for (int row = begin; row < end; row += RowBlock)
            {
                int rows = Math.Min(RowBlock, end - row);
                int depth = ChunksPerPass * Chunk;
                int first = 0;
                do
                {
                    int last = Math.Min(k, first + depth);
                    List<TSimd, TVec>(row, rows, first, last, blocks, copy, values, places, counts);
                    for (int column = 0; column < n; column += width)
                    {
                        int columns = Math.Min(width, n - column);
                        LoadTotals<TSimd, TVec>(row, rows, column, columns, accumulate || first > 0, totals);
                        Sum<TSimd, TVec>(rows, first, last, column, blocks, values, places, counts, partials, totals);
                        StoreTotals<TSimd, TVec>(row, rows, column, columns, last == k ? bias : null, totals);
                    }

                    first = last;
                }
                while (first < k);
            }
        }

        /// <summary>Blocks into which a chunk of B with so many columns is cut.</summary>
        private static int BlocksPerChunk(int width) => ((Chunk * width * sizeof(float)) + BlockBytes - 1) / BlockBytes;

        /// <summary>Where a block of a chunk begins: a multiple of the vector's width.</summary>
        private static int BlockBegin<TSimd, TVec>(int block, int blocks)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => Chunk / TSimd.Width * block / blocks * TSimd.Width;

        /// <summary>
        /// The non-zero elements of the rows' part [first, last) of k, in the order in which <see cref="Sum"/> takes them: chunk, block,
        /// row. A place is the offset of B's row in its block.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void List<TSimd, TVec>(int row, int rows, int first, int last, int blocks, float* copy, float* values, int* places,
            int* counts)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            for (int chunk = first; chunk < last; chunk += Chunk)
            {
                CopyChunk<TSimd, TVec>(row, rows, chunk, Math.Min(Chunk, last - chunk), copy);
                for (int block = 0; block < blocks; block++)
                {
                    int begin = BlockBegin<TSimd, TVec>(block, blocks);
                    int end = BlockBegin<TSimd, TVec>(block + 1, blocks);
                    for (int i = 0; i < rows; i++)
                    {
                        float* from = copy + (i * CopyStride);
                        int count = 0;
                        for (int p = begin; p < end; p += TSimd.Width)
                        {
                            count += TSimd.CompressNonZero(from + p, (p - begin) * Vectors * TSimd.Width, Vectors * TSimd.Width,
                                values + count, places + count);
                        }

                        values += count;
                        places += count;
                        *counts++ = count;
                    }
                }
            }
        }

        /// <summary>A chunk of op(A), row by row, filled up with zeros.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void CopyChunk<TSimd, TVec>(int row, int rows, int first, int depth, float* copy)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (depth < Chunk)
            {
                new Span<float>(copy, RowBlock * CopyStride).Clear();
            }

            if (transA)
            {
                Transposition.Pack<TSimd, TVec, T, TSource>(rows, depth, a + (first * lda) + row, lda, copy, CopyStride);
                return;
            }

            for (int i = 0; i < rows; i++)
            {
                T* from = a + ((row + i) * lda) + first;
                float* to = copy + (i * CopyStride);
                int p = 0;
                for (; p <= depth - TSimd.Width; p += TSimd.Width)
                {
                    TSimd.Store(to + p, TSource.Load<TSimd, TVec>(from + p));
                }

                for (; p < depth; p++)
                {
                    to[p] = TSource.Read(from + p);
                }
            }
        }

        /// <summary>totals += the partial sums of all chunks in [first, last), for one group of columns.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Sum<TSimd, TVec>(
            int rows, int first, int last, int column, int blocks, float* values, int* places, int* counts, float* partials,
            float* totals)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            for (int chunk = first; chunk < last; chunk += Chunk)
            {
                for (int i = 0; i < blocks; i++)
                {
                    float* block = Packed<TSimd, TVec>(chunk + BlockBegin<TSimd, TVec>(i, blocks), column);
                    int used = AddRows<TSimd, TVec>(rows, counts, values, places, block, partials, resume: i > 0,
                        i == blocks - 1 ? totals : null);
                    counts += rows;
                    values += used;
                    places += used;
                }
            }
        }

        /// <summary>Where row <paramref name="place"/> of a group of columns of op(B) is packed.</summary>
        private float* Packed<TSimd, TVec>(int place, int column)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => packed + ((nint)column * k) + ((nint)place * Vectors * TSimd.Width);

        /// <summary>Rows of a group of columns of op(B), one behind the other, missing columns 0.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Pack<TSimd, TVec>(int first, int depth, int column, int columns)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int width = Vectors * TSimd.Width;
            float* rows = Packed<TSimd, TVec>(first, column);
            if (columns < width)
            {
                new Span<float>(rows, depth * width).Clear();
            }

            if (transB)
            {
                Transposition.Pack<TSimd, TVec, float, SingleSource>(depth, columns, b + (column * ldb) + first, ldb, rows, width);
                return;
            }

            for (int p = 0; p < depth; p++)
            {
                Copy<TSimd, TVec>(b + ((first + p) * ldb) + column, rows + ((nint)p * width), columns, null);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void LoadTotals<TSimd, TVec>(int row, int rows, int column, int columns, bool add, float* totals)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int width = Vectors * TSimd.Width;
            if (!add)
            {
                new Span<float>(totals, rows * width).Clear();
            }
            else if (transC)
            {
                Transposition.Pack<TSimd, TVec, float, SingleSource>(rows, columns, c + (column * ldc) + row, ldc, totals, width);
            }
            else
            {
                for (int i = 0; i < rows; i++)
                {
                    Copy<TSimd, TVec>(c + ((row + i) * ldc) + column, totals + ((nint)i * width), columns, null);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void StoreTotals<TSimd, TVec>(int row, int rows, int column, int columns, float* addend, float* totals)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int width = Vectors * TSimd.Width;
            addend = addend is null ? null : addend + column;
            if (!transC)
            {
                for (int i = 0; i < rows; i++)
                {
                    Copy<TSimd, TVec>(totals + ((nint)i * width), c + ((row + i) * ldc) + column, columns, addend);
                }

                return;
            }

            for (int i = 0; i < rows && addend is not null; i++)
            {
                Copy<TSimd, TVec>(totals + ((nint)i * width), totals + ((nint)i * width), columns, addend);
            }

            Transposition.Pack<TSimd, TVec, float, SingleSource>(columns, rows, totals, width, c + (column * ldc) + row, ldc);
        }

        /// <summary>to = from + addend, where there is one.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Copy<TSimd, TVec>(float* from, float* to, int count, float* addend)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            for (int i = 0; i < count; i += TSimd.Width)
            {
                TVec value = Lanes.Load<TSimd, TVec>(from + i, count - i);
                if (addend is not null)
                {
                    value = TSimd.Add(value, Lanes.Load<TSimd, TVec>(addend + i, count - i));
                }

                Lanes.Store<TSimd, TVec>(to + i, value, count - i);
            }
        }

        /// <summary>Adds, for each row, the rows of the block that its list names.</summary>
        /// <param name="counts">[rows] list lengths.</param>
        /// <param name="values">The lists, one behind the other.</param>
        /// <param name="places">Offsets of the rows in the block.</param>
        /// <param name="block">Rows of <see cref="Vectors"/> vectors.</param>
        /// <param name="partials">[rows, Vectors] of vectors: sums over the chunk so far.</param>
        /// <param name="resume">Whether the sums go on; otherwise they start at 0.</param>
        /// <param name="totals">Where the finished sums are added; null if the chunk goes on.</param>
        /// <returns>Length of all lists.</returns>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static int AddRows<TSimd, TVec>(int rows, int* counts, float* values, int* places, float* block, float* partials,
            bool resume, float* totals)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            float* value = values;
            int* place = places;
            for (int row = 0; row < rows; row++)
            {
                TVec s0 = TSimd.Zero, s1 = TSimd.Zero, s2 = TSimd.Zero, s3 = TSimd.Zero;
                TVec s4 = TSimd.Zero, s5 = TSimd.Zero, s6 = TSimd.Zero, s7 = TSimd.Zero;
                if (resume)
                {
                    s0 = TSimd.Load(partials);
                    s1 = TSimd.Load(partials + TSimd.Width);
                    s2 = TSimd.Load(partials + (2 * TSimd.Width));
                    s3 = TSimd.Load(partials + (3 * TSimd.Width));
                    s4 = TSimd.Load(partials + (4 * TSimd.Width));
                    s5 = TSimd.Load(partials + (5 * TSimd.Width));
                    s6 = TSimd.Load(partials + (6 * TSimd.Width));
                    s7 = TSimd.Load(partials + (7 * TSimd.Width));
                }

                for (float* end = value + counts[row]; value < end; value++, place++)
                {
                    TVec x = TSimd.Set(*value);
                    float* weights = block + *place;
                    s0 = TSimd.MultiplyAdd(x, TSimd.Load(weights), s0);
                    s1 = TSimd.MultiplyAdd(x, TSimd.Load(weights + TSimd.Width), s1);
                    s2 = TSimd.MultiplyAdd(x, TSimd.Load(weights + (2 * TSimd.Width)), s2);
                    s3 = TSimd.MultiplyAdd(x, TSimd.Load(weights + (3 * TSimd.Width)), s3);
                    s4 = TSimd.MultiplyAdd(x, TSimd.Load(weights + (4 * TSimd.Width)), s4);
                    s5 = TSimd.MultiplyAdd(x, TSimd.Load(weights + (5 * TSimd.Width)), s5);
                    s6 = TSimd.MultiplyAdd(x, TSimd.Load(weights + (6 * TSimd.Width)), s6);
                    s7 = TSimd.MultiplyAdd(x, TSimd.Load(weights + (7 * TSimd.Width)), s7);
                }

                float* target = partials;
                if (totals is not null)
                {
                    s0 = TSimd.Add(TSimd.Load(totals), s0);
                    s1 = TSimd.Add(TSimd.Load(totals + TSimd.Width), s1);
                    s2 = TSimd.Add(TSimd.Load(totals + (2 * TSimd.Width)), s2);
                    s3 = TSimd.Add(TSimd.Load(totals + (3 * TSimd.Width)), s3);
                    s4 = TSimd.Add(TSimd.Load(totals + (4 * TSimd.Width)), s4);
                    s5 = TSimd.Add(TSimd.Load(totals + (5 * TSimd.Width)), s5);
                    s6 = TSimd.Add(TSimd.Load(totals + (6 * TSimd.Width)), s6);
                    s7 = TSimd.Add(TSimd.Load(totals + (7 * TSimd.Width)), s7);
                    target = totals;
                    totals += Vectors * TSimd.Width;
                }

                TSimd.Store(target, s0);
                TSimd.Store(target + TSimd.Width, s1);
                TSimd.Store(target + (2 * TSimd.Width), s2);
                TSimd.Store(target + (3 * TSimd.Width), s3);
                TSimd.Store(target + (4 * TSimd.Width), s4);
                TSimd.Store(target + (5 * TSimd.Width), s5);
                TSimd.Store(target + (6 * TSimd.Width), s6);
                TSimd.Store(target + (7 * TSimd.Width), s7);
                partials += Vectors * TSimd.Width;
            }

            return (int)(value - values);
        }
    }
}
