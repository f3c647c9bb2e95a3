using System.Numerics;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Turns standardised motion features into principal components, each of variance 1 over the clips, family by family. What tells clips
/// apart are contrasts between features that rise and fall together: directions of little variance, which a network that takes the features
/// as they are finds last.
/// </summary>
/// <remarks>
/// The components take the first places of a frame's motion features, the other places are zeros: the classifier keeps its shape, so that
/// the map can be folded into its first layer.
/// </remarks>
internal sealed class MotionWhitening
{
    /// <summary>Variances below this share of the largest count as noise.</summary>
    private const double SmallestVariance = 1e-4;

    private static readonly int MostComponents = MotionFamily.All.Sum(family => family.Components);

    private MotionWhitening(float[] matrix, int components)
    {
        Matrix = matrix;
        Components = components;
    }

    public int Components { get; }

    /// <summary>[231, components].</summary>
    public float[] Matrix { get; }

    public static MotionWhitening From(float[] matrix) => new(matrix, matrix.Length / MotionFeatures.PerStep);

    /// <summary>The components of the clips' means.</summary>
    /// <param name="mean">[D], of each feature.</param>
    /// <param name="scale">[D], one over its standard deviation.</param>
    public static unsafe MotionWhitening Fit(IFeatureRows rows, float[] mean, float[] scale)
    {
        int width = MotionFeatures.PerStep, first = rows.Dimension - width;
        double[][] clips = new double[rows.Count][];
        for (int i = 0; i < rows.Count; i++)
        {
            double[] clip = clips[i] = new double[width];
            for (int t = 0; t < rows.Frames; t++)
            {
                nint frame = rows.Row(i) + ((((nint)t * rows.Dimension) + first) * (rows.IsHalf ? 2 : 4));
                for (int d = 0; d < width; d++)
                {
                    double value = rows.IsHalf ? (double)((Half*)frame)[d] : ((float*)frame)[d];
                    clip[d] += (value - mean[first + d]) * scale[first + d] / rows.Frames;
                }
            }
        }

        (MotionFamily Family, double[] Variances, double[][] Vectors)[] spaces =
            [.. MotionFamily.All.Select(family => Decompose(family, clips))];
        int components = spaces.Sum(space => space.Vectors.Length), place = 0;
        float[] matrix = new float[width * components];
        foreach ((MotionFamily family, double[] variances, double[][] vectors) in spaces)
        {
            double floor = Math.Max(SmallestVariance * variances[0], 1e-12);
            for (int c = 0; c < vectors.Length; c++, place++)
            {
                double scaling = 1 / Math.Sqrt(Math.Max(variances[c], floor));
                for (int d = 0; d < family.Count; d++)
                {
                    matrix[((family.First + d) * components) + place] = (float)(vectors[c][d] * scaling);
                }
            }
        }

        return new MotionWhitening(matrix, components);
    }

    private static (MotionFamily Family, double[] Variances, double[][] Vectors) Decompose(MotionFamily family, double[][] clips)
    {
        double[][] covariance = [.. Enumerable.Range(0, family.Count).Select(_ => new double[family.Count])];
        foreach (double[] clip in clips)
        {
            for (int j = 0; j < family.Count; j++)
            {
                for (int d = 0; d <= j; d++)
                {
                    covariance[j][d] += clip[family.First + j] * clip[family.First + d] / clips.Length;
                }
            }
        }

        (double[] variances, double[][] vectors) = SymmetricEigen.Decompose(covariance);
        return (family, variances, vectors[..Math.Clamp(clips.Length - 1, 1, family.Components)]);
    }

    /// <summary>Replaces standardised features by their components.</summary>
    /// <param name="features">[231].</param>
    public void Apply(Span<float> features)
    {
        Span<float> sums = stackalloc float[MostComponents];
        sums.Clear();
        for (int d = 0; d < MotionFeatures.PerStep; d++)
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
    /// <param name="weights">[231], of one unit.</param>
    public void FoldInto(Span<float> weights)
    {
        Span<double> folded = stackalloc double[MotionFeatures.PerStep];
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
    }
}
