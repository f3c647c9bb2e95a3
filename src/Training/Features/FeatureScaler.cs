using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Standardises features, x → (x − mean)·scale, by the training clips. Features of a random backbone are almost constant from frame to
/// frame: without this, the common part saturates the gates of the first layer and drowns what differs. Motion features are whitened
/// besides, others where that is asked for: <see cref="Features.Whitening"/>.
/// </summary>
/// <remarks>
/// The classifier that is saved takes raw features: the affine map is folded into the first layer's weights and biases, W·((x − m)·s) + b =
/// (W·s)·x + (b − (W·s)·m), with W·P for W where a whitening P follows. Weights of differences of features are folded the same way
/// but shift nothing: the mean is in both frames.
/// </remarks>
internal sealed class FeatureScaler
{
    /// <summary>Standard deviations below this share of their quadratic mean count as noise and are not blown up.</summary>
    private const double SmallestDeviation = 0.1;

    /// <summary>The same for motion features, whose deviations are alike.</summary>
    private const double SmallestMotionDeviation = 0.05;

    /// <summary>A deviation below this share of a feature's own size is rounding.</summary>
    private const double RoundingShare = 1e-5;

    private FeatureScaler(float[] mean, float[] scale, Whitening? whitening, Whitening? motionWhitening)
    {
        Mean = mean;
        Scale = scale;
        Whitening = whitening;
        MotionWhitening = motionWhitening;
    }

    /// <summary>[D].</summary>
    public float[] Mean { get; }

    /// <summary>[D].</summary>
    public float[] Scale { get; }

    /// <summary>Of the features that are not of motion, which come first in a frame; null without.</summary>
    internal Whitening? Whitening { get; }

    /// <summary>Of the motion, which are the last features of a frame; null without.</summary>
    internal Whitening? MotionWhitening { get; }

    /// <summary>Whether features are standardised unless the options say.</summary>
    /// <param name="backbone">Its identity.</param>
    internal static bool IsUsual(TrainingOptions options, string backbone) =>
        options.Whiten > 0 || options.Stream.HasMotion()
            || (backbone.StartsWith(RandomVgg19.IdentityPrefix, StringComparison.Ordinal) && options.FeaturesDir is null);

    /// <summary>
    /// Mean and standard deviation of each feature over all frames of all clips, in a fixed order, and the whitening.
    /// </summary>
    /// <param name="stream">What the features are of.</param>
    /// <param name="components">Principal components, at most, that replace the features that are not of motion; 0 = none.</param>
    /// <exception cref="RunException">They are something else.</exception>
    internal static unsafe FeatureScaler Fit(IFeatureRows rows, FeatureStream stream = FeatureStream.Rgb, int components = 0)
    {
        int dimension = rows.Dimension;
        if (!stream.Fits(dimension))
        {
            throw new RunException(
                $"There are {dimension} features a frame; {SettingName.Of(nameof(TrainingOptions.Stream))} " +
                    $"{stream.ToString().ToLowerInvariant()} has {(stream.HasRgb() ? "more than " : "")}{MotionFeatures.PerStep}.",
                $"Give the {SettingName.Of(nameof(TrainingOptions.Stream))} that the features are of.");
        }

        double[] sum = new double[dimension], squares = new double[dimension];
        for (int i = 0; i < rows.Count; i++)
        {
            for (int t = 0; t < rows.Frames; t++)
            {
                nint frame = rows.Row(i) + ((nint)t * dimension * (rows.IsHalf ? 2 : 4));
                for (int d = 0; d < dimension; d++)
                {
                    double value = rows.IsHalf ? (double)((Half*)frame)[d] : ((float*)frame)[d];
                    sum[d] += value;
                    squares[d] += value * value;
                }
            }
        }

        double count = (double)rows.Count * rows.Frames;
        double[] variance = [.. sum.Zip(squares, (s, q) => Math.Max(0, (q / count) - (s / count * (s / count))))];
        int motion = stream.HasMotion() ? MotionFeatures.PerStep : 0, others = dimension - motion;
        float[] mean = [.. sum.Select(s => (float)(s / count))];
        double[] size = [.. squares.Select(q => Math.Sqrt(q / count))];
        float[] scale = [.. Scales(variance.AsSpan(0, others), size.AsSpan(0, others), SmallestDeviation),
            .. Scales(variance.AsSpan(others), size.AsSpan(others), SmallestMotionDeviation)];
        Whitening? whitening = components > 0 && others > 0
            ? Whitening.Fit(rows, mean, scale, new FeatureBlock(0, others, components))
            : null;
        if (motion == 0)
        {
            return new FeatureScaler(mean, scale, whitening, null);
        }

        var ofMotion = Whitening.Fit(rows, mean, scale, FeatureBlock.OfMotion(others));

        // Appearance has many more features. Adam moves every weight by about the same, so what a part can do in a step is the sum of its
        // features' sizes: that is what is made equal.
        whitening?.Scale((float)ofMotion.Components / whitening.Components);
        for (int d = 0; whitening is null && d < others; d++)
        {
            scale[d] *= (float)ofMotion.Components / others;
        }

        return new FeatureScaler(mean, scale, whitening, ofMotion);
    }

