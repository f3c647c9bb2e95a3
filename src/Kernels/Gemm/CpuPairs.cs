using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Two numbers that lie side by side.</summary>
internal struct Neighbours<T>
    where T : unmanaged
{
    public T First;
    public T Second;
}

/// <summary>Pairs of bfloat16 for <see cref="PairTile"/> where the values of k lie side by side.</summary>
internal readonly unsafe struct NeighbourPairs<T, TSource> : IPackSource<Neighbours<T>>
    where T : unmanaged
    where TSource : struct, IPackSource<T>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(Neighbours<T>* source, nint partner) =>
        BFloatBits.Pair(TSource.Read((T*)source), TSource.Read((T*)source + 1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(Neighbours<T>* source, nint partner) =>
        BFloatBits.PairNeighbours(TSource.Load4((T*)source), TSource.Load4((T*)source + 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TSimd, TVec>(Neighbours<T>* source, nint partner)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => Unsafe.BitCast<Vector512<float>, TVec>(BFloatBits.PairNeighbours(
            Unsafe.BitCast<TVec, Vector512<float>>(TSource.Load<TSimd, TVec>((T*)source)),
            Unsafe.BitCast<TVec, Vector512<float>>(TSource.Load<TSimd, TVec>((T*)source + TSimd.Width))));
}

/// <summary>The same where the two numbers lie in two rows, the partner's distance apart.</summary>
internal readonly unsafe struct RowPairs<T, TSource> : IPackSource<T>
    where T : unmanaged
    where TSource : struct, IPackSource<T>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(T* source, nint partner) => BFloatBits.Pair(TSource.Read(source), TSource.Read(source + partner));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(T* source, nint partner) =>
        BFloatBits.Pair(TSource.Load4(source), TSource.Load4(source + partner));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TSimd, TVec>(T* source, nint partner)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => Unsafe.BitCast<Vector512<float>, TVec>(BFloatBits.Pair(
            Unsafe.BitCast<TVec, Vector512<float>>(TSource.Load<TSimd, TVec>(source)),
            Unsafe.BitCast<TVec, Vector512<float>>(TSource.Load<TSimd, TVec>(source + partner))));
}

/// <summary>
/// The register tile of <see cref="GemmMicroKernel"/> for pairs of bfloat16 with sums in single precision, by an instruction that .NET does
/// not offer (VDPBF16PS): <c>native/kernels</c>, whose header has the parameters. A pair stands where a float stands otherwise, so blocks
/// and panels have the same size and hold twice as many values of k.
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
    public void Run(int rows, int pairs, float* a, nint aBlockStride, float* b, float* tile, nint tileStride, TileUpdate update) =>
        _tile(rows, pairs, a, aBlockStride, b, tile, tileStride, (int)update);
}
