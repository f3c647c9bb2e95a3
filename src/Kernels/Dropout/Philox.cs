using System.Runtime.Intrinsics;

namespace CudaTrainer.Kernels;

/// <summary>
/// The counter-based generator Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): any
/// element of any subsequence is computed on its own, so that every device, thread count and tile size sees the same numbers.
/// </summary>
/// <remarks>
/// Contract shared by all devices: element e of subsequence s under seed k is lane e mod 4 of the block with counter (⌊e/4⌋ low, ⌊e/4⌋ high,
/// s low, s high) and key (k low, k high); its uniform number is (x ≫ 8)·2⁻²⁴, in [0, 1).
/// </remarks>
internal static class Philox
{
    internal const uint Multiplier0 = 0xD2511F53;
    internal const uint Multiplier1 = 0xCD9E8D57;
    internal const uint Weyl0 = 0x9E3779B9;
    internal const uint Weyl1 = 0xBB67AE85;
    internal const int Rounds = 10;

    /// <summary>2⁻²⁴: the step of the uniform numbers.</summary>
    internal const float UniformStep = 1f / (1 << 24);

    /// <summary>The block of four random words for a 128-bit counter and a 64-bit key, least significant halves first.</summary>
    public static (uint X0, uint X1, uint X2, uint X3) Block(ulong counterLow, ulong counterHigh, ulong key)
    {
        uint x0 = (uint)counterLow;
        uint x1 = (uint)(counterLow >> 32);
        uint x2 = (uint)counterHigh;
        uint x3 = (uint)(counterHigh >> 32);
        uint key0 = (uint)key;
        uint key1 = (uint)(key >> 32);
        for (int round = 0; round < Rounds; round++)
        {
            ulong product0 = (ulong)Multiplier0 * x0;
            ulong product1 = (ulong)Multiplier1 * x2;
            x0 = (uint)(product1 >> 32) ^ x1 ^ key0;
            x1 = (uint)product1;
            x2 = (uint)(product0 >> 32) ^ x3 ^ key1;
            x3 = (uint)product0;
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return (x0, x1, x2, x3);
    }

    /// <summary>The blocks of eight consecutive counters, <paramref name="counter"/> first, side by side: a word in each lane.</summary>
    /// <param name="counter">The lower half of the first counter; the upper halves are 0.</param>
    public static (Vector512<ulong> X0, Vector512<ulong> X1, Vector512<ulong> X2, Vector512<ulong> X3) EightBlocks(ulong counter, ulong key)
    {
        var low = Vector512.Create<ulong>(uint.MaxValue);
        Vector512<ulong> counters = Vector512.Create(counter) + Vector512<ulong>.Indices;
        Vector512<ulong> x0 = counters & low, x1 = counters >> 32, x2 = Vector512<ulong>.Zero, x3 = x2;
        uint key0 = (uint)key;
        uint key1 = (uint)(key >> 32);
        for (int round = 0; round < Rounds; round++)
        {
            Vector512<ulong> product0 = x0 * Vector512.Create<ulong>(Multiplier0);
            Vector512<ulong> product1 = x2 * Vector512.Create<ulong>(Multiplier1);
            x0 = (product1 >> 32) ^ x1 ^ Vector512.Create<ulong>(key0);
            x1 = product1 & low;
            x2 = (product0 >> 32) ^ x3 ^ Vector512.Create<ulong>(key1);
            x3 = product0 & low;
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return (x0, x1, x2, x3);
    }

    /// <summary>The random word of one element.</summary>
    /// <param name="seed">Key.</param>
    /// <param name="subsequence">Which independent sequence.</param>
    /// <param name="element">Place in the sequence, ≥ 0.</param>
    public static uint Bits(ulong seed, ulong subsequence, long element)
    {
        (uint x0, uint x1, uint x2, uint x3) = Block((ulong)element / 4, subsequence, seed);
        return (element & 3) switch { 0 => x0, 1 => x1, 2 => x2, _ => x3 };
    }

    /// <summary>The uniform number of one element, a multiple of 2⁻²⁴ in [0, 1).</summary>
    /// <inheritdoc cref="Bits"/>
    public static float Uniform(ulong seed, ulong subsequence, long element) => (Bits(seed, subsequence, element) >> 8) * UniformStep;
}
