namespace CudaTrainer.Kernels;

/// <summary>
/// Inverted dropout: element e is kept, and multiplied by 1/(1−p), where its <see cref="Philox.Uniform"/> number is ≥ p, and is 0
/// elsewhere. The mask is never stored: backward computes it again from these three numbers. The default value drops nothing.
/// </summary>
/// <param name="Probability">p, the fraction dropped, 0 ≤ p &lt; 1.</param>
/// <param name="Seed">Philox key.</param>
/// <param name="Subsequence">Philox subsequence: one for each layer and step.</param>
/// <param name="First">Number of the tensor's first element in the mask, ≥ 0: a shard of a batch draws its part of the whole batch's
/// mask.</param>
public readonly record struct Dropout(float Probability, ulong Seed, ulong Subsequence, long First = 0)
{
    public bool IsActive => Probability > 0;

    /// <summary>What kept elements are multiplied by.</summary>
    public float Scale => 1f / (1f - Probability);

    /// <summary>The factor of one element of the tensor: 0 or <see cref="Scale"/>.</summary>
    public float Factor(long element) => Philox.Uniform(Seed, Subsequence, First + element) >= Probability ? Scale : 0f;
}
