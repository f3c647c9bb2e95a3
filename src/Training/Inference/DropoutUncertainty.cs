namespace CudaTrainer.Training.Inference;

/// <summary>
/// What several answers with dropout left on tell of how sure a classifier is (Gal and Ghahramani 2016, "Dropout as a Bayesian
/// approximation", arXiv:1506.02142): each pass is a network drawn from those that training has left possible.
/// </summary>
/// <param name="Passes">N.</param>
/// <param name="Mean">p̄ = Σ pₙ/N, of p(violent).</param>
/// <param name="StandardDeviation">√(Σ (pₙ − p̄)²/N).</param>
/// <param name="Entropy">H(p̄) in nats, at most log 2: how undecided the mean is.</param>
/// <param name="MutualInformation">H(p̄) − Σ H(pₙ)/N in nats: the part of it that comes from networks that contradict each other, not from
/// networks that are undecided themselves.</param>
public sealed record DropoutUncertainty(int Passes, double Mean, double StandardDeviation, double Entropy, double MutualInformation)
{
    /// <param name="violent">pₙ, one or more.</param>
    internal static DropoutUncertainty Of(ReadOnlySpan<double> violent)
    {
        double mean = 0, entropies = 0, squares = 0;
        foreach (double p in violent)
        {
            mean += p / violent.Length;
            entropies += EntropyOf(p) / violent.Length;
        }

        foreach (double p in violent)
        {
            squares += (p - mean) * (p - mean) / violent.Length;
        }

        double entropy = EntropyOf(mean);
        return new DropoutUncertainty(violent.Length, mean, Math.Sqrt(squares), entropy, Math.Max(0, entropy - entropies));
    }

    /// <summary>The Philox key of a pass. Training's has zeros where this has the pass.</summary>
    internal static ulong KeyOf(int seed, int pass) => ((ulong)(uint)(pass + 1) << 32) | (uint)seed;

    private static double EntropyOf(double p) => -(Term(p) + Term(1 - p));

    private static double Term(double p) => p <= 0 ? 0 : p * Math.Log(p);
}
