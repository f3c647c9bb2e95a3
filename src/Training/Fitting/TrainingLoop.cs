using System.Diagnostics;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;
using Monitor = CudaTrainer.Training.Options.Monitor;

namespace CudaTrainer.Training.Fitting;

/// <summary>
/// The epochs of a run: steps, validation, best and periodic checkpoints, early stopping. Knows nothing of videos or of how the run was
/// asked for.
/// </summary>
internal sealed class TrainingLoop : IDisposable
{
    /// <summary>Bad batches in a row after which the learning rate is halved, and after twice as many, training stops.</summary>
    private const int BadStepsBeforeHalving = 3;

    private readonly TrainingOptions _options;
    private readonly ReplicaGroup _replicas;
    private readonly ModelInfo _info;
    private readonly RunFolder _folder;
    private readonly IRunObserver _observer;
    private readonly Monitor _monitor;
    private readonly IFeatureRows _train;
    private readonly BatchLoader _loader;
    private readonly Evaluator _validation;
    private readonly WarmupCosine _schedule;
    private readonly int _stepsPerEpoch;
    private readonly FeatureScaler? _scaler;
    private readonly TensorBoardLog? _board;
    private readonly WeightAverages? _averages;
    private readonly BackgroundWrites _writes = new();
    private StepProfile? _profile;
    private TrainingState _state;
    private int _loadedEpoch;
    private SplitBatch? _next;
    private bool _stopRequested;
    private double _lastNorm;

    public TrainingLoop(TrainingOptions options, ReplicaGroup replicas, ModelInfo info, IFeatureRows train, IFeatureRows val,
        RunFolder folder, IRunObserver observer, TrainingState state, FeatureScaler? scaler, TensorBoardLog? board = null,
        WeightAverages? averages = null, IReadOnlyList<IFeatureRows>? views = null)
    {
        _options = options;
        _replicas = replicas;
        _info = info;
        _folder = folder;
        _observer = observer;
        _state = state with { };
        _scaler = scaler;
        _board = board;
        _averages = averages;
        _train = train;
        _monitor = new Monitor(options.Monitor);
        AugmentationOptions augmentation = AugmentationOptions.Of(options);
        _loader = replicas.NewLoader(train, options.BatchSize, scaler,
            augmentation.IsActive ? new FeatureAugmentation(augmentation, options.Seed, views) : null);
        _validation = new Evaluator(replicas, val, options.BatchSize, scaler);
        RequireClipsToNormalise();
        _stepsPerEpoch = (train.Count + options.BatchSize - 1) / options.BatchSize;
        _schedule = new WarmupCosine(
            options.LearningRate, options.LrSchedule == LearningRateSchedule.Constant ? options.LearningRate : options.MinLearningRate,
                (long)options.WarmupEpochs * _stepsPerEpoch, (long)options.Epochs * _stepsPerEpoch);
    }

    public TrainingState State => _state;

    /// <summary>Steps of this process.</summary>
    public long Steps { get; private set; }

    /// <summary>What models that are saved say of the clips that they learned from.</summary>
    public Familiarity? Familiarity { get; init; }

    /// <summary>The same clips by what they hold.</summary>
    public ClipContents? Clips { get; init; }

    /// <summary>Called when an epoch's model is the best so far, before it is saved.</summary>
    public Action? OnBest { get; init; }

    /// <summary>Of these steps, on the first replica of this process.</summary>
    public LinkFigures Communication { get; private set; }

    /// <summary>Time for which steps waited for files.</summary>
    public TimeSpan Saving { get; private set; }

    private bool IsFinished => _state.Epoch >= _options.Epochs || _state.StoppedEarly;

    /// <summary>Records some of the steps that follow.</summary>
    public void Profile(TraceRecorder trace, StepRange range) => _profile = new StepProfile(trace, range, _replicas, _loader);

    /// <summary>Trains until the last epoch, an early stop, or <paramref name="stop"/>.</summary>
    public RunOutcome Run(CancellationToken stop)
    {
        if (_options.LogEverySteps > 0)
        {
            _folder.OpenSteps(((long)_state.Epoch * _stepsPerEpoch) + _state.StepInEpoch);
        }

        _folder.WriteHistory(_state.History);
        if (!IsFinished)
        {
            _board?.Begin(_state, _stepsPerEpoch);
        }

        while (!IsFinished)
        {
            if (!TryRunEpoch(stop))
            {
                SaveState();
                return RunOutcome.Interrupted;
            }
        }

        long began = Stopwatch.GetTimestamp();
        _writes.Finish();
        Saving += Stopwatch.GetElapsedTime(began);
        return RunOutcome.Completed;
    }

