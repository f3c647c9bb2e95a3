using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Mean and quantiles of numbers that are not negative.</summary>
internal readonly record struct Spread(float Mean, float Q50, float Q75, float Q90, float Q97, float Q995)
{
    // The bits of a float from the fifth bit of its fraction upwards number the bins.
    private const int BinsAnOctave = 16;
    private const int BinShift = 19;
    private const int Bins = 23 * BinsAnOctave;
    private const int LowestExponent = 127 - 10;

    /// <summary>The quantiles are exact to 1/32 of their value between 2⁻¹⁰ and 2¹³; smaller ones are nearly 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static unsafe Spread Of(float* values, int count)
    {
        int* held = stackalloc int[Bins];
        new Span<int>(held, Bins).Clear();
        float sum = 0;
        int zeros = 0;
        for (int i = 0; i < count; i++)
        {
            int bits = BitConverter.SingleToInt32Bits(values[i]);
            sum += values[i];
            zeros += bits == 0 ? 1 : 0;
            held[Math.Clamp((bits >> BinShift) - (LowestExponent * BinsAnOctave), 0, Bins - 1)]++;
        }

        ReadOnlySpan<float> shares = [0.5f, 0.75f, 0.9f, 0.97f, 0.995f];
        Span<float> quantiles = stackalloc float[shares.Length];
        held[0] -= zeros;
        int bin = 0, before = zeros;
        for (int q = 0; q < shares.Length; q++)
        {
            float rank = shares[q] * count;
            if (rank <= zeros)
            {
                quantiles[q] = 0;
                continue;
            }

            while (bin < Bins - 1 && before + held[bin] < rank)
            {
                before += held[bin++];
            }

            float inside = held[bin] > 0 ? (rank - before) / held[bin] : 0;
            quantiles[q] = Start(bin) + ((inside < 1 ? inside : 1) * (Start(bin + 1) - Start(bin)));
        }

        return new Spread(sum / count, quantiles[0], quantiles[1], quantiles[2], quantiles[3], quantiles[4]);
    }

    private static float Start(int bin) =>
        bin == 0 ? 0 : BitConverter.Int32BitsToSingle((bin + (LowestExponent * BinsAnOctave)) << BinShift);
}
