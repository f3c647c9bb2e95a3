using System.Numerics;
using System.Runtime.Intrinsics;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Nn;

/// <summary>
/// Normal numbers by Box and Muller from the blocks of <see cref="Philox"/>: words a, b give r·cos φ and r·sin φ with
/// r = √(−2 ln((a + 1)/2³²)) and φ = 2πb/2³², in double precision, times the deviation, rounded to single precision.
/// </summary>
/// <remarks>
/// Their bits are those of the scalar functions of <see cref="Math"/>. Vectors compute them several times faster, with other last bits in
/// double precision; wherever these could decide how the result is rounded, the scalar functions compute it again.
/// </remarks>
internal static class RandomNormal
{
    private const double WordStep = 1 / 4294967296.0;

    // Vectors are off by an ulp or two of what they compute, 2⁻⁵² of it. At a zero of sine and cosine that can be much more of the
    // result, which is why the second margin is one of the deviation.
    private const double RelativeMargin = 1.0 / (1L << 44);
    private const double AbsoluteMargin = 1.0 / (1L << 44);

    // Close to 1 the logarithm is close to 0, and its last bits are not small beside it.
    private const double LargestUniform = 1 - (1.0 / 1024);

    /// <summary>Fills <paramref name="values"/> from the blocks that begin with number <paramref name="firstBlock"/>.</summary>
    public static void Fill(Span<float> values, ulong firstBlock, ulong key, double deviation)
    {
        int done = 0;
        Span<float> lanes = stackalloc float[4 * Vector512<double>.Count];
        for (; values.Length - done >= lanes.Length; done += lanes.Length)
        {
            ulong block = firstBlock + ((ulong)done / 4);
            Span<float> target = values.Slice(done, lanes.Length);
            ulong doubtful = EightBlocks(lanes, block, key, deviation);
            for (int i = 0; i < Vector512<double>.Count; i++)
            {
                target[4 * i] = lanes[i];
                target[(4 * i) + 1] = lanes[8 + i];
                target[(4 * i) + 2] = lanes[16 + i];
                target[(4 * i) + 3] = lanes[24 + i];
            }

            for (; doubtful != 0; doubtful &= doubtful - 1)
            {
                int i = BitOperations.TrailingZeroCount(doubtful);
                OneBlock(target.Slice(4 * i, 4), block + (ulong)i, key, deviation);
            }
        }

        for (; done < values.Length; done += 4)
        {
            OneBlock(values[done..Math.Min(done + 4, values.Length)], firstBlock + ((ulong)done / 4), key, deviation);
        }
    }

    /// <summary>The numbers of one block, as many as <paramref name="values"/> has, by the scalar functions that define them.</summary>
    internal static void OneBlock(Span<float> values, ulong block, ulong key, double deviation)
    {
        (uint x0, uint x1, uint x2, uint x3) = Philox.Block(block, 0, key);
        (double n0, double n1) = BoxMuller(x0, x1);
        (double n2, double n3) = BoxMuller(x2, x3);
        ReadOnlySpan<double> four = [n0, n1, n2, n3];
        for (int lane = 0; lane < values.Length; lane++)
        {
            values[lane] = (float)(deviation * four[lane]);
        }
    }

    private static (double, double) BoxMuller(uint a, uint b)
    {
        double radius = Math.Sqrt(-2 * Math.Log((a + 1.0) * WordStep));
        (double sin, double cos) = Math.SinCos(2 * Math.PI * b * WordStep);
        return (radius * cos, radius * sin);
    }

    /// <summary>Eight blocks side by side.</summary>
    /// <param name="lanes">Receives the first number of each block, then the second ones and so on.</param>
    /// <returns>A bit for each block whose numbers must be computed by <see cref="OneBlock"/>.</returns>
    private static ulong EightBlocks(Span<float> lanes, ulong block, ulong key, double deviation)
    {
        (Vector512<ulong> x0, Vector512<ulong> x1, Vector512<ulong> x2, Vector512<ulong> x3) = Philox.EightBlocks(block, key);
        return Pair(lanes, x0, x1, deviation) | Pair(lanes[16..], x2, x3, deviation);
    }

    private static ulong Pair(Span<float> lanes, Vector512<ulong> a, Vector512<ulong> b, double deviation)
    {
        Vector512<double> uniform = (Vector512.ConvertToDouble(a) + Vector512<double>.One) * WordStep;
        Vector512<double> radius = Vector512.Sqrt(Vector512.Log(uniform) * -2.0);
        (Vector512<double> sin, Vector512<double> cos) = Vector512.SinCos(Vector512.ConvertToDouble(b) * (2 * Math.PI) * WordStep);
        ulong doubtful = Vector512.GreaterThan(uniform, Vector512.Create(LargestUniform)).ExtractMostSignificantBits();
        doubtful |= Round(lanes, radius * cos * deviation, deviation);
        return doubtful | Round(lanes[8..], radius * sin * deviation, deviation);
    }

    /// <summary>
    /// Rounds eight numbers; a bit is set for each that lies so close to the middle of two results that it may belong to the other.
    /// </summary>
    private static ulong Round(Span<float> lanes, Vector512<double> value, double deviation)
    {
        Vector512<double> margin = (Vector512.Abs(value) * RelativeMargin) + Vector512.Create(deviation * AbsoluteMargin);
        Vector512<float> bounds = Vector512.Narrow(value - margin, value + margin);
        bounds.GetLower().CopyTo(lanes);
        return ~Vector256.Equals(bounds.GetLower(), bounds.GetUpper()).ExtractMostSignificantBits() & 0xFFu;
    }
}