    public void Dispose()
    {
        _writes.Dispose();
        _loader.Dispose();
        _profile?.Dispose();
        _validation.Dispose();
    }

    /// <summary>An epoch; when another process is lost in it, what is sound is saved before the exception goes on.</summary>
    private bool TryRunEpoch(CancellationToken stop)
    {
        try
        {
            return _replicas.Lead.Model.IsFitted ? Fit(stop) : RunEpoch(_state.Epoch + 1, stop);
        }
        catch (RankLostException) when (_replicas.Lead.TryTakeBack())
        {
            SaveState();
            Say(Severity.Warning,
                $"the state after step {_state.StepInEpoch} of epoch {_state.Epoch + 1} is in last.ckpt; " +
                    $"{SettingName.Of(nameof(TrainingOptions.Resume))} auto goes on from " +
                    $"there, with any number of processes");
            throw;
        }
    }

    private void SaveState()
    {
        if (_folder.Writes)
        {
            _writes.Finish();
            _folder.FlushSteps();
            Checkpoint.SaveFull(_folder.LastCheckpoint, _replicas.Lead, _info, _state, _scaler, _averages, Clips);
            _board?.Commit();
        }
    }

    /// <summary>The only epoch of a model that a solver fits.</summary>
    private bool Fit(CancellationToken stop)
    {
        long began = Stopwatch.GetTimestamp();
        LinearTraining.Write(
            LinearTraining.Fit(_train, _options, stop, _options.InitialWeights is null ? null : _replicas.Lead), _replicas);
        using var evaluator = new Evaluator(_replicas, _train, _options.BatchSize);
        Evaluation fitted = evaluator.Run();
        EndEpoch(epoch: 1, learningRate: 0, _state with
        {
            EpochSeconds = Stopwatch.GetElapsedTime(began).TotalSeconds,
            EpochLossSum = fitted.Loss * _train.Count,
            EpochSeen = _train.Count,
            EpochCorrect = (int)Math.Round(fitted.MetricsAt(0.5).Accuracy * _train.Count),
        });
        return true;
    }

    /// <returns>False when stopped in its middle, with the state of that moment in <see cref="State"/>.</returns>
    private bool RunEpoch(int epoch, CancellationToken stop)
    {
        StartLoading(epoch, _state.StepInEpoch);
        long began = Stopwatch.GetTimestamp();
        TimeSpan stallBefore = _loader.Stall;
        TrainingState atStart = _state with { };
        double learningRate = LearningRateAt(epoch, _stepsPerEpoch - 1);
        for (int step = atStart.StepInEpoch; step < _stepsPerEpoch; step++)
        {
            // Several processes stop after the same step, which its outcome tells them.
            if (_stopRequested || (stop.IsCancellationRequested && !_replicas.SpansProcesses))
            {
                _state = Timed(_state);
                return false;
            }

            learningRate = Step(epoch, step, stop.IsCancellationRequested);
            double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            int done = (step + 1 - atStart.StepInEpoch) * _options.BatchSize;
            _observer.Progress(new StageProgress(
                "train", step + 1, _stepsPerEpoch, "steps", done / seconds, "clips/s",
                TimeSpan.FromSeconds(seconds / (step + 1 - atStart.StepInEpoch) * (_stepsPerEpoch - step - 1)),
                Epoch: new EpochProgress(
                    epoch, _options.Epochs, _state.EpochLossSum / Math.Max(1, _state.EpochSeen),
                    (double)_state.EpochCorrect / Math.Max(1, _state.EpochSeen), learningRate, _lastNorm,
                    _state.LossScale, _replicas.Lead.Device.Memory.InUse)));
        }

        TrainingState finished = Timed(_state);
        if (epoch < _options.Epochs)
        {
            // The first batches of the next epoch are assembled while this one is validated and saved.
            StartLoading(epoch + 1, firstBatch: 0);
        }

        EndEpoch(epoch, learningRate, finished);
        return true;

        TrainingState Timed(TrainingState state) => state with
        {
            EpochSeconds = atStart.EpochSeconds + Stopwatch.GetElapsedTime(began).TotalSeconds,
            EpochStallSeconds = atStart.EpochStallSeconds + (_loader.Stall - stallBefore).TotalSeconds,
        };
    }

    private double LearningRateAt(int epoch, int stepInEpoch) =>
        _schedule.At(((long)(epoch - 1) * _stepsPerEpoch) + stepInEpoch) * _state.LearningRateFactor;

    private void StartLoading(int epoch, int firstBatch)
    {
        if (_loadedEpoch != epoch)
        {
            _loader.Start(EpochOrder.Of(_train.Count, _options.Seed, epoch, _options.Shuffle), firstBatch, epoch);
            _loadedEpoch = epoch;
        }
    }

