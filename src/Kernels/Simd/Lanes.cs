using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Loads and stores of a whole vector or, at the end of a row, of the lanes that are left; missing lanes read as 0.</summary>
internal static unsafe class Lanes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TSimd, TVec>(float* source, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => lanes >= TSimd.Width ? TSimd.Load(source) : TSimd.LoadPartial(source, lanes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TSimd, TVec>(float* destination, TVec value, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        if (lanes >= TSimd.Width)
        {
            TSimd.Store(destination, value);
        }
        else
        {
            TSimd.StorePartial(destination, value, lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec LoadHalf<TSimd, TVec>(Half* source, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => lanes >= TSimd.Width ? TSimd.LoadHalf(source) : LoadHalfPartial<TSimd, TVec>(source, lanes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreHalf<TSimd, TVec>(Half* destination, TVec value, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        if (lanes >= TSimd.Width)
        {
            TSimd.StoreHalf(destination, value);
        }
        else
        {
            StoreHalfPartial<TSimd, TVec>(destination, value, lanes);
        }
    }

    /// <summary>Loads numbers stored as <typeparamref name="TStored"/>, which is float or <see cref="Half"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec LoadAs<TSimd, TVec, TStored>(TStored* source, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where TStored : unmanaged
        => typeof(TStored) == typeof(Half) ? LoadHalf<TSimd, TVec>((Half*)source, lanes) : Load<TSimd, TVec>((float*)source, lanes);

    /// <summary>Stores numbers as <typeparamref name="TStored"/>, which is float or <see cref="Half"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreAs<TSimd, TVec, TStored>(TStored* destination, TVec value, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where TStored : unmanaged
    {
        if (typeof(TStored) == typeof(Half))
        {
            StoreHalf<TSimd, TVec>((Half*)destination, value, lanes);
        }
        else
        {
            Store<TSimd, TVec>((float*)destination, value, lanes);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static TVec LoadHalfPartial<TSimd, TVec>(Half* source, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        Half* whole = stackalloc Half[TSimd.Width];
        new Span<Half>(whole, TSimd.Width).Clear();
        new ReadOnlySpan<Half>(source, lanes).CopyTo(new Span<Half>(whole, lanes));
        return TSimd.LoadHalf(whole);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreHalfPartial<TSimd, TVec>(Half* destination, TVec value, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        Half* whole = stackalloc Half[TSimd.Width];
        TSimd.StoreHalf(whole, value);
        new ReadOnlySpan<Half>(whole, lanes).CopyTo(new Span<Half>(destination, lanes));
    }
}
