using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace CudaTrainer.Formats;

/// <summary>Widens or narrows stored elements to what the engine computes in.</summary>
internal static class ElementConversion
{
    /// <summary>Converts floating-point elements to float; F64 rounds to nearest, the others are exact.</summary>
    /// <param name="type">A floating type (<see cref="ElementTypes.IsFloating"/>).</param>
    /// <param name="source">destination.Length elements, little-endian.</param>
    /// <param name="destination">The floats.</param>
    public static void ToSingle(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        if (source.Length != (long)destination.Length * type.Size())
        {
            throw new ArgumentException($"{source.Length} bytes are not {destination.Length} elements of {type}.", nameof(source));
        }

        switch (type)
        {
            case ElementType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.F16:
                HalfToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.BF16:
                BFloat16ToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.F64:
                Convert<double, float>(source, destination);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not a floating-point type");
        }
    }

    /// <inheritdoc cref="ToSingle(ElementType, ReadOnlySpan{byte}, Span{float})"/>
    /// <remarks>Takes a pointer because the bytes of the elements may exceed what a span can hold.</remarks>
    internal static unsafe void ToSingle(ElementType type, byte* source, Span<float> destination)
    {
        const int block = 1 << 20;
        for (int first = 0; first < destination.Length; first += block)
        {
            Span<float> part = destination[first..Math.Min(destination.Length, first + block)];
            ToSingle(type, new ReadOnlySpan<byte>(source + ((long)first * type.Size()), part.Length * type.Size()), part);
        }
    }

    /// <summary>Converts integer or boolean elements to long.</summary>
    /// <param name="type">An integer type or Bool.</param>
    /// <param name="source">destination.Length elements, little-endian.</param>
    /// <param name="destination">The integers.</param>
    /// <exception cref="OverflowException">A U64 element exceeds <see cref="long.MaxValue"/>.</exception>
    public static void ToInt64(ElementType type, ReadOnlySpan<byte> source, Span<long> destination)
    {
        if (source.Length != (long)destination.Length * type.Size())
        {
            throw new ArgumentException($"{source.Length} bytes are not {destination.Length} elements of {type}.", nameof(source));
        }

        switch (type)
        {
            case ElementType.I64:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.I32:
                Convert<int, long>(source, destination);
                break;
            case ElementType.I16:
                Convert<short, long>(source, destination);
                break;
            case ElementType.I8:
                Convert<sbyte, long>(source, destination);
                break;
            case ElementType.U64:
                Convert<ulong, long>(source, destination);
                break;
            case ElementType.U32:
                Convert<uint, long>(source, destination);
                break;
            case ElementType.U16:
                Convert<ushort, long>(source, destination);
                break;
            case ElementType.U8 or ElementType.Bool:
                Convert<byte, long>(source, destination);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not an integer type");
        }
    }

    private static void Convert<TFrom, TTo>(ReadOnlySpan<byte> source, Span<TTo> destination)
        where TFrom : unmanaged, INumberBase<TFrom>
        where TTo : unmanaged, INumberBase<TTo>
    {
        ReadOnlySpan<TFrom> elements = MemoryMarshal.Cast<byte, TFrom>(source);
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = TTo.CreateChecked(elements[i]);
        }
    }

    /// <remarks>
    /// .NET has no vector conversion from half. Exponent and fraction shifted into a float's place and multiplied by 2¹¹² give every finite
    /// half, subnormal ones included; infinities and NaNs then get the float's full exponent.
    /// </remarks>
    private static void HalfToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        const float rebias = 5.192296858534828e33f;
        int i = 0;
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            (Vector256<uint> lower, Vector256<uint> upper) = Vector256.Widen(Vector256.Create(source[i..]));
            Widen(lower).CopyTo(destination[i..]);
            Widen(upper).CopyTo(destination[(i + Vector256<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
        {
            destination[i] = (float)BitConverter.UInt16BitsToHalf(source[i]);
        }

        static Vector256<float> Widen(Vector256<uint> half)
        {
            Vector256<uint> sign = (half & Vector256.Create(0x8000u)) << 16;
            Vector256<uint> magnitude = (half & Vector256.Create(0x7fffu)) << 13;
            Vector256<uint> finite = (magnitude.AsSingle() * Vector256.Create(rebias)).AsUInt32();
            Vector256<uint> special = Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x0f7fffff)).AsUInt32();
            return (sign | finite | (special & Vector256.Create(0x7f800000u))).AsSingle();
        }
    }

    private static void BFloat16ToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(destination);
        int i = 0;
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            (Vector256<uint> lower, Vector256<uint> upper) = Vector256.Widen(Vector256.Create(source[i..]));
            (lower << 16).CopyTo(bits[i..]);
            (upper << 16).CopyTo(bits[(i + Vector256<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
        {
            bits[i] = (uint)source[i] << 16;
        }
    }
}