    /// <returns>The learning rate used.</returns>
    private double Step(int epoch, int stepInEpoch, bool stop)
    {
        long step = ((long)(epoch - 1) * _stepsPerEpoch) + stepInEpoch;
        _profile?.BeginStep(step);
        SplitBatch batch = _next ?? _loader.Next();
        _profile?.GotBatch();
        _next = null;
        long began = Stopwatch.GetTimestamp();
        double learningRate = LearningRateAt(epoch, stepInEpoch);
        LinkFigures before = _replicas.Lead.Communication;
        _replicas.Start(batch, learningRate, stop);
        if (_replicas.Prefetches && stepInEpoch + 1 < _stepsPerEpoch)
        {
            _next = _loader.Next();
            _replicas.Prefetch(_next);
        }

        StepOutcome outcome = _replicas.Finish();
        _profile?.EndStep(step);
        Communication += _replicas.Lead.Communication - before;
        Steps++;
        _stopRequested = outcome.StopRequested;
        _lastNorm = outcome.GradientNorm;
        _state.Add(outcome, batch.Count, outcome.After);
        if (_options.LogEverySteps > 0 && step % _options.LogEverySteps == 0)
        {
            double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            _folder.WriteStep(step, epoch, seconds, outcome, learningRate);
            _board?.Step(step, outcome, learningRate, batch.Count / seconds);
        }

        if (outcome.Skipped)
        {
            HandleBadStep(step, batch, outcome);
        }
        else
        {
            _averages?.AfterStep(_replicas.Lead.Parameters);
        }

        if (_options.CheckReplicas > 0 && (step + 1) % _options.CheckReplicas == 0)
        {
            _replicas.Check(step);
        }

        _loader.Return(batch);
        return learningRate;
    }

    /// <summary>
    /// An overflow of scaled gradients is a normal event that a smaller scale cures. Otherwise a few bad batches in a row halve the
    /// learning rate, and when that does not help, training stops and names the clips.
    /// </summary>
    private void HandleBadStep(long step, SplitBatch batch, in StepOutcome outcome)
    {
        bool scaleCanShrink = double.IsFinite(outcome.Loss) && outcome.LossScale > 1;
        string what = double.IsFinite(outcome.Loss) ? "a gradient is not finite" : $"the loss is {outcome.Loss}";
        Say(Severity.Warning,
            $"step {step}: {what}; the step was skipped (loss scale {outcome.LossScale:G}, {_state.ConsecutiveSkips} in a row).");
        if (scaleCanShrink)
        {
            return;
        }

        if (_state.ConsecutiveSkips >= 2 * BadStepsBeforeHalving)
        {
            // Skipped steps changed nothing: the state of now is the last good one.
            SaveState();
            IEnumerable<string> clips = batch.Rows.Take(batch.Count).Select(_train.NameOf);
            throw new RunException(
                $"Training stopped at step {step}: {what}, {_state.ConsecutiveSkips} steps in a row. The last batch was: " +
                    $"{string.Join(", ", clips)}.",
                $"Check these clips' features, or start anew with a smaller {SettingName.Of(nameof(TrainingOptions.LearningRate))}. The " +
                    "last good state is in last.ckpt.");
        }

        if (_state.ConsecutiveSkips == BadStepsBeforeHalving)
        {
            _state = _state with { LearningRateFactor = _state.LearningRateFactor / 2 };
            Say(Severity.Warning, $"step {step}: {BadStepsBeforeHalving} bad steps in a row; the learning rate is halved from here on.");
        }
    }

