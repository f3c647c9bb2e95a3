using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace CudaTrainer.Kernels.Cpu.Simd;

/// <summary>
/// The register tile of matrix products for pairs of bfloat16 with sums in single precision, by an instruction that .NET does not offer
/// (VDPBF16PS): <c>native/kernels</c>, whose header has the parameters. A pair stands where a float stands in the tile of single
/// precision, so blocks and panels have the same size and hold twice as many values of k.
/// </summary>
internal readonly unsafe struct PairTile
{
    /// <summary>Of the interface in <c>native/kernels/cudatrainer_kernels.h</c>.</summary>
    private const int Version = 1;

    private readonly delegate* unmanaged[SuppressGCTransition]<int, long, float*, long, float*, float*, long, int, void> _tile;

    private PairTile(nint tile) =>
        _tile = (delegate* unmanaged[SuppressGCTransition]<int, long, float*, long, float*, float*, long, int, void>)tile;

    public bool Exists => _tile is not null;

    /// <param name="library">Of <c>native/kernels</c>, loaded.</param>
    /// <returns>None where the machine lacks the instruction, or the process is not to use 512 bits.</returns>
    /// <exception cref="EntryPointNotFoundException">It is another library, or another version of it.</exception>
    public static PairTile Of(nint library)
    {
        int version = ((delegate* unmanaged<int>)NativeLibrary.GetExport(library, "ctk_abi"))();
        if (version != Version)
        {
            throw new EntryPointNotFoundException($"it has version {version} of its interface, not {Version}");
        }

        bool hasPairs = ((delegate* unmanaged<int>)NativeLibrary.GetExport(library, "ctk_has_bf16"))() != 0;
        return hasPairs && Avx512F.IsSupported
            ? new PairTile(NativeLibrary.GetExport(library, "ctk_bf16_tile"))
            : default;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Run(int rows, int pairs, float* a, nint aBlockStride, float* b, float* tile, nint tileStride, bool add) =>
        _tile(rows, pairs, a, aBlockStride, b, tile, tileStride, add ? 1 : 0);
}