    internal static FeatureScaler From(float[] mean, float[] scale, Whitening? whitening = null, Whitening? motionWhitening = null) =>
        new(mean, scale, whitening, motionWhitening);

    /// <param name="variance">Of each feature.</param>
    /// <param name="size">Quadratic mean of each.</param>
    private static float[] Scales(ReadOnlySpan<double> variance, ReadOnlySpan<double> size, double smallest)
    {
        double sum = 0;
        foreach (double v in variance)
        {
            sum += v;
        }

        double floor = smallest * Math.Sqrt(sum / Math.Max(1, variance.Length));
        float[] scales = new float[variance.Length];
        for (int d = 0; d < scales.Length; d++)
        {
            // What is constant but for rounding says nothing in training, and must not say everything of a clip where it is not.
            double deviation = Math.Sqrt(variance[d]), least = deviation < RoundingShare * size[d] ? Math.Max(floor, size[d]) : floor;
            double divisor = Math.Max(deviation, least);
            scales[d] = divisor > 0 ? (float)(1 / divisor) : 1;
        }

        return scales;
    }

    /// <summary>Standardises one row [T, D] in place.</summary>
    internal void Apply(Span<float> row)
    {
        for (int start = 0; start < row.Length; start += Mean.Length)
        {
            Span<float> frame = row.Slice(start, Mean.Length);
            for (int d = 0; d < frame.Length; d++)
            {
                frame[d] = (frame[d] - Mean[d]) * Scale[d];
            }

            Whitening?.Apply(frame);
            MotionWhitening?.Apply(frame);
        }
    }

    /// <summary>Makes a model that was trained on standardised features take raw ones.</summary>
    /// <exception cref="InvalidOperationException">The model takes raw features and standardises by itself.</exception>
    internal void FoldInto(Classifier model)
    {
        if (model.IsFitted)
        {
            throw new InvalidOperationException($"{model.GetType().Name} takes raw features: there is no standardisation to fold into it.");
        }

        foreach ((Parameter weight, Parameter bias) in model.InputProjections)
        {
            float[] w = weight.Value.Read<float>(), b = bias.Value.Read<float>();
            int width = w.Length / b.Length;
            for (int j = 0; j < b.Length; j++)
            {
                b[j] = (float)(b[j] - FoldInto(w.AsSpan(j * width, Mean.Length)));
                if (model.Options.Differences)
                {
                    FoldInto(w.AsSpan((j * width) + Mean.Length, Mean.Length));
                }
            }

            weight.Value.Write((ReadOnlySpan<float>)w);
            bias.Value.Write((ReadOnlySpan<float>)b);
        }
    }

    /// <param name="weights">[D], of one unit.</param>
    /// <returns>What they make of the mean.</returns>
    private double FoldInto(Span<float> weights)
    {
        Whitening?.FoldInto(weights);
        MotionWhitening?.FoldInto(weights);
        double shift = 0;
        for (int d = 0; d < weights.Length; d++)
        {
            weights[d] *= Scale[d];
            shift += (double)weights[d] * Mean[d];
        }

        return shift;
    }
}
