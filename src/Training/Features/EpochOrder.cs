using CudaTrainer.Kernels;

namespace CudaTrainer.Training.Features;

/// <summary>
/// The order of the clips in an epoch: a full permutation (Fisher-Yates) that follows from the seed and the epoch alone, so that resuming
/// needs no state.
/// </summary>
internal static class EpochOrder
{
    /// <summary>Keeps the shuffle's random stream apart from those of dropout.</summary>
    private const ulong SubsequenceTag = 1UL << 63;

    /// <param name="count">Clips.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="epoch">From 1.</param>
    /// <param name="shuffle">Without, the order of the files.</param>
    public static int[] Of(int count, int seed, int epoch, bool shuffle)
    {
        int[] order = new int[count];
        for (int i = 0; i < count; i++)
        {
            order[i] = i;
        }

        for (int i = count - 1; shuffle && i > 0; i--)
        {
            int j = (int)(((ulong)Philox.Bits((uint)seed, SubsequenceTag | (uint)epoch, i) * (ulong)(i + 1)) >> 32);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }
}
