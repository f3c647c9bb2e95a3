using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace CudaTrainer.Kernels.Cpu.Simd;

/// <summary>
/// IEEE 754 binary16 ↔ binary32 by integer arithmetic, for every vector width. .NET exposes no F16C intrinsics; these sequences give the
/// same bits as a scalar <see cref="Half"/> cast (round to nearest even, subnormals, infinities; NaN stays NaN).
/// </summary>
/// <remarks>
/// Widening moves exponent and mantissa into place and multiplies by 2¹¹² to rebias, which is exact also for subnormals. Narrowing adds a
/// power of two whose ulp is the half's ulp, so that the FPU does the rounding (the "magic number" method).
/// </remarks>
internal static class HalfBits
{
    private const int SignMask = unchecked((int)0x8000_0000);

    /// <summary>2¹¹²: the difference of the exponent biases 127 and 15.</summary>
    private const int RebiasBits = (127 + 112) << 23;

    /// <summary>65536 as float bits: everything at or above it is infinity or NaN in half precision after rebiasing.</summary>
    private const int OverflowBits = (127 + 16) << 23;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<int> half)
    {
        Vector512<int> sign = (half & Vector512.Create(0x8000)) << 16;
        Vector512<int> magnitude = (half & Vector512.Create(0x7fff)) << 13;
        Vector512<float> scaled = magnitude.AsSingle() * Vector512.Create(RebiasBits).AsSingle();
        Vector512<int> special = Vector512.GreaterThanOrEqual(scaled, Vector512.Create(OverflowBits).AsSingle()).AsInt32();
        return (scaled.AsInt32() | (special & Vector512.Create(0x7f80_0000)) | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector256<int> half)
    {
        Vector256<int> sign = (half & Vector256.Create(0x8000)) << 16;
        Vector256<int> magnitude = (half & Vector256.Create(0x7fff)) << 13;
        Vector256<float> scaled = magnitude.AsSingle() * Vector256.Create(RebiasBits).AsSingle();
        Vector256<int> special = Vector256.GreaterThanOrEqual(scaled, Vector256.Create(OverflowBits).AsSingle()).AsInt32();
        return (scaled.AsInt32() | (special & Vector256.Create(0x7f80_0000)) | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Widen(Vector128<int> half)
    {
        Vector128<int> sign = (half & Vector128.Create(0x8000)) << 16;
        Vector128<int> magnitude = (half & Vector128.Create(0x7fff)) << 13;
        Vector128<float> scaled = magnitude.AsSingle() * Vector128.Create(RebiasBits).AsSingle();
        Vector128<int> special = Vector128.GreaterThanOrEqual(scaled, Vector128.Create(OverflowBits).AsSingle()).AsInt32();
        return (scaled.AsInt32() | (special & Vector128.Create(0x7f80_0000)) | sign).AsSingle();
    }

    /// <returns>Each lane's half bits, zero-extended to 32.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Narrow(Vector512<float> value)
    {
        Vector512<int> sign = value.AsInt32() & Vector512.Create(SignMask);
        Vector512<float> magnitude = (value.AsInt32() ^ sign).AsSingle();

        // 2¹³ times the value's own power of two has the ulp of a half of that size; 113 is the smallest normal half's exponent, and
        // everything from 144 on becomes infinity or NaN whatever the magic number.
        Vector512<int> exponent = Vector512.Min(Vector512.Max(magnitude.AsInt32() >>> 23, Vector512.Create(113)), Vector512.Create(144));
        Vector512<float> magic = ((exponent + Vector512.Create(13)) << 23).AsSingle();
        Vector512<float> rounded = (magnitude + magic) - magic;
        Vector512<int> normal = (rounded * Vector512.Create((127 - 112) << 23).AsSingle()).AsInt32() >>> 13;
        Vector512<int> fits = Vector512.LessThan(rounded, Vector512.Create(OverflowBits).AsSingle()).AsInt32();
        Vector512<int> nan = (~Vector512.Equals(value, value)).AsInt32();
        Vector512<int> special = Vector512.Create(0x7c00) | (nan & Vector512.Create(0x0200));
        return Vector512.ConditionalSelect(fits, normal, special) | (sign >>> 16);
    }

    /// <returns>Each lane's half bits, zero-extended to 32.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Narrow(Vector256<float> value)
    {
        Vector256<int> sign = value.AsInt32() & Vector256.Create(SignMask);
        Vector256<float> magnitude = (value.AsInt32() ^ sign).AsSingle();
        Vector256<int> exponent = Vector256.Min(Vector256.Max(magnitude.AsInt32() >>> 23, Vector256.Create(113)), Vector256.Create(144));
        Vector256<float> magic = ((exponent + Vector256.Create(13)) << 23).AsSingle();
        Vector256<float> rounded = (magnitude + magic) - magic;
        Vector256<int> normal = (rounded * Vector256.Create((127 - 112) << 23).AsSingle()).AsInt32() >>> 13;
        Vector256<int> fits = Vector256.LessThan(rounded, Vector256.Create(OverflowBits).AsSingle()).AsInt32();
        Vector256<int> nan = (~Vector256.Equals(value, value)).AsInt32();
        Vector256<int> special = Vector256.Create(0x7c00) | (nan & Vector256.Create(0x0200));
        return Vector256.ConditionalSelect(fits, normal, special) | (sign >>> 16);
    }

    /// <returns>Each lane's half bits, zero-extended to 32.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Narrow(Vector128<float> value)
    {
        Vector128<int> sign = value.AsInt32() & Vector128.Create(SignMask);
        Vector128<float> magnitude = (value.AsInt32() ^ sign).AsSingle();
        Vector128<int> exponent = Vector128.Min(Vector128.Max(magnitude.AsInt32() >>> 23, Vector128.Create(113)), Vector128.Create(144));
        Vector128<float> magic = ((exponent + Vector128.Create(13)) << 23).AsSingle();
        Vector128<float> rounded = (magnitude + magic) - magic;
        Vector128<int> normal = (rounded * Vector128.Create((127 - 112) << 23).AsSingle()).AsInt32() >>> 13;
        Vector128<int> fits = Vector128.LessThan(rounded, Vector128.Create(OverflowBits).AsSingle()).AsInt32();
        Vector128<int> nan = (~Vector128.Equals(value, value)).AsInt32();
        Vector128<int> special = Vector128.Create(0x7c00) | (nan & Vector128.Create(0x0200));
        return Vector128.ConditionalSelect(fits, normal, special) | (sign >>> 16);
    }
}
