using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Row-major matrix product C[m, n] = op(A)[m, k]·op(B)[k, n] (+ C) (+ bias[n]), then an activation.
/// </summary>
/// <remarks>
/// <para>
/// The blocking is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34(3), 2008), as in BLIS:
/// blocks of B and A are copied ("packed") into the order in which the register kernel reads them (<see cref="GemmPacking"/>), sized for
/// the third- and second-level caches (<see cref="GemmBlocks"/>), and multiplied tile by tile in registers (<see cref="GemmMicroKernel"/>).
/// </para>
/// <para>
/// Every element is the sum, in this order, of C (if it accumulates), the partial sums over 256 values of k, each a chain of multiply-adds
/// that starts at 0, and the bias. Neither the number of threads, nor m and n, nor the element's place changes that order, so a row has
/// the same bits alone and in a batch.
/// </para>
/// <para>
/// In a team that has a <see cref="PairTile"/> both operands are rounded to bfloat16 while they are packed, where k and the distances of
/// rows allow pairs: sums are in single precision all the same, and a partial sum is over 512 values of k.
/// </para>
/// <para>
/// A team first packs the operand of the smaller of m and n together, once; then its members take strips of the larger one as they come,
/// each packing its own, so that a member which the machine holds up does not hold up the others.
/// </para>
/// </remarks>
internal static unsafe class Gemm
{
    /// <param name="team">The threads that compute it.</param>
    /// <param name="transA">Whether A is stored [k, m] instead of [m, k].</param>
    /// <param name="transB">Whether B is stored [n, k] instead of [k, n].</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Length of the sums; 0 is allowed.</param>
    /// <param name="a">The left matrix.</param>
    /// <param name="lda">Floats from one stored row of A to the next.</param>
    /// <param name="b">The right matrix.</param>
    /// <param name="ldb">Floats from one stored row of B to the next.</param>
    /// <param name="c">The result; must not overlap A, B or the bias.</param>
    /// <param name="ldc">Floats from one row of C to the next.</param>
    /// <param name="accumulate">Whether to add to C instead of overwriting it; C is not read otherwise.</param>
    /// <param name="bias">[n], added to each row, or null.</param>
    /// <param name="activation">Applied last.</param>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, int m, int n, int k, float* a, int lda, float* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
        => RunAs<float, SingleSource, float, SingleSource>(team, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias,
            activation);

    /// <summary>The product with a left matrix in half precision, widened while it is packed; sums are in single precision. Parameters as
    /// above.</summary>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, int m, int n, int k, Half* a, int lda, float* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
        => RunAs<Half, HalfSource, float, SingleSource>(team, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias,
            activation);

    /// <summary>The product with a right matrix in half precision, widened while it is packed; sums are in single precision. Parameters as
    /// above.</summary>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, int m, int n, int k, float* a, int lda, Half* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
        => RunAs<float, SingleSource, Half, HalfSource>(team, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias,
            activation);

