using System.Numerics;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Turns standardised features into principal components, each of variance 1 over the clips, block by block. What tells clips apart are
/// contrasts between features that rise and fall together: directions of little variance, which a network that takes the features as they
/// are finds last.
/// </summary>
/// <remarks>
/// The components take the first places of the features that they are of, the other places are zeros: the classifier keeps its shape, so
/// that the map can be folded into its first layer.
/// </remarks>
internal sealed class Whitening
{
    /// <summary>Variances below this share of the largest count as noise.</summary>
    private const double SmallestVariance = 1e-4;

    /// <summary>Features of a block up to which their covariance is decomposed; of more, the products of the clips are.</summary>
    private const int MostByCovariance = 512;

    /// <summary>Clips that components are found from where the products of the clips are decomposed, evenly spread.</summary>
    private const int MostClips = 1000;

    private Whitening(int first, float[] matrix, int width)
    {
        (First, Matrix, Width, Components) = (first, matrix, width, matrix.Length / width);
    }

    /// <summary>Place of the first feature in a frame.</summary>
    public int First { get; }

    /// <summary>Features of a frame that are replaced.</summary>
    public int Width { get; }

    /// <summary>Of all blocks together.</summary>
    public int Components { get; }

    /// <summary>[width, components].</summary>
    public float[] Matrix { get; }

    /// <param name="first">Place of the first feature in a frame.</param>
    /// <param name="matrix">[width, components].</param>
    public static Whitening From(int first, float[] matrix, int width) => new(first, matrix, width);

    /// <summary>The components of the clips' means.</summary>
    /// <param name="mean">[D], of each feature.</param>
    /// <param name="scale">[D], one over its standard deviation.</param>
    /// <param name="blocks">Neighbours without gaps, which are replaced together.</param>
    public static Whitening Fit(IFeatureRows rows, float[] mean, float[] scale, params IReadOnlyList<FeatureBlock> blocks)
    {
        int first = blocks[0].First, width = blocks.Sum(block => block.Count);
        double[][][] spaces = [.. blocks.Select(block => block.Count > MostByCovariance
            ? ByProducts(rows, mean, scale, block)
            : ByCovariance(rows, mean, scale, block))];
        int components = spaces.Sum(space => space.Length), place = 0;
        float[] matrix = new float[width * components];
        foreach ((FeatureBlock block, double[][] space) in blocks.Zip(spaces))
        {
            foreach (double[] component in space)
            {
                for (int d = 0; d < block.Count; d++)
                {
                    matrix[((block.First - first + d) * components) + place] = (float)component[d];
                }

                place++;
            }
        }

        return new Whitening(first, matrix, width);
    }

    /// <summary>Replaces standardised features by their components.</summary>
    /// <param name="frame">[D].</param>
    public void Apply(Span<float> frame)
    {
        Span<float> features = frame.Slice(First, Width), sums = Components <= 1024 ? stackalloc float[Components] : new float[Components];
        sums.Clear();
        for (int d = 0; d < features.Length; d++)
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

        sums.CopyTo(features);
        features[Components..].Clear();
    }

    /// <summary>Makes every component so many times as large.</summary>
    public void Scale(float factor)
    {
        for (int i = 0; i < Matrix.Length; i++)
        {
            Matrix[i] *= factor;
        }
    }

    /// <summary>Makes weights for components into weights for standardised features.</summary>
    /// <param name="frame">[D], of one unit.</param>
    public void FoldInto(Span<float> frame)
    {
        Span<float> weights = frame.Slice(First, Width);
        float[] ofComponents = weights[..Components].ToArray();
        for (int d = 0; d < weights.Length; d++)
        {
            ReadOnlySpan<float> row = Matrix.AsSpan(d * Components, Components);
            double folded = 0;
            for (int c = 0; c < row.Length; c++)
            {
                folded += (double)ofComponents[c] * row[c];
            }

            weights[d] = (float)folded;
        }
    }

    /// <returns>[components][features of the block].</returns>
    private static double[][] ByCovariance(IFeatureRows rows, float[] mean, float[] scale, FeatureBlock block)
    {
        double[][] covariance = [.. Enumerable.Range(0, block.Count).Select(_ => new double[block.Count])];
        double[] clip = new double[block.Count];
        for (int i = 0; i < rows.Count; i++)
        {
            MeanOf(rows, i, mean, scale, block, clip);
            for (int j = 0; j < block.Count; j++)
            {
                for (int d = 0; d <= j; d++)
                {
                    covariance[j][d] += clip[j] * clip[d] / rows.Count;
                }
            }
        }

        (double[] variances, double[][] vectors) = SymmetricEigen.Decompose(covariance);
        double floor = Math.Max(SmallestVariance * variances[0], 1e-12);
        double[][] components = vectors[..Math.Clamp(rows.Count - 1, 1, Math.Min(block.Components, block.Count))];
        for (int c = 0; c < components.Length; c++)
        {
            double scaling = 1 / Math.Sqrt(Math.Max(variances[c], floor));
            for (int d = 0; d < block.Count; d++)
            {
                components[c][d] *= scaling;
            }
        }

        return components;
    }

    /// <summary>For blocks of many features: as many products as there are pairs of clips instead of pairs of features.</summary>
    /// <inheritdoc cref="ByCovariance"/>
    private static double[][] ByProducts(IFeatureRows rows, float[] mean, float[] scale, FeatureBlock block)
    {
        int clips = Math.Min(rows.Count, MostClips);
        float[][] means = new float[clips][];
        System.Threading.Tasks.Parallel.For(0, clips, i =>
        {
            double[] clip = new double[block.Count];
            MeanOf(rows, (int)((long)i * rows.Count / clips), mean, scale, block, clip);
            means[i] = [.. clip.Select(value => (float)value)];
        });
        var found = PrincipalComponents.Fit(PrincipalComponents.Products(clips, i => means[i]), [.. Enumerable.Range(0, clips)],
            Math.Min(block.Components, Math.Max(1, clips - 1)));
        double[][] components = [.. Enumerable.Range(0, found.Count).Select(_ => new double[block.Count])];
        System.Threading.Tasks.Parallel.For(0, found.Count, c =>
        {
            double[] only = new double[found.Count];
            only[c] = Math.Sqrt(found.Variances[c] / Math.Max(found.Variances[c], SmallestVariance * found.Variances[0]));

            // Standardised features have mean 0, and so have the components but for rounding.
            found.Unfold(i => means[i], only, components[c]);
        });

        // Clips that are all the same have no components; the classifier gets zeros.
        return components.Length > 0 ? components : [new double[block.Count]];
    }

    /// <summary>The mean of a clip's standardised features over time.</summary>
    private static unsafe void MeanOf(
        IFeatureRows rows, int clip, float[] mean, float[] scale, FeatureBlock block, Span<double> result)
    {
        result.Clear();
        for (int t = 0; t < rows.Frames; t++)
        {
            nint frame = rows.Row(clip) + ((((nint)t * rows.Dimension) + block.First) * (rows.IsHalf ? 2 : 4));
            for (int d = 0; d < block.Count; d++)
            {
                double value = rows.IsHalf ? (double)((Half*)frame)[d] : ((float*)frame)[d];
                result[d] += (value - mean[block.First + d]) * scale[block.First + d] / rows.Frames;
            }
        }
    }
}
