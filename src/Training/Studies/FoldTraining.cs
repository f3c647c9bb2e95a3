using System.Diagnostics;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Studies;

/// <summary>
/// One training of a study: the answers to the clips of a fold's test part by the best epoch of its validation part, or by an average of
/// the weights, and what it took.
/// </summary>
internal sealed record FoldRun
{
    /// <summary>Of initial weights, dropout and order.</summary>
    public required int Seed { get; init; }

    public required int Fold { get; init; }

    /// <summary>p(violent) of the test part's clips, in the fold's order; of other classes [clips, classes].</summary>
    public required double[] Scores { get; init; }

    /// <summary>The same calibrated by the validation part.</summary>
    public required double[] Calibrated { get; init; }

    /// <summary>Score from which a clip is called violent, chosen on the validation part; NaN for other classes.</summary>
    public required double Threshold { get; init; }

    /// <summary>Of other classes than the known pair the slope is the exponent of <see cref="TemperatureScaling"/>, 1 in logs of versions
    /// that did not calibrate them.</summary>
    public required PlattScaling Calibration { get; init; }

    /// <summary>Area under the ROC curve of the validation part's clips, of other classes the mean over them, one against the rest; NaN in
    /// logs of versions that did not note it.</summary>
    public double ValidationAuc { get; init; } = double.NaN;

    /// <summary>The shares of the models of each stream, fitted on the validation part; null for one model.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[]? Weights { get; init; }

    public required int Epochs { get; init; }

    /// <summary>The last one for an average of the weights.</summary>
    public required int BestEpoch { get; init; }

    /// <summary>Whether other trainings ran beside this one, which lengthens its times.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Shared { get; init; }

    /// <summary>Median over the epochs; validation does not count.</summary>
    public required double SecondsPerEpoch { get; init; }

    /// <summary>Of training, up to the best epoch.</summary>
    public required double SecondsToBest { get; init; }

    /// <summary>Share of the training time that steps waited for data.</summary>
    public required double StallFraction { get; init; }

    /// <summary>The most that tensors have taken on the first device.</summary>
    public required long PeakBytes { get; init; }
}

/// <summary>Features that a model of a study is trained on.</summary>
/// <param name="Rows">The row in <paramref name="Clips"/> of each clip of the study.</param>
/// <param name="Standardize">Whether features are standardised by the training part.</param>
internal sealed record StudyStream(FeatureStream Stream, StudyClips Clips, IReadOnlyList<int> Rows, bool Standardize)
{
    /// <param name="part">Clips of the study.</param>
    public SelectedRows Part(int[] part) => new(Clips, [.. part.Select(clip => Rows[clip])]);
}

/// <summary>Trains on one fold with the very loop of <c>train</c>, in memory.</summary>
internal static class FoldTraining
{
    /// <summary>What one model of a fold answers, and what its training took.</summary>
    private sealed record Outcome(Evaluation Validation, Evaluation Test, int Epochs, int BestEpoch, double SecondsPerEpoch,
        double SecondsToBest, double Seconds, double StallSeconds)
    {
        /// <summary>Which of <see cref="Validation"/> are of the validation part; null for all.</summary>
        public int[]? OfValidation { get; init; }
    }

    /// <param name="devices">Whose memory figures are of this training alone.</param>
    /// <param name="streams">What to train on: a model each, whose answers are averaged with the weights that are best on the validation
    /// part.</param>
    public static FoldRun Run(TrainingOptions options, DeviceChoice devices, IReadOnlyList<StudyStream> streams, Fold fold,
        CancellationToken stop)
    {
        bool fitted = Classifiers.IsFitted(options.Model);
        Outcome[] models = [.. streams.Select(stream => fitted
            ? Fit(options with { Stream = stream.Stream }, stream, fold, stop)
            : Train(options with { Stream = stream.Stream }, devices, stream, fold, stop))];
        int[] labels = models[0].Validation.Labels;
        double[][] validation = [.. models.Select(model => model.Validation.Scores)];
        ClassList classes = models[0].Validation.Classes;
        double[] weights = EnsembleWeights.Fit(labels, validation, classes);
        double[] chosen = Mix(validation), judged = Mix([.. models.Select(model => model.Test.Scores)]);
        PlattScaling calibration = classes.IsViolence
            ? PlattScaling.Fit(labels, chosen)
            : new PlattScaling(TemperatureScaling.Fit(labels, chosen, classes), 0);
        return new FoldRun
        {
            Seed = options.Seed,
            Fold = fold.Number,
            Scores = judged,
            Calibrated = classes.IsViolence
                ? [.. judged.Select(calibration.Apply)]
                : TemperatureScaling.Apply(judged, classes, calibration.Slope),
            Threshold = classes.IsViolence ? RankMetrics.BestThreshold(labels, chosen) : double.NaN,
            Calibration = calibration,
            ValidationAuc = Auc(classes, labels, chosen, models[0].OfValidation),
            Weights = weights.Length > 1 ? weights : null,
            Epochs = models.Max(model => model.Epochs),
            BestEpoch = models.Max(model => model.BestEpoch),
            SecondsPerEpoch = models.Sum(model => model.SecondsPerEpoch),
            SecondsToBest = models.Sum(model => model.SecondsToBest),
            StallFraction = models.Sum(model => model.StallSeconds) / models.Sum(model => model.Seconds),
            PeakBytes = devices.Device.Memory.Peak,
        };

        static double Auc(ClassList classes, int[] labels, double[] scores, int[]? clips)
        {
            int[] those = clips ?? [.. Enumerable.Range(0, labels.Length)];
            int[] ofThose = [.. those.Select(clip => labels[clip])];
            return classes.IsViolence
                ? RankMetrics.RocAuc(ofThose, [.. those.Select(clip => scores[clip])])
                : Enumerable.Range(0, classes.Count).Average(label => RankMetrics.RocAuc(
                    ClassScores.Against(ofThose, label), [.. those.Select(clip => ClassScores.Of(scores, clip, classes)[label])]));
        }

        double[] Mix(double[][] scores) => scores.Length == 1
            ? scores[0]
            : Ensemble.Combine(EnsembleStrategy.Weighted, scores, weights, []);
    }

