using System.Numerics;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Turns the means of standardised motion features into their principal components, each of variance 1 over the clips. What tells clips
/// apart are contrasts between features that rise and fall together: directions of little variance, which a network that takes the features
/// as they are finds last. The deviations within an interval, which has few pairs, are noise beside them and left out.
/// </summary>
/// <remarks>
/// The components take the first places of a frame's motion features, the other places are zeros: the classifier keeps its shape, so that
/// the map can be folded into its first layer.
/// </remarks>
internal sealed class MotionWhitening
{
    /// <summary>As many as clips in the hundreds can say something about.</summary>
    private const int MostComponents = 45;

    /// <summary>Variances below this share of the largest count as noise.</summary>
    private const double SmallestVariance = 1e-4;

    private MotionWhitening(float[] matrix, int components)
    {
        Matrix = matrix;
        Components = components;
    }

    public int Components { get; }

    /// <summary>[174, components].</summary>
    public float[] Matrix { get; }

    public static MotionWhitening From(float[] matrix) => new(matrix, matrix.Length / MotionFeatures.PerPair);

    /// <summary>The components of the clips' means.</summary>
    /// <param name="mean">[D], of each feature.</param>
    /// <param name="scale">[D], one over its standard deviation.</param>
    public static unsafe MotionWhitening Fit(IFeatureRows rows, float[] mean, float[] scale)
    {
        int width = MotionFeatures.PerPair, first = rows.Dimension - MotionFeatures.PerStep;
        double[][] covariance = [.. Enumerable.Range(0, width).Select(_ => new double[width])];
        double[] clip = new double[width];
        for (int i = 0; i < rows.Count; i++)
        {
            Array.Clear(clip);
            for (int t = 0; t < rows.Frames; t++)
            {
                nint frame = rows.Row(i) + ((((nint)t * rows.Dimension) + first) * (rows.IsHalf ? 2 : 4));
                for (int d = 0; d < width; d++)
                {
                    double value = rows.IsHalf ? (double)((Half*)frame)[d] : ((float*)frame)[d];
                    clip[d] += (value - mean[first + d]) * scale[first + d] / rows.Frames;
                }
            }

            for (int j = 0; j < width; j++)
            {
                for (int d = 0; d <= j; d++)
                {
                    covariance[j][d] += clip[j] * clip[d] / rows.Count;
                }
            }
        }

        (double[] variances, double[][] vectors) = SymmetricEigen.Decompose(covariance);
        int components = Math.Clamp(rows.Count - 1, 1, MostComponents);
        double floor = Math.Max(SmallestVariance * variances[0], 1e-12);
        float[] matrix = new float[width * components];
        for (int c = 0; c < components; c++)
        {
            double scaling = 1 / Math.Sqrt(Math.Max(variances[c], floor));
            for (int d = 0; d < width; d++)
            {
                matrix[(d * components) + c] = (float)(vectors[c][d] * scaling);
            }
        }

        return new MotionWhitening(matrix, components);
    }

    /// <summary>Replaces standardised features by their components.</summary>
    /// <param name="features">[348].</param>
    public void Apply(Span<float> features)
    {
        Span<float> sums = stackalloc float[MostComponents];
        sums.Clear();
        for (int d = 0; d < MotionFeatures.PerPair; d++)
        {
            ReadOnlySpan<float> weights = Matrix.AsSpan(d * Components, Components);
            int c = 0;
            for (; c + Vector<float>.Count <= Components; c += Vector<float>.Count)
            {
                (new Vector<float>(sums[c..]) + (new Vector<float>(weights[c..]) * features[d])).CopyTo(sums[c..]);
            }

            for (; c < Components; c++)
            {
                sums[c] += weights[c] * features[d];
            }
        }

        sums[..Components].CopyTo(features);
        features[Components..].Clear();
    }

    /// <summary>Makes weights for components into weights for standardised features.</summary>
    /// <param name="weights">[348], of one unit.</param>
    public void FoldInto(Span<float> weights)
    {
        Span<double> folded = stackalloc double[MotionFeatures.PerPair];
        for (int d = 0; d < folded.Length; d++)
        {
            folded[d] = 0;
            for (int c = 0; c < Components; c++)
            {
                folded[d] += (double)weights[c] * Matrix[(d * Components) + c];
            }
        }

        for (int d = 0; d < folded.Length; d++)
        {
            weights[d] = (float)folded[d];
        }

        weights[folded.Length..].Clear();
    }
}
