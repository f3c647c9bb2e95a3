using CudaTrainer.Kernels.Device;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>128 numbers in half precision in 64 registers of a thread: a row or a column of a matrix that many products use.</summary>
internal unsafe struct HalfRow
{
    public const int Length = 4 * HalfRowPart.Length;

    public HalfRowPart A, B, C, D;

    /// <param name="from">First number.</param>
    /// <param name="stride">Distance of neighbours in numbers.</param>
    /// <param name="count">How many there are; the others are 0.</param>
    /// <param name="aligned">Whether neighbours lie side by side, begin on 16 bytes, and are a multiple of 8 (not 0 means yes).</param>
    public static HalfRow Read(ushort* from, int stride, int count, int aligned)
    {
        const int Part = HalfRowPart.Length;
        HalfRow row = default;
        row.A = HalfRowPart.Read(from, 0, stride, count, aligned);

        // The branches also keep the driver's compiler from waiting for all 128 numbers at once, each in a register of its own.
        if (count > Part)
        {
            row.B = HalfRowPart.Read(from, Part, stride, count, aligned);
        }

        if (count > 2 * Part)
        {
            row.C = HalfRowPart.Read(from, 2 * Part, stride, count, aligned);
        }

        if (count > 3 * Part)
        {
            row.D = HalfRowPart.Read(from, 3 * Part, stride, count, aligned);
        }

        return row;
    }

    /// <summary>Σ row·vector in a fixed order; parts that begin behind <paramref name="count"/> are left out.</summary>
    /// <param name="row">The weights.</param>
    /// <param name="vector">Shared memory; finite behind <paramref name="count"/> too.</param>
    /// <param name="first">Where the vector begins, in groups of four.</param>
    /// <param name="count">Numbers that may not be 0.</param>
    public static float Dot(HalfRow row, ArrayView<Four> vector, int first, int count)
    {
        const int Part = HalfRowPart.Length, Fours = Part / 4;
        Four sums = HalfRowPart.Dot(row.A, vector, first, default);
        if (count > Part)
        {
            sums = HalfRowPart.Dot(row.B, vector, first + Fours, sums);
        }

        if (count > 2 * Part)
        {
            sums = HalfRowPart.Dot(row.C, vector, first + (2 * Fours), sums);
        }

        if (count > 3 * Part)
        {
            sums = HalfRowPart.Dot(row.D, vector, first + (3 * Fours), sums);
        }

        return Four.Sum(sums);
    }
}

/// <summary>32 numbers of a <see cref="HalfRow"/>.</summary>
internal unsafe struct HalfRowPart
{
    public const int Length = 32;

    private Words _a, _b, _c, _d;

    public static HalfRowPart Read(ushort* from, int first, int stride, int count, int aligned)
    {
        HalfRowPart part = default;
        part._a = ReadWords(from, first, stride, count, aligned);
        part._b = ReadWords(from, first + 8, stride, count, aligned);
        part._c = ReadWords(from, first + 16, stride, count, aligned);
        part._d = ReadWords(from, first + 24, stride, count, aligned);
        return part;
    }

    public static Four Dot(HalfRowPart part, ArrayView<Four> vector, int first, Four sums)
    {
        sums = Dot(part._a, vector, first, sums);
        sums = Dot(part._b, vector, first + 2, sums);
        sums = Dot(part._c, vector, first + 4, sums);
        return Dot(part._d, vector, first + 6, sums);
    }

    private static Four Dot(Words words, ArrayView<Four> vector, int first, Four sums)
    {
        sums = Four.Fma(Widen(words.A, words.B), vector[first], sums);
        return Four.Fma(Widen(words.C, words.D), vector[first + 1], sums);
    }

    private static Four Widen(uint first, uint second) =>
        Four.Of(Float16.Low(first), Float16.High(first), Float16.Low(second), Float16.High(second));

    private static Words ReadWords(ushort* from, int first, int stride, int count, int aligned)
    {
        Words words = default;
        if (aligned != 0)
        {
            if (first < count)
            {
                words = *(Words*)(from + first);
            }
        }
        else
        {
            words.A = ReadWord(from, first, stride, count);
            words.B = ReadWord(from, first + 2, stride, count);
            words.C = ReadWord(from, first + 4, stride, count);
            words.D = ReadWord(from, first + 6, stride, count);
        }

        return words;
    }

    private static uint ReadWord(ushort* from, int first, int stride, int count)
    {
        uint low = first < count ? Element(from, first * stride) : 0;
        uint high = first + 1 < count ? Element(from, (first + 1) * stride) : 0;
        return low | (high << 16);
    }

    /// <summary>
    /// A method of its own, in which the compiler sees an index; a product in brackets it would take for a distance in bytes, and lose the
    /// address space.
    /// </summary>
    private static uint Element(ushort* from, int index) => from[index];
}