    private void EndEpoch(int epoch, double learningRate, TrainingState finished)
    {
        Evaluation val = _validation.Run();
        ClassificationMetrics metrics = val.MetricsAt(0.5);
        int appliedSteps = _stepsPerEpoch - finished.EpochSkipped;
        var record = new EpochRecord
        {
            Epoch = epoch,
            Epochs = _options.Epochs,
            Seconds = finished.EpochSeconds,
            StallSeconds = finished.EpochStallSeconds,
            LearningRate = learningRate,
            Loss = finished.EpochLossSum / finished.EpochSeen,
            Accuracy = (double)finished.EpochCorrect / _train.Count,
            ValLoss = metrics.Loss,
            ValAccuracy = metrics.Accuracy,
            ValBalancedAccuracy = metrics.BalancedAccuracy,
            ValAuc = metrics.Auc,
            ValPrecision = metrics.Precision,
            ValRecall = metrics.Recall,
            ValF1 = metrics.F1,
            GradientNorm = appliedSteps == 0 ? double.NaN : finished.EpochNormSum / appliedSteps,
            LossScale = finished.LossScale,
            SkippedSteps = finished.EpochSkipped,
            IsBest = false,
        };
        double value = _monitor.ValueOf(record);
        bool best = _monitor.Improves(value, finished.BestValue);
        record = record with { IsBest = best };
        int waiting = best ? 0 : finished.EpochsWithoutImprovement + 1;
        _state = new TrainingState
        {
            Epoch = epoch,
            LearningRateFactor = finished.LearningRateFactor,
            BestValue = best ? value : finished.BestValue,
            BestEpoch = best ? epoch : finished.BestEpoch,
            EpochsWithoutImprovement = waiting,
            StoppedEarly = _options.EarlyStoppingPatience > 0 && waiting >= _options.EarlyStoppingPatience,
            History = [.. finished.History, record],
            Fingerprint = finished.Fingerprint,
        }.With(_replicas.Lead.State.Read());
        if (best)
        {
            OnBest?.Invoke();
        }

        _averages?.AfterEpoch(_replicas.Lead.Parameters, epoch);
        _board?.Epoch(record, _train.Count, _replicas.Lead.Parameters);
        long began = Stopwatch.GetTimestamp();
        Save(record, val);
        Saving += Stopwatch.GetElapsedTime(began);
        _observer.Epoch(record);
        if (_state.StoppedEarly)
        {
            Say(Severity.Info,
                $"Stopped early: {_monitor.Name} has not improved for {waiting} epochs; the best was {_state.BestValue:F4} in epoch " +
                    $"{_state.BestEpoch}.");
        }
    }

    /// <summary>
    /// Beside the next epoch, the best model first, the state last: a run killed in between repeats the epoch from the state before and
    /// writes the same files again.
    /// </summary>
    private void Save(EpochRecord record, Evaluation val)
    {
        if (!_folder.Writes)
        {
            return;
        }

        _writes.Finish();
        int epoch = record.Epoch;
        Action? saveModel = null;
        if (record.IsBest)
        {
            double threshold = ThresholdOf(val);
            saveModel = Checkpoint.PrepareModel(
                _writes, _folder.BestModel, _replicas.Lead,
                _info with { Epoch = epoch, Threshold = threshold, Drift = _info.Drift.With(val.Scores, val.Classes, threshold) }, _scaler,
                _folder.BestKerasModel, Familiarity, Clips);
        }

        Action<string> saveFull = Checkpoint.PrepareFull(
            _writes, _replicas.Lead, _info with { Epoch = epoch }, _state, _scaler, _averages, Clips);
        Action? log = _board?.Collect(record, val);
        bool isNumbered = _options.CheckpointEvery > 0 && epoch % _options.CheckpointEvery == 0;
        IReadOnlyList<EpochRecord> history = _state.History;
        _folder.FlushSteps();
        _writes.Start(() =>
        {
            saveModel?.Invoke();
            if (isNumbered)
            {
                saveFull(_folder.NumberedCheckpoint(epoch));
                _folder.PruneCheckpoints(_options.KeepCheckpoints);
            }

            _folder.WriteHistory(history);
            saveFull(_folder.LastCheckpoint);
            log?.Invoke();
        });
    }

    private double ThresholdOf(Evaluation val) =>
        _options.Threshold == ThresholdRule.Half && val.Classes.IsViolence ? 0.5 : val.BestThreshold();

    /// <summary>
    /// Batch normalisation takes mean and deviation over the clips of a batch: one clip is its own mean, and nothing is left.
    /// </summary>
    /// <exception cref="RunException">Every batch would be of one clip.</exception>
    private void RequireClipsToNormalise()
    {
        int batch = _options.BatchSize, parts = _options.SyncBatchNorm ? 1 : _replicas.Size;
        if (_replicas.Lead.Parameters.Buffers.Count == 0)
        {
            return;
        }

        if (batch / parts < 2)
        {
            throw new RunException(
                $"{SettingName.Of(nameof(TrainingOptions.BatchSize))} {batch}{(parts > 1 ? $" on {parts} replicas" : "")} is one clip at " +
                    $"a time, and '{_options.Model}' normalises over the clips of a batch: it would learn nothing.",
                $"Give {SettingName.Of(nameof(TrainingOptions.BatchSize))} {2 * parts} or more, or a " +
                    $"{SettingName.Of(nameof(TrainingOptions.Model))} without batch normalisation, such as linear.");
        }

        if (_train.Count > batch && _train.Count % batch == 1)
        {
            Say(Severity.Info, $"{_train.Count} clips in batches of {batch} leave one over, from which a model with batch normalisation " +
                $"learns nothing; another {SettingName.Of(nameof(TrainingOptions.BatchSize))} would not");
        }
    }

    private void Say(Severity severity, string text) => _observer.Message(severity, text);
}
