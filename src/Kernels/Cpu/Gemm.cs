using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Row-major matrix product C[m, n] = op(A)[m, k]·op(B)[k, n] (+ C) (+ bias[n]), then an activation.
/// </summary>
/// <remarks>
/// <para>
/// The blocking is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34(3), 2008), as in BLIS: blocks
/// of B and A are copied ("packed") into the order in which the register kernel reads them (<see cref="GemmPacking"/>), sized for the
/// third- and second-level caches (<see cref="GemmBlocks"/>), and multiplied tile by tile in registers (<see cref="GemmMicroKernel"/>).
/// </para>
/// <para>
/// Every element is the sum, in this order, of C (if it accumulates), the partial sums over 256 values of k, each a chain of multiply-adds
/// that starts at 0, and the bias. Neither the number of threads, nor m and n, nor the element's place changes that order, so a row has
/// the same bits alone and in a batch. Members of a team divide the larger of m and n and share nothing.
/// </para>
/// </remarks>
public static unsafe class Gemm
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
    {
        GemmProblem problem = Problem(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias, activation);
        RunTeam<float, SingleSource, float, SingleSource>(team, problem);
    }

    /// <summary>The product with a left matrix in half precision, widened while it is packed; sums are in single precision. Parameters as above.</summary>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, int m, int n, int k, Half* a, int lda, float* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
    {
        GemmProblem problem = Problem(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias, activation);
        RunTeam<Half, HalfSource, float, SingleSource>(team, problem);
    }

    /// <summary>The product with a right matrix in half precision, widened while it is packed; sums are in single precision. Parameters as above.</summary>
    public static void Run(
        ThreadTeam team, bool transA, bool transB, int m, int n, int k, float* a, int lda, Half* b, int ldb, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
    {
        GemmProblem problem = Problem(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias, activation);
        RunTeam<float, SingleSource, Half, HalfSource>(team, problem);
    }

    /// <summary>The product with a right matrix packed before, which gives n and k; other parameters and the bits of the result as <c>Run</c>.</summary>
    public static void RunPacked(
        ThreadTeam team, bool transA, int m, float* a, int lda, PackedMatrix b, float* c, int ldc,
        bool accumulate = false, float* bias = null, Activation activation = Activation.None)
    {
        b.RequireLevel(team.Level);
        GemmProblem problem = Problem(transA, false, m, b.N, b.K, a, lda, null, 0, c, ldc, accumulate, bias, activation);
        problem.Packed = b;
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
        problem.Packed = b;
        RunTeam<Half, HalfSource, float, SingleSource>(team, problem);
        GC.KeepAlive(b);
    }

    /// <summary>Floats of working memory that <see cref="RunMember"/> needs for m ≤ <paramref name="m"/>, n ≤ <paramref name="n"/>, k ≤ <paramref name="k"/>.</summary>
    public static nint MemberWorkspace<TSimd, TVec>(int m, int n, int k)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => GemmBlocks.WorkspaceSize<TSimd, TVec>(m, n, k, packed: false);

    /// <summary>Floats of working memory that <see cref="RunMemberPacked"/> needs for m ≤ <paramref name="m"/> and k ≤ <paramref name="k"/>.</summary>
    public static nint MemberWorkspacePacked<TSimd, TVec>(int m, int k)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => GemmBlocks.WorkspaceSize<TSimd, TVec>(m, 0, k, packed: true);

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
        problem.Packed = b;
        GemmBlocks.Run<TSimd, TVec, float, SingleSource, float, SingleSource>(in problem, workspace);
        GC.KeepAlive(b);
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
        var kernel = new TeamKernel<TA, TASource, TB, TBSource>(problem);
        team.Run(ref kernel);
    }

    /// <summary>Gives each member a range of rows or columns, whichever there are more of: the fewer panels are packed twice.</summary>
    private readonly struct TeamKernel<TA, TASource, TB, TBSource>(GemmProblem problem) : ITeamKernel
        where TA : unmanaged
        where TASource : struct, IPackSource<TA>
        where TB : unmanaged
        where TBSource : struct, IPackSource<TB>
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            GemmProblem part = problem;
            if (problem.M >= problem.N)
            {
                (int begin, int end) = member.Share(problem.M, GemmMicroKernel.MaxRows<TSimd, TVec>());
                part.M = end - begin;
                part.A = (TA*)problem.A + (problem.TransA ? begin : begin * problem.Lda);
                part.C = problem.C + (begin * problem.Ldc);
            }
            else
            {
                (int begin, int end) = member.Share(problem.N, GemmMicroKernel.Columns<TSimd, TVec>());
                part.N = end - begin;
                part.B = (TB*)problem.B + (problem.TransB ? begin * problem.Ldb : begin);
                part.PackedColumn = begin;
                part.C = problem.C + begin;
                part.Bias = problem.Bias is null ? null : problem.Bias + begin;
            }

            if (part.M > 0 && part.N > 0)
            {
                nint workspace = GemmBlocks.WorkspaceSize<TSimd, TVec>(part.M, part.N, part.K, part.Packed is not null);
                GemmBlocks.Run<TSimd, TVec, TA, TASource, TB, TBSource>(in part, (float*)member.Scratch((nuint)workspace * sizeof(float)));
            }
        }
    }
}
