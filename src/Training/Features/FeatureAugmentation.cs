using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Features;

/// <summary>How features of training clips are varied from epoch to epoch; zeros change nothing.</summary>
/// <param name="TemporalJitter">Largest shift of a clip in time, in sampled frames; its first or last frame is repeated.</param>
/// <param name="FrameDrop">Probability with which a frame shows what the one before it shows.</param>
/// <param name="FeatureNoise">Standard deviation of Gaussian noise, in standard deviations of the clip's own features.</param>
/// <param name="Mixup">α of mixup; 0 = none.</param>
/// <param name="Views">Cached views of which one is shown; 1 = the clip as it is.</param>
internal readonly record struct AugmentationOptions(int TemporalJitter, double FrameDrop, double FeatureNoise, double Mixup, int Views = 1)
{
    public static AugmentationOptions Of(TrainingOptions options) =>
        new(options.TemporalJitter, options.FrameDrop, options.FeatureNoise, options.Mixup, options.Views);

    public bool IsActive => TemporalJitter > 0 || FrameDrop > 0 || FeatureNoise > 0 || Mixup > 0 || Views > 1;

    /// <summary>What is in force, for a person.</summary>
    public string Text => string.Join(", ", Parts());

    private IEnumerable<string> Parts()
    {
        if (TemporalJitter > 0)
        {
            yield return $"temporal jitter {TemporalJitter}";
        }

        if (FrameDrop > 0)
        {
            yield return $"frame drop {FrameDrop}";
        }

        if (FeatureNoise > 0)
        {
            yield return $"feature noise {FeatureNoise}";
        }

        if (Mixup > 0)
        {
            yield return $"mixup {Mixup}";
        }

        if (Views > 1)
        {
            yield return $"{Views} views";
        }
    }
}

/// <summary>
/// Varies training clips in feature space. What happens to a clip follows from seed, epoch and row alone: it is the same for any number of
/// threads, replicas and processes, and after a resume.
/// </summary>
/// <remarks>
/// Mixup (Zhang, Cisse, Dauphin &amp; Lopez-Paz 2018, arXiv:1710.09412) mixes clip i with a random clip j by λ ~ Beta(α, α). The target
/// λ·y_i + (1 − λ)·y_j is replaced by a draw from it: y_i with probability λ. Losses are linear in the target's distribution, so that the
/// expected gradient is the same, for every loss and with class weights.
/// </remarks>
/// <param name="views">The same rows in each view but the clip as it is; null without views.</param>
internal sealed class FeatureAugmentation(AugmentationOptions options, int seed, IReadOnlyList<IFeatureRows>? views = null)
{
    private const int QuantileBits = 12;

    private static readonly float[] Quantiles = MakeQuantiles();

    private float[] _copy = [];

    /// <summary>The view in which a clip is shown in an epoch.</summary>
    /// <param name="plain">The clips as they are, view 0.</param>
    public IFeatureRows Shown(int epoch, int row, IFeatureRows plain) =>
        views is { Count: > 0 } && RandomOf(epoch, row, purpose: 1UL << 40).Next(views.Count + 1) is int view and > 0
            ? views[view - 1]
            : plain;

    /// <summary>The clip to mix <paramref name="row"/> with, and its share; the row itself without mixup.</summary>
    /// <param name="count">Clips of the split.</param>
    public (int Partner, float Share, bool TakesPartnersLabel) Mix(int epoch, int row, int count)
    {
        if (options.Mixup <= 0)
        {
            return (row, 0, false);
        }

        SplitMix64 random = RandomOf(epoch, row, purpose: 1);
        int partner = random.Next(count);
        double a = Gamma(random, options.Mixup), b = Gamma(random, options.Mixup);
        double share = a + b > 0 ? a / (a + b) : 0.5;
        return (partner, (float)share, random.NextDouble() < share);
    }

    /// <summary>Varies a clip in place: shift, dropped frames, the partner's share, noise.</summary>
    /// <param name="clip">[frames, D].</param>
    /// <param name="partner">[frames, D]; empty without mixup.</param>
    public void Apply(Span<float> clip, int frames, ReadOnlySpan<float> partner, float share, int epoch, int row)
    {
        SplitMix64 random = RandomOf(epoch, row, purpose: 0);
        Move(clip, frames, random);
        if (!partner.IsEmpty)
        {
            for (int i = 0; i < clip.Length; i++)
            {
                clip[i] += share * (partner[i] - clip[i]);
            }
        }

        if (options.FeatureNoise > 0)
        {
            AddNoise(clip, random);
        }
    }

