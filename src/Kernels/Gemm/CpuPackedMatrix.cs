using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// A right-hand matrix [k, n] in the order the GEMM kernel of one SIMD level reads it, for weights that many products use. Owns its memory.
/// </summary>
/// <remarks>
/// Layout: for each block of <see cref="GemmBlocks.DepthBlock"/> values of k, for each panel of columns, [k][columns of the panel].
/// The last panel is filled up with zeros.
/// </remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    private float* _data;

    /// <param name="level">The level of the teams that will use it.</param>
    /// <param name="k">Rows of op(B): the length of the sums.</param>
    /// <param name="n">Columns of op(B).</param>
    public PackedMatrix(SimdLevel level, int k, int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        Level = level;
        K = k;
        N = n;
        PanelColumns = GemmMicroKernel.Columns(level);
        _data = (float*)NativeMemory.AlignedAlloc((nuint)GemmPacking.SizeB(n, k, PanelColumns) * sizeof(float), 4096);
    }

    ~PackedMatrix() => Free();

    public SimdLevel Level { get; }

    public int K { get; }

    public int N { get; }

    internal int PanelColumns { get; }

    /// <summary>Fills the matrix; may be called again when the weights have changed.</summary>
    /// <param name="team">Packs in parallel; must have this matrix's level.</param>
    /// <param name="transposed">Whether the source is row-major [n, k] instead of [k, n].</param>
    /// <param name="source">The weights.</param>
    /// <param name="ld">Floats from one row of the source to the next.</param>
    public void Pack(ThreadTeam team, bool transposed, float* source, int ld)
    {
        RequireLevel(team.Level);
        var kernel = new PackKernel(this, transposed, source, ld);
        team.Run(ref kernel);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>All panels, as products read them.</summary>
    internal PackedPanels Panels()
    {
        ObjectDisposedException.ThrowIf(_data is null, this);
        return new PackedPanels(_data, GemmPacking.RoundUp(N, PanelColumns));
    }

    internal void RequireLevel(SimdLevel level)
    {
        if (level != Level)
        {
            throw new ArgumentException(
                $"This matrix is packed for SIMD level {Level}, the team runs at {level}; pack it for the team's level.");
        }
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_data);
        _data = null;
    }

    private readonly struct PackKernel(PackedMatrix matrix, bool transposed, float* source, nint ld) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(matrix.N, matrix.PanelColumns);
            GemmPacking.PackWholeB<TSimd, TVec, float, SingleSource>(false, transposed, begin, end, matrix.K, source, ld, matrix.Panels());
        }
    }
}
