using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
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