    /// <summary>Shifts the clip, and repeats frames in place of dropped ones.</summary>
    private void Move(Span<float> clip, int frames, SplitMix64 random)
    {
        int shift = options.TemporalJitter > 0 ? random.Next((2 * options.TemporalJitter) + 1) - options.TemporalJitter : 0;
        if (shift == 0 && options.FrameDrop <= 0)
        {
            return;
        }

        if (_copy.Length != clip.Length)
        {
            _copy = new float[clip.Length];
        }

        clip.CopyTo(_copy);
        int dimension = clip.Length / frames, source = 0;
        for (int t = 0; t < frames; t++)
        {
            bool dropped = options.FrameDrop > 0 && random.NextDouble() < options.FrameDrop && t > 0;
            source = dropped ? source : Math.Clamp(t + shift, 0, frames - 1);
            _copy.AsSpan(source * dimension, dimension).CopyTo(clip[(t * dimension)..]);
        }
    }

    private void AddNoise(Span<float> clip, SplitMix64 random)
    {
        double sum = 0, squares = 0;
        foreach (float value in clip)
        {
            sum += value;
            squares += (double)value * value;
        }

        double mean = sum / clip.Length;
        float size = (float)(options.FeatureNoise * Math.Sqrt(Math.Max(0, (squares / clip.Length) - (mean * mean))));

        // Five draws from one random word: a Gaussian in 4096 steps is fine enough for noise and costs next to nothing.
        ulong bits = 0;
        for (int i = 0; i < clip.Length; i++)
        {
            if (i % 5 == 0)
            {
                bits = random.Next();
            }

            clip[i] += size * Quantiles[(int)(bits & ((1 << QuantileBits) - 1))];
            bits >>= QuantileBits;
        }
    }

    private SplitMix64 RandomOf(int epoch, int row, ulong purpose)
    {
        // Three rounds of the generator itself keep neighbouring seeds, epochs and rows apart.
        ulong state = new SplitMix64((ulong)(uint)seed).Next();
        state = new SplitMix64(state + (uint)epoch).Next();
        return new SplitMix64(new SplitMix64(state ^ ((ulong)(uint)row << 1) ^ purpose).Next());
    }

    /// <summary>
    /// Marsaglia &amp; Tsang 2000, "A simple method for generating gamma variables"; for shapes below 1 with their boost.
    /// </summary>
    private static double Gamma(SplitMix64 random, double shape)
    {
        double boost = 1;
        if (shape < 1)
        {
            boost = Math.Pow(1 - random.NextDouble(), 1 / shape);
            shape += 1;
        }

        double d = shape - (1.0 / 3), c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            double u1 = 1 - random.NextDouble(), u2 = random.NextDouble();
            double x = Math.Sqrt(-2 * Math.Log(u1)) * Math.Cos(2 * Math.PI * u2), v = 1 + (c * x);
            if (v <= 0)
            {
                continue;
            }

            v = v * v * v;
            if (Math.Log(1 - random.NextDouble()) < (0.5 * x * x) + d - (d * v) + (d * Math.Log(v)))
            {
                return boost * d * v;
            }
        }
    }

    /// <summary>
    /// Midpoints of 4096 equally likely slices of the standard normal distribution, by bisection of its distribution function.
    /// </summary>
    private static float[] MakeQuantiles()
    {
        float[] quantiles = new float[1 << QuantileBits];
        for (int i = 0; i < quantiles.Length; i++)
        {
            double target = (i + 0.5) / quantiles.Length, low = -6, high = 6;
            for (int step = 0; step < 50; step++)
            {
                double middle = (low + high) / 2;
                (low, high) = Cumulative(middle) < target ? (middle, high) : (low, middle);
            }

            quantiles[i] = (float)low;
        }

        return quantiles;
    }

    /// <summary>Φ(x) = ½ + φ(x)·Σ x^(2k+1) / (1·3·5···(2k+1)).</summary>
    private static double Cumulative(double x)
    {
        double term = x, sum = x;
        for (int k = 1; k < 200 && Math.Abs(term) > 1e-17; k++)
        {
            term *= x * x / ((2 * k) + 1);
            sum += term;
        }

        return 0.5 + (sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI));
    }
}
