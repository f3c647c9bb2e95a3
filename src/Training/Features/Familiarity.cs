namespace CudaTrainer.Training.Features;

/// <summary>
/// How far a clip is from those that a classifier learned from: the Mahalanobis distance of its mean features in their principal components
/// (Lee, Lee, Lee &amp; Shin 2018, "A simple unified framework for detecting out-of-distribution samples"). Whoever classifies what is
/// unlike anything it has seen guesses, however sure the probability looks.
/// </summary>
/// <param name="Components">[k, D].</param>
/// <param name="Offsets">
/// [k]: component c is Components[c]·(mean of the frames) + Offsets[c], with variance 1 over the training clips.
/// </param>
/// <param name="Limit">
/// The distance that one in twenty clips of sources that were held out exceeds; a clip beyond it is unfamiliar.
/// </param>
internal sealed record Familiarity(float[] Components, float[] Offsets, double Limit)
{
    /// <summary>Quantile of the held-out clips' distances that is the limit.</summary>
    internal const double Share = 0.95;

    /// <summary>
    /// The distances, in limits, of the clips that it was found from, each by those of other sources; empty where it comes from a file.
    /// </summary>
    public IReadOnlyList<double> HeldOut { get; init; } = [];

    /// <summary>The root of the mean of the squared components: 1 for the average training clip.</summary>
    /// <param name="features">[T, D].</param>
    public double DistanceOf(ReadOnlySpan<float> features)
    {
        int dimension = Components.Length / Offsets.Length, frames = features.Length / dimension;
        double[] mean = new double[dimension];
        for (int i = 0; i < features.Length; i++)
        {
            mean[i % dimension] += (double)features[i] / frames;
        }

        double sum = 0;
        for (int c = 0; c < Offsets.Length; c++)
        {
            double along = Offsets[c];
            ReadOnlySpan<float> component = Components.AsSpan(c * dimension, dimension);
            for (int d = 0; d < dimension; d++)
            {
                along += component[d] * mean[d];
            }

            sum += along * along;
        }

        return Math.Sqrt(sum / Offsets.Length);
    }
}
