using System.Numerics;
using System.Runtime.InteropServices;

namespace CudaTrainer.Data.Cache;

/// <summary>Finds infinities and NaNs: the numbers whose exponent bits are all ones.</summary>
internal static class FiniteCheck
{
    private const uint SingleExponent = 0x7f80_0000;
    private const ushort HalfExponent = 0x7c00;

    /// <returns>Index of the first number that is not finite; −1 when all are.</returns>
    public static int IndexOfNonFinite(ReadOnlySpan<float> values) =>
        IndexOfExponent(MemoryMarshal.Cast<float, uint>(values), SingleExponent);

    /// <inheritdoc cref="IndexOfNonFinite(ReadOnlySpan{float})"/>
    public static int IndexOfNonFinite(ReadOnlySpan<Half> values) =>
        IndexOfExponent(MemoryMarshal.Cast<Half, ushort>(values), HalfExponent);

    private static int IndexOfExponent<T>(ReadOnlySpan<T> bits, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        var mask = new Vector<T>(exponent);
        int i = 0;
        while (i <= bits.Length - Vector<T>.Count && !Vector.EqualsAny(new Vector<T>(bits[i..]) & mask, mask))
        {
            i += Vector<T>.Count;
        }

        for (; i < bits.Length; i++)
        {
            if ((bits[i] & exponent) == exponent)
            {
                return i;
            }
        }

        return -1;
    }
}
