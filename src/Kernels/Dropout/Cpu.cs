using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Writes stretches of a dropout mask for the kernels that apply one: the factor, 0 or 1/(1−p), of each element.</summary>
/// <remarks>
/// Four Philox blocks run side by side, one in each 64-bit lane: the widening 32 × 32 multiplication reads only the lower halves of its
/// operands, so the upper halves are left dirty until the end.
/// </remarks>
internal static unsafe class DropoutMask
{
    /// <summary>Elements that four blocks give.</summary>
    private const int Group = 16;

    /// <summary>Floats a buffer needs for <paramref name="count"/> elements that begin anywhere.</summary>
    public static int BufferLength(int count) => count + (2 * Group);

    /// <summary>Computes the factors of <paramref name="count"/> elements from <paramref name="first"/> on.</summary>
    /// <param name="dropout">Probability and generator.</param>
    /// <param name="first">First element's place in the tensor, ≥ 0.</param>
    /// <param name="count">Elements wanted.</param>
    /// <param name="buffer">Working memory of <see cref="BufferLength"/> floats.</param>
    /// <returns>The first element's factor; the others follow.</returns>
    public static float* Fill<TSimd, TVec>(in Dropout dropout, long first, int count, float* buffer)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        first += dropout.First;
        int skip = (int)(first & 3);
        ulong block = (ulong)first / 4;
        if (TSimd.Width >= Vector256<float>.Count)
        {
            for (int i = 0; i < skip + count; i += Group)
            {
                FourBlocks(dropout, block, buffer + i);
                block += Group / 4;
            }
        }
        else
        {
            for (int i = 0; i < skip + count; i += 4)
            {
                OneBlock(dropout, block, buffer + i);
                block++;
            }
        }

        return buffer + skip;
    }

    private static void OneBlock(in Dropout dropout, ulong block, float* factors)
    {
        (uint x0, uint x1, uint x2, uint x3) = Philox.Block(block, dropout.Subsequence, dropout.Seed);
        float scale = dropout.Scale;
        float p = dropout.Probability;
        factors[0] = (x0 >> 8) * Philox.UniformStep >= p ? scale : 0;
        factors[1] = (x1 >> 8) * Philox.UniformStep >= p ? scale : 0;
        factors[2] = (x2 >> 8) * Philox.UniformStep >= p ? scale : 0;
        factors[3] = (x3 >> 8) * Philox.UniformStep >= p ? scale : 0;
    }

    private static void FourBlocks(in Dropout dropout, ulong block, float* factors)
    {
        // Blocks 0 2 1 3, so that interleaving 64-bit halves within 128-bit lanes gives the words in order.
        Vector256<ulong> counter = Vector256.Create(block) + Vector256.Create(0UL, 2, 1, 3);
        Vector256<ulong> x0 = counter;
        Vector256<ulong> x1 = counter >>> 32;
        var x2 = Vector256.Create(dropout.Subsequence);
        var x3 = Vector256.Create(dropout.Subsequence >> 32);
        uint key0 = (uint)dropout.Seed;
        uint key1 = (uint)(dropout.Seed >> 32);
        Vector256<uint> multiplier0 = Vector256.Create((ulong)Philox.Multiplier0).AsUInt32();
        Vector256<uint> multiplier1 = Vector256.Create((ulong)Philox.Multiplier1).AsUInt32();
        for (int round = 0; round < Philox.Rounds; round++)
        {
            Vector256<ulong> product0 = Avx2.Multiply(x0.AsUInt32(), multiplier0);
            Vector256<ulong> product1 = Avx2.Multiply(x2.AsUInt32(), multiplier1);
            x0 = (product1 >>> 32) ^ x1 ^ Vector256.Create((ulong)key0);
            x1 = product1;
            x2 = (product0 >>> 32) ^ x3 ^ Vector256.Create((ulong)key1);
            x3 = product0;
            key0 += Philox.Weyl0;
            key1 += Philox.Weyl1;
        }

        var low = Vector256.Create((ulong)uint.MaxValue);
        Vector256<ulong> words01 = (x0 & low) | (x1 << 32);
        Vector256<ulong> words23 = (x2 & low) | (x3 << 32);
        Store(dropout, Avx2.UnpackLow(words01, words23), factors);
        Store(dropout, Avx2.UnpackHigh(words01, words23), factors + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(in Dropout dropout, Vector256<ulong> words, float* factors)
    {
        Vector256<float> uniform = Avx.ConvertToVector256Single((words.AsUInt32() >>> 8).AsInt32()) * Philox.UniformStep;
        Vector256<float> keep = Vector256.GreaterThanOrEqual(uniform, Vector256.Create(dropout.Probability));
        (keep & Vector256.Create(dropout.Scale)).Store(factors);
    }
}