    /// <summary>
    /// Nothing is chosen on the validation part here, so that it is learnt from, too. Threshold, calibration and fusion go by the answers
    /// to clips of the whole training part that the solver's own cross-validation has held out.
    /// </summary>
    private static Outcome Fit(TrainingOptions options, StudyStream stream, Fold fold, CancellationToken stop)
    {
        long began = Stopwatch.GetTimestamp();
        int[] clips = [.. fold.Train.Concat(fold.Validation).Order()];
        IFeatureRows train = stream.Part(clips), test = stream.Part(fold.Test);
        HashSet<int> ofValidation = [.. fold.Validation];
        LinearModel fit = LinearTraining.Fit(train, options, stop);
        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        IFeatureRows judged = new SelectedRows(train, fit.Clips);
        double[] heldOut = fit.HeldOut.Length > 0 ? fit.HeldOut : fit.Answer(judged);
        return new Outcome(Answers(judged, heldOut), Answers(test, fit.Answer(test)), Epochs: 1, BestEpoch: 1, seconds, seconds, seconds,
            StallSeconds: 0)
        {
            OfValidation = [.. fit.Clips.Index().Where(pair => ofValidation.Contains(clips[pair.Item])).Select(pair => pair.Index)],
        };

        static Evaluation Answers(IFeatureRows rows, double[] scores) =>
            new(rows.Labels.ToArray(), scores, double.NaN, [], []) { Classes = rows.Classes };
    }

    private static Outcome Train(TrainingOptions options, DeviceChoice devices, StudyStream stream, Fold fold, CancellationToken stop)
    {
        StudyClips clips = stream.Clips;
        var setup = new LearnerSetup(options, devices.Device, devices.IsCuda);
        IFeatureRows train = stream.Part(fold.Train), validation = stream.Part(fold.Validation), test = stream.Part(fold.Test);
        LossInfo loss = setup.Loss(ClassCounts.Of(train.Labels.ToArray()), train.Classes);
        var info = new ModelInfo
        {
            Model = options.Model,
            Differences = options.Differences,
            Inputs = clips.Dimension,
            Frames = clips.Frames,
            Backbone = "unknown",
            BackboneDescription = "features of a study",
            Preprocess = "unknown",
            Loss = loss,
            Classes = train.Classes.Names,
        };
        using var replicas = new ReplicaGroup(devices.Devices, NewModel, setup.Learner(loss));
        replicas.Initialize((uint)options.Seed);
        FeatureScaler? scaler = stream.Standardize ? FeatureScaler.Fit(train, options.Stream, options.Whiten) : null;
        using RunFolder nowhere = RunFolder.Follow(options.CheckpointDir);
        var best = new WeightSnapshot();
        TrainingState state = new TrainingState().With(replicas.Lead.State.Read());
        var averages = new WeightAverages(options);
        using (var loop = new TrainingLoop(
            options, replicas, info, train, validation, nowhere, new SilentObserver(), state, scaler, averages: averages)
        {
            OnBest = () => best.Take(replicas.Lead.Parameters),
        })
        {
            if (loop.Run(stop) == RunOutcome.Interrupted)
            {
                throw new OperationCanceledException(stop);
            }

            state = loop.State;
        }

        if (state.BestEpoch == 0)
        {
            throw new RunException($"No epoch of fold {fold.Number + 1} has a value of {options.Monitor}.",
                $"Train with a smaller {SettingName.Of(nameof(TrainingOptions.LearningRate))}, or watch another " +
                    $"{SettingName.Of(nameof(TrainingOptions.Monitor))}.");
        }

        int chosenEpoch = state.BestEpoch;
        if (averages.All.SingleOrDefault() is { } average)
        {
            if (average.Updates == 0)
            {
                throw new RunException($"Fold {fold.Number + 1} ended after epoch {state.Epoch}, before there was anything to average.",
                    $"Give a smaller {SettingName.Of(nameof(TrainingOptions.SwaStart))}.");
            }

            replicas.Lead.Parameters.Values.Write((ReadOnlySpan<float>)average.Values);
            BatchNormStatistics.Estimate(replicas.Lead, train, options.BatchSize, scaler, stop);
            best.Take(replicas.Lead.Parameters);
            chosenEpoch = state.Epoch;
        }

        best.Restore(replicas);
        double[] seconds = [.. state.History.Select(epoch => epoch.Seconds).Order()];
        return new Outcome(
            Evaluate(validation), Evaluate(test), state.Epoch, chosenEpoch, seconds[seconds.Length / 2],
            state.History.Take(chosenEpoch).Sum(epoch => epoch.Seconds), seconds.Sum(),
            state.History.Sum(epoch => epoch.StallSeconds));

        Classifier NewModel() => setup.NewModel(clips.Dimension, clips.Classes);

        Evaluation Evaluate(IFeatureRows rows)
        {
            using var evaluator = new Evaluator(replicas, rows, options.BatchSize, scaler);
            return evaluator.Run();
        }
    }
}