    /// <summary>The product with a right matrix packed before, which gives n and k; other parameters and the bits of the result as
    /// <c>Run</c>.</summary>
    public static void RunPacked(
        ThreadTeam team, bool transA, int m, float* a, int lda, PackedMatrix b, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
    {
        b.RequireLevel(team.Level);
        GemmProblem problem = Problem(transA, false, m, b.N, b.K, a, lda, null, 0, c, ldc, accumulate, bias, activation);
        problem.PackedB = b.Panels();
        RunTeam<float, SingleSource, float, SingleSource>(team, problem);
        GC.KeepAlive(b);
    }

    /// <summary>The product of a half-precision left matrix and a right matrix packed before; parameters as <c>Run</c>.</summary>
    public static void RunPacked(
        ThreadTeam team, bool transA, int m, Half* a, int lda, PackedMatrix b, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
    {
        b.RequireLevel(team.Level);
        GemmProblem problem = Problem(transA, false, m, b.N, b.K, a, lda, null, 0, c, ldc, accumulate, bias, activation);
        problem.PackedB = b.Panels();
        RunTeam<Half, HalfSource, float, SingleSource>(team, problem);
        GC.KeepAlive(b);
    }

    /// <summary>Floats of working memory that <see cref="RunMember"/> needs for m ≤ <paramref name="m"/>, n ≤ <paramref name="n"/>, k ≤
    /// <paramref name="k"/>.</summary>
    public static nint MemberWorkspace<TSimd, TVec>(int m, int n, int k)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => GemmBlocks.WorkspaceSize<TSimd, TVec>(m, n, k, packedA: false, packedB: false);

    /// <summary>Floats of working memory that <see cref="RunMemberPacked"/> needs for m ≤ <paramref name="m"/> and k ≤
    /// <paramref name="k"/>.</summary>
    public static nint MemberWorkspacePacked<TSimd, TVec>(int m, int k)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => GemmBlocks.WorkspaceSize<TSimd, TVec>(m, 0, k, packedA: false, packedB: true);

    /// <summary>
    /// The whole product on the calling thread, for kernels that already run in a team: give each member its own rows or columns of C. The
    /// workspace is this thread's own, <see cref="MemberWorkspace"/> floats; other parameters and the bits of the result as <c>Run</c>.
    /// </summary>
    public static void RunMember<TSimd, TVec>(
        float* workspace, bool transA, bool transB, int m, int n, int k, float* a, int lda, float* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        GemmProblem problem = Problem(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias, activation);
        GemmBlocks.Run<TSimd, TVec, float, SingleSource, float, SingleSource>(in problem, workspace);
    }

    /// <summary>
    /// <see cref="RunMember"/> with all columns of a right matrix packed for the level <typeparamref name="TSimd"/>; the workspace is
    /// <see cref="MemberWorkspacePacked"/> floats.
    /// </summary>
    public static void RunMemberPacked<TSimd, TVec>(
        float* workspace, bool transA, int m, float* a, int lda, PackedMatrix b, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        GemmProblem problem = Problem(transA, false, m, b.N, b.K, a, lda, null, 0, c, ldc, accumulate, bias, activation);
        problem.PackedB = b.Panels();
        GemmBlocks.Run<TSimd, TVec, float, SingleSource, float, SingleSource>(in problem, workspace);
        GC.KeepAlive(b);
    }

    /// <summary>Any combination of precisions; parameters as <c>Run</c>.</summary>
    internal static void RunAs<TA, TASource, TB, TBSource>(
        ThreadTeam team, bool transA, bool transB, int m, int n, int k, TA* a, int lda, TB* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
        where TA : unmanaged
        where TASource : struct, IPackSource<TA>
        where TB : unmanaged
        where TBSource : struct, IPackSource<TB>
    {
        GemmProblem problem = Problem(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias, activation);
        if (k % 2 == 0 && (transA || lda % 2 == 0) && (!transB || ldb % 2 == 0))
        {
            problem.PairTile = team.PairTile;
        }

        RunTeam<TA, TASource, TB, TBSource>(team, problem);
    }

    private static GemmProblem Problem(
        bool transA, bool transB, int m, int n, int k, void* a, int lda, void* b, int ldb, float* c, int ldc,
        bool accumulate, float* bias, Activation activation) => new()
        {
            TransA = transA,
            TransB = transB,
            M = m,
            N = n,
            K = k,
            A = a,
            Lda = lda,
            B = b,
            Ldb = ldb,
            C = c,
            Ldc = ldc,
            Accumulate = accumulate,
            Bias = bias,
            Activation = activation,
        };

    private static void RunTeam<TA, TASource, TB, TBSource>(ThreadTeam team, in GemmProblem problem)
        where TA : unmanaged
        where TASource : struct, IPackSource<TA>
        where TB : unmanaged
        where TBSource : struct, IPackSource<TB>
    {
        if (problem.M == 0 || problem.N == 0)
        {
            return;
        }

        bool byRows = problem.M >= problem.N;
        nint shared = 0;
        if (byRows && !problem.PackedB.Exists)
        {
            shared = GemmPacking.SizeB(problem.N, problem.Depth, GemmMicroKernel.Columns(team.Level));
        }
        else if (!byRows)
        {
            shared = GemmPacking.SizeA(problem.M, problem.Depth, GemmMicroKernel.MaxRows(team.Level));
        }

        var kernel = new TeamKernel<TA, TASource, TB, TBSource>(problem, byRows,
            shared == 0 ? null : (float*)team.SharedPacking((nuint)shared * sizeof(float)));
        team.Run(ref kernel);
    }

    /// <param name="byRows">Whether strips are rows of C; otherwise columns.</param>
    /// <param name="shared">Where the operand that all strips share is packed; null if it is packed already.</param>
    private readonly struct TeamKernel<TA, TASource, TB, TBSource>(GemmProblem problem, bool byRows, float* shared) : ITeamKernel
        where TA : unmanaged
        where TASource : struct, IPackSource<TA>
        where TB : unmanaged
        where TBSource : struct, IPackSource<TB>
    {
        /// <summary>
        /// Strips for each member, so that one which is held up leaves the others more. They differ by one panel at most, and all members
        /// can take equally many.
        /// </summary>
        private const int StripsPerMember = 4;

        /// <summary>The smallest strip worth its own pass over the shared operand.</summary>
        private const int SmallestStrip = 48;

        /// <summary>The largest strip: what is packed for it stays in the second-level cache.</summary>
        private const int LargestStrip = 256;

        /// <summary>The largest strip of columns packed before, which are read from memory: long runs of it.</summary>
        private const int LargestPackedStrip = 1024;

        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            GemmProblem whole = problem;
            if (shared is not null)
            {
                PackShared<TSimd, TVec>(member, ref whole);
                member.Barrier();
            }

            int length = byRows ? problem.M : problem.N;
            int unit = byRows ? GemmMicroKernel.MaxRows<TSimd, TVec>() : GemmMicroKernel.Columns<TSimd, TVec>();
            int largest = !byRows && whole.PackedB.Exists ? LargestPackedStrip : LargestStrip;
            int wanted = Math.Clamp(length / (StripsPerMember * member.Count), SmallestStrip, largest);
            int strips = GemmPacking.RoundUp((length + wanted - 1) / wanted, member.Count);
            int panels = (length + unit - 1) / unit;
            int strip = (panels + strips - 1) / strips * unit;
            nint workspace = GemmBlocks.WorkspaceSize<TSimd, TVec>(
                byRows ? strip : problem.M, byRows ? problem.N : strip, problem.Depth, whole.PackedA.Exists, whole.PackedB.Exists);
            float* scratch = (float*)member.Scratch((nuint)workspace * sizeof(float));
            for (int i = member.Claim(); i < strips; i = member.Claim())
            {
                int begin = (int)((long)panels * i / strips) * unit;
                int end = Math.Min((int)((long)panels * (i + 1) / strips) * unit, length);
                if (begin < end)
                {
                    GemmProblem part = Part(in whole, begin, end - begin);
                    GemmBlocks.Run<TSimd, TVec, TA, TASource, TB, TBSource>(in part, scratch);
                }
            }
        }

        private void PackShared<TSimd, TVec>(Member member, ref GemmProblem whole)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (byRows)
            {
                int columns = GemmMicroKernel.Columns<TSimd, TVec>();
                whole.PackedB = new PackedPanels(shared, GemmPacking.RoundUp(problem.N, columns));
                (int begin, int end) = member.Share(problem.N, columns);
                GemmPacking.PackWholeB<TSimd, TVec, TB, TBSource>(problem.PairTile.Exists, problem.TransB, begin, end, problem.Depth,
                    (TB*)problem.B, problem.Ldb, whole.PackedB);
            }
            else
            {
                int rows = GemmMicroKernel.MaxRows<TSimd, TVec>();
                whole.PackedA = new PackedPanels(shared, GemmPacking.RoundUp(problem.M, rows));
                (int begin, int end) = member.Share(problem.M, rows);
                GemmPacking.PackWholeA<TSimd, TVec, TA, TASource>(problem.PairTile.Exists, problem.TransA, begin, end, problem.Depth,
                    (TA*)problem.A, problem.Lda, whole.PackedA);
            }
        }

        private GemmProblem Part(in GemmProblem whole, int begin, int length)
        {
            GemmProblem part = whole;
            if (byRows)
            {
                part.M = length;
                part.A = (TA*)problem.A + (problem.TransA ? begin : begin * problem.Lda);
                part.C = problem.C + (begin * problem.Ldc);
            }
            else
            {
                part.N = length;
                part.B = (TB*)problem.B + (problem.TransB ? begin * problem.Ldb : begin);
                part.PackedB = whole.PackedB.From(begin);
                part.C = problem.C + begin;
                part.Bias = problem.Bias is null ? null : problem.Bias + begin;
            }

            return part;
        }
    }
}
