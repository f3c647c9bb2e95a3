using CudaTrainer.Data.Dataset;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Linear;

/// <summary>
/// The classifier <c>linear</c> of any classes. Of two, one <see cref="LinearFit"/> tells the second from the first. Of more, each class
/// has one that tells it from the rest, and the logits are their log odds divided by a temperature, which is chosen by the likelihood of
/// clips that the fits have not seen: log odds against the rest are larger than differences of logits between classes. As in Platt's
/// scaling a class counts as certain only as far as its clips are many, so that answers to few clips that are easily told apart stay
/// finite.
/// </summary>
internal sealed class LinearModel
{
    /// <summary>Temperatures tried, in steps of a twentieth of an octave; below 1 answers would be surer than each class's.</summary>
    private const double LeastTemperature = 1, MostTemperature = 16, StepsAnOctave = 20;

    private readonly ClassList _classes;
    private readonly LinearFit? _ofTwo;

    private LinearModel(ClassList classes, LogOdds[] logits, int[] clips, double[] heldOut, LinearFit? ofTwo = null)
    {
        (_classes, _ofTwo) = (classes, ofTwo);
        Logits = logits;
        Clips = clips;
        HeldOut = heldOut;
    }

    /// <summary>For each class a linear function of raw <see cref="ClipStatistics"/>, whose softmax is the answer.</summary>
    public IReadOnlyList<LogOdds> Logits { get; }

    /// <summary>The clips used.</summary>
    public int[] Clips { get; }

    /// <summary>
    /// The answers [clips, <see cref="ClassList.Scores"/>] for them by fits that have not seen a clip's source; empty where too few sources
    /// have every class.
    /// </summary>
    public double[] HeldOut { get; }

    /// <inheritdoc cref="LinearFit.Of"/>
    public static LinearModel Of(IFeatureRows rows, IReadOnlyList<IReadOnlyList<FeatureBlock>> candidates, bool balance, int seed,
        CancellationToken stop, LogOdds? start = null)
    {
        ClassList classes = rows.Classes;
        if (classes.Count == 2)
        {
            LinearFit fit = LinearFit.Of(rows, candidates, balance, seed, stop, start);

            // Two logits of opposite sign, whose difference is the log odds.
            return new LinearModel(classes, [Scaled(fit.Odds, -0.5f), Scaled(fit.Odds, 0.5f)], fit.Clips, OfTwo(fit.HeldOut, classes), fit);
        }

        LinearFit[] fits = [.. Enumerable.Range(0, classes.Count).Select(label =>
            LinearFit.Of(new OneAgainstRest(rows, label), candidates, balance, seed, stop))];
        int[] clips = fits[0].Clips, labels = [.. clips.Select(clip => rows.Labels[clip])];
        if (fits.Any(fit => fit.HeldOut.Length == 0))
        {
            return new LinearModel(classes, [.. fits.Select(fit => fit.Odds)], clips, []);
        }

        double[] odds = [.. Enumerable.Range(0, clips.Length).SelectMany(clip => fits.Select(fit => Logarithm(fit.HeldOut[clip])))];
        double temperature = Temperature(odds, labels, classes, balance);
        return new LinearModel(classes, [.. fits.Select(fit => Scaled(fit.Odds, (float)(1 / temperature)))], clips,
            Softmax(odds, classes, temperature));
    }

    /// <returns>[clips, <see cref="ClassList.Scores"/>].</returns>
    public double[] Answer(IFeatureRows rows)
    {
        if (_ofTwo is not null)
        {
            return OfTwo(_ofTwo.Answer(rows), _classes);
        }

        double[] odds = new double[rows.Count * _classes.Count];
        float[] statistics = new float[Logits[0].Weights.Length];
        using var team = new ThreadTeam(1);
        for (int clip = 0; clip < rows.Count; clip++)
        {
            ClipStatistics.Measure(team, rows, clip, statistics);
            for (int label = 0; label < _classes.Count; label++)
            {
                odds[(clip * _classes.Count) + label] = Logits[label].Of(statistics);
            }
        }

        return Softmax(odds, _classes, 1);
    }

    /// <summary>Answers out of the probability of the second class.</summary>
    private static double[] OfTwo(double[] second, ClassList classes) =>
        classes.IsViolence ? second : [.. second.SelectMany(p => new[] { 1 - p, p })];

    private static LogOdds Scaled(LogOdds odds, float factor) =>
        new([.. odds.Weights.Select(weight => weight * factor)], odds.Bias * factor);

    private static double Logarithm(double probability)
    {
        double p = Math.Clamp(probability, 1e-7, 1 - 1e-7);
        return Math.Log(p / (1 - p));
    }

    private static double Temperature(double[] odds, int[] labels, ClassList classes, bool balance)
    {
        var counts = ClassCounts.Of(labels);
        double[] weights = [.. labels.Select(label => balance ? 1.0 / counts[label] : 1)];
        int steps = (int)Math.Round(StepsAnOctave * Math.Log2(MostTemperature / LeastTemperature));
        return Enumerable.Range(0, steps + 1).Select(step => LeastTemperature * Math.Pow(2, step / StepsAnOctave)).MinBy(Loss);

        double Loss(double temperature)
        {
            double[] answers = Softmax(odds, classes, temperature);
            double sum = 0;
            for (int i = 0; i < answers.Length; i++)
            {
                int clip = i / classes.Count, count = counts[labels[clip]];
                double target = (i % classes.Count == labels[clip] ? count + 1.0 : 1.0) / (count + classes.Count);
                sum -= weights[clip] * target * Math.Log(Math.Max(1e-300, answers[i]));
            }

            return sum;
        }
    }

    /// <returns>[clips, classes].</returns>
    private static double[] Softmax(double[] odds, ClassList classes, double temperature)
    {
        double[] answers = new double[odds.Length];
        for (int first = 0; first < odds.Length; first += classes.Count)
        {
            double largest = double.NegativeInfinity, sum = 0;
            for (int i = first; i < first + classes.Count; i++)
            {
                largest = Math.Max(largest, odds[i] / temperature);
            }

            for (int i = first; i < first + classes.Count; i++)
            {
                sum += answers[i] = Math.Exp((odds[i] / temperature) - largest);
            }

            for (int i = first; i < first + classes.Count; i++)
            {
                answers[i] /= sum;
            }
        }

        return answers;
    }

    /// <summary>The same clips, of which one class counts as 1 and the others as 0.</summary>
    private sealed class OneAgainstRest(IFeatureRows rows, int label) : IFeatureRows
    {
        private readonly int[] _labels = ClassScores.Against(rows.Labels, label);

        public int Count => rows.Count;

        public int Frames => rows.Frames;

        public int Dimension => rows.Dimension;

        public bool IsHalf => rows.IsHalf;

        public ReadOnlySpan<int> Labels => _labels;

        public nint Row(int index) => rows.Row(index);

        public string NameOf(int index) => rows.NameOf(index);

        public string SourceOf(int index) => rows.SourceOf(index);

        public string ContentOf(int index) => rows.ContentOf(index);
    }
}
