using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace CudaTrainer.Kernels.Cpu.Simd;

/// <summary>
/// binary32 → bfloat16, its upper half, rounded to nearest even; NaN stays NaN. Two of them share the 32 bits of a float, the first in
/// the lower half.
/// </summary>
internal static class BFloatBits
{
    private const uint UpperHalf = 0xffff_0000, QuietBit = 0x0040_0000, AlmostHalf = 0x7fff;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Pair(float first, float second) =>
        BitConverter.UInt32BitsToSingle((Round(first) >> 16) | (Round(second) & UpperHalf));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Pair(Vector128<float> first, Vector128<float> second) =>
        ((Round(first) >> 16) | (Round(second) & Vector128.Create(UpperHalf))).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Pair(Vector512<float> first, Vector512<float> second) =>
        ((Round(first) >> 16) | (Round(second) & Vector512.Create(UpperHalf))).AsSingle();

    /// <summary>Pairs of numbers that follow each other in the two vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> PairNeighbours(Vector128<float> low, Vector128<float> high) =>
        Vector128.Narrow(Round(low) >> 16, Round(high) >> 16).AsSingle();

    /// <inheritdoc cref="PairNeighbours(Vector128{float}, Vector128{float})"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> PairNeighbours(Vector512<float> low, Vector512<float> high) =>
        Vector512.Narrow(Round(low) >> 16, Round(high) >> 16).AsSingle();

    /// <summary>In the upper half; what the lower one holds does not count.</summary>
    private static uint Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? bits | QuietBit : bits + AlmostHalf + ((bits >> 16) & 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Round(Vector128<float> value)
    {
        Vector128<uint> bits = value.AsUInt32();
        return Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(),
            bits + Vector128.Create(AlmostHalf) + ((bits >> 16) & Vector128<uint>.One), bits | Vector128.Create(QuietBit));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Round(Vector512<float> value)
    {
        Vector512<uint> bits = value.AsUInt32();
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(),
            bits + Vector512.Create(AlmostHalf) + ((bits >> 16) & Vector512<uint>.One), bits | Vector512.Create(QuietBit));
    }
}
