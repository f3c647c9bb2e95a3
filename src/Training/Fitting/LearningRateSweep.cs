using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Fitting;

/// <summary>Where a sweep begins and ends.</summary>
public sealed record SweepRange
{
    [Setting(SettingGroup.Optimiser, "Smallest learning rate", Above = 0, AtMost = 10)]
    public double From { get; init; } = 1e-6;

    [Setting(SettingGroup.Optimiser, "Largest learning rate", Above = 0, AtMost = 10)]
    public double To { get; init; } = 1;

    [Setting(SettingGroup.Optimiser, "Batches that the sweep takes", AtLeast = 10)]
    public int Steps { get; init; } = 100;
}

/// <param name="Loss">Of the batch, before the update.</param>
/// <param name="Smoothed">Exponential moving average of the losses so far, without the bias of its beginning.</param>
public sealed record SweepStep(int Step, double LearningRate, double Loss, double Smoothed);

/// <summary>
/// A learning-rate range test (Smith, Cyclical Learning Rates for Training Neural Networks, 2017): the rate grows by the same factor from
/// batch to batch, and the loss tells where it begins to help and where it begins to harm.
/// </summary>
/// <param name="Suggestion">Where the smoothed loss falls fastest per factor of the rate; null when it never falls.</param>
/// <param name="Diverged">Whether the sweep ended early because the loss grew too far.</param>
public sealed record LearningRateSweep(IReadOnlyList<SweepStep> Steps, double? Suggestion, bool Diverged)
{
    private const double Smoothing = 0.9;

    /// <summary>A smoothed loss of this many times the smallest ends the sweep.</summary>
    private const double Divergence = 4;

    /// <summary>Trains the replicas for as many epochs as the steps take; they are of no use afterwards.</summary>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    internal static LearningRateSweep Run(ReplicaGroup replicas, IFeatureRows rows, FeatureScaler? scaler, TrainingOptions options,
        SweepRange range, IRunObserver observer, CancellationToken stop)
    {
        int count = range.Steps, perEpoch = (rows.Count + options.BatchSize - 1) / options.BatchSize;
        using BatchLoader loader = replicas.NewLoader(rows, options.BatchSize, scaler);
        List<SweepStep> steps = [];
        double average = 0, best = double.PositiveInfinity;
        bool diverged = false;
        for (int i = 0; i < count && !diverged; i++)
        {
            stop.ThrowIfCancellationRequested();
            if (i % perEpoch == 0)
            {
                int epoch = (i / perEpoch) + 1;
                loader.Start(EpochOrder.Of(rows.Count, options.Seed, epoch, options.Shuffle), 0, epoch);
            }

            double rate = range.From * Math.Pow(range.To / range.From, (double)i / (count - 1));
            SplitBatch batch = loader.Next();
            replicas.Start(batch, rate);
            StepOutcome outcome = replicas.Finish();
            loader.Return(batch);
            if (!double.IsFinite(outcome.Loss))
            {
                diverged = true;
                break;
            }

            average = (Smoothing * average) + ((1 - Smoothing) * outcome.Loss);
            double smoothed = average / (1 - Math.Pow(Smoothing, i + 1));
            steps.Add(new SweepStep(i, rate, outcome.Loss, smoothed));
            best = Math.Min(best, smoothed);
            diverged = smoothed > Divergence * best;
            observer.Progress(new StageProgress("sweep", i + 1, count, "steps"));
        }

        return new LearningRateSweep(steps, Steepest(steps), diverged);
    }

    /// <summary>
    /// The rate at the steepest descent of the smoothed loss over the logarithm of the rate, by central differences. The first tenth is
    /// left out: there the average is of a few batches.
    /// </summary>
    internal static double? Steepest(IReadOnlyList<SweepStep> steps)
    {
        double slope = 0;
        double? rate = null;
        for (int i = Math.Max(1, steps.Count / 10); i < steps.Count - 1; i++)
        {
            double here = (steps[i + 1].Smoothed - steps[i - 1].Smoothed) / Math.Log(steps[i + 1].LearningRate / steps[i - 1].LearningRate);
            if (here < slope)
            {
                (slope, rate) = (here, steps[i].LearningRate);
            }
        }

        return rate;
    }
}
