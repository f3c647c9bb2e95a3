using CudaTrainer.Engine.Data.Dataset;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Parallel;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Engine.Studies;

/// <summary>One training of a study: the answers to the clips of a fold's test part by the best epoch of its validation part, and what it took.</summary>
public sealed record FoldRun
{
    /// <summary>Of initial weights, dropout and order.</summary>
    public required int Seed { get; init; }

    public required int Fold { get; init; }

    /// <summary>p(violent) of the test part's clips, in the fold's order.</summary>
    public required double[] Scores { get; init; }

    /// <summary>The same calibrated by the validation part.</summary>
    public required double[] Calibrated { get; init; }

    /// <summary>Score from which a clip is called violent, chosen on the validation part.</summary>
    public required double Threshold { get; init; }

    public required PlattScaling Calibration { get; init; }

    public required int Epochs { get; init; }

    public required int BestEpoch { get; init; }

    /// <summary>Median over the epochs; validation does not count.</summary>
    public required double SecondsPerEpoch { get; init; }

    /// <summary>Of training, up to the best epoch.</summary>
    public required double SecondsToBest { get; init; }

    /// <summary>Share of the training time that steps waited for data.</summary>
    public required double StallFraction { get; init; }

    /// <summary>The most that tensors have taken on the first device.</summary>
    public required long PeakBytes { get; init; }
}

/// <summary>Trains on one fold with the very loop of <c>train</c>, in memory.</summary>
internal static class FoldTraining
{
    /// <param name="devices">Whose memory figures are of this training alone.</param>
    /// <param name="standardize">Whether features are standardised by the training part.</param>
    public static FoldRun Run(TrainingOptions options, DeviceChoice devices, StudyClips clips, Fold fold, bool standardize, CancellationToken stop)
    {
        var setup = new LearnerSetup(options, devices.Device, devices.IsCuda);
        IFeatureRows train = new SelectedRows(clips, fold.Train), validation = new SelectedRows(clips, fold.Validation), test = new SelectedRows(clips, fold.Test);
        LossInfo loss = setup.Loss(ClassCounts.Of(train.Labels.ToArray()));
        var info = new ModelInfo
        {
            Model = options.Model,
            Inputs = clips.Dimension,
            Frames = clips.Frames,
            Backbone = "unknown",
            BackboneDescription = "features of a study",
            Preprocess = "unknown",
            Loss = loss,
        };
        using var replicas = new ReplicaGroup(devices.Devices, NewModel, setup.Learner(loss));
        replicas.Initialize((uint)options.Seed);
        FeatureScaler? scaler = standardize ? FeatureScaler.Fit(train, options.Stream) : null;
        using RunFolder nowhere = RunFolder.Follow(options.CheckpointDir);
        var best = new WeightSnapshot();
        TrainingState state = new TrainingState().With(replicas.Lead.State.Read());
        using (var loop = new TrainingLoop(options, replicas, info, train, validation, nowhere, new SilentObserver(), state, scaler) { OnBest = () => best.Take(replicas.Lead.Parameters) })
        {
            if (loop.Run(stop) == RunOutcome.Interrupted)
            {
                throw new OperationCanceledException(stop);
            }

            state = loop.State;
        }

        if (state.BestEpoch == 0)
        {
            throw new RunException($"No epoch of fold {fold.Number + 1} has a value of {options.Monitor}.", "Train with a smaller --learning-rate, or watch another --monitor.");
        }

        best.Restore(replicas);
        Evaluation chosen = Evaluate(validation), judged = Evaluate(test);
        PlattScaling calibration = PlattScaling.Fit(chosen.Labels, chosen.Scores);
        double[] seconds = [.. state.History.Select(epoch => epoch.Seconds).Order()];
        return new FoldRun
        {
            Seed = options.Seed,
            Fold = fold.Number,
            Scores = judged.Scores,
            Calibrated = [.. judged.Scores.Select(calibration.Apply)],
            Threshold = chosen.BestThreshold(),
            Calibration = calibration,
            Epochs = state.Epoch,
            BestEpoch = state.BestEpoch,
            SecondsPerEpoch = seconds[seconds.Length / 2],
            SecondsToBest = state.History.Take(state.BestEpoch).Sum(epoch => epoch.Seconds),
            StallFraction = state.History.Sum(epoch => epoch.StallSeconds) / state.History.Sum(epoch => epoch.Seconds),
            PeakBytes = devices.Device.Memory.Peak,
        };

        Classifier NewModel() => setup.NewModel(clips.Dimension);

        Evaluation Evaluate(IFeatureRows rows)
        {
            using var evaluator = new Evaluator(replicas, rows, options.BatchSize, scaler);
            return evaluator.Run();
        }
    }
}
