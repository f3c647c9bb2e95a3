using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CudaTrainer.Engine.Backends.Cpu;
using CudaTrainer.Engine.Data.Cache;
using CudaTrainer.Engine.Data.Dataset;
using CudaTrainer.Engine.Formats;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Parallel;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Engine.Training.Reporting;

namespace CudaTrainer.Engine.Training;

/// <summary>
/// A whole training run: features (from videos or as they are), training with checkpoints, and the evaluation of the best model from the very file that is reported.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    /// <summary>What the fingerprint of a run calls <see cref="IdentityOf"/> of its train split.</summary>
    internal const string TrainingClips = "training clips";

    private readonly TrainingOptions _options;
    private readonly IRunObserver _observer;
    private readonly StageClock _clock = new();
    private readonly RunFolder _folder;
    private readonly DeviceChoice _device;
    private readonly LearnerSetup _setup;
    private readonly BackboneChoice? _backbone;
    private readonly ProcessGroup? _processes;
    private readonly TraceRecorder? _trace;
    private readonly WeightAverages _averages;
    private CommunicationSummary? _communication;
    private ProfileSummary? _profile;

    /// <param name="writes">Whether the run leaves files.</param>
    private TrainingRun(TrainingOptions options, IRunObserver observer, ProcessGroup? processes, bool writes)
    {
        _options = options.FastDevRun > 0 ? options with { Epochs = 1, WarmupEpochs = 0, EarlyStoppingPatience = 0 } : options;
        _processes = processes;
        _trace = options.Profile is not null && IsLead ? new TraceRecorder() : null;
        _device = processes is null
            ? DeviceChoice.Open(options.Device, options.Threads, options.MixedPrecision)
            : DeviceChoice.OpenShare(options.Device, options.Threads, options.MixedPrecision, processes);
        _setup = new LearnerSetup(_options, _device.Device, _device.IsCuda);
        _backbone = options.FeaturesDir is null ? BackboneChoice.Open(options) : null;
        _folder = IsLead && writes ? RunFolder.Open(options.CheckpointDir, options.Resume is not null, options.Overwrite) : RunFolder.Follow(options.CheckpointDir);
        _averages = new WeightAverages(_options);
        _observer = IsLead ? new LoggingObserver(observer, _folder) : new SilentObserver();
    }

    /// <summary>Whether this process writes and speaks.</summary>
    private bool IsLead => _processes is not { IsLead: false };

    private string BackboneText => _backbone?.Description ?? "features from files";

    /// <summary>Runs to the end, or until <paramref name="stop"/>, which saves the state and returns.</summary>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static TrainingResult Execute(TrainingOptions options, IRunObserver observer, CancellationToken stop)
    {
        OptionValidation.Require(options);
        if (options.Distributed == DistributedMode.None)
        {
            return Execute(options, observer, null, stop);
        }

        using ProcessGroup processes = ProcessGroup.Open();
        return processes.Run(() => Execute(options, observer, processes, stop));
    }

    /// <summary>Sweeps the learning rate with the set-up of a run, which it leaves no files of.</summary>
    /// <param name="options">Those about checkpoints, epochs and the rate do not count.</param>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static LearningRateSweep Sweep(TrainingOptions options, SweepRange range, IRunObserver observer, CancellationToken stop)
    {
        OptionValidation.Require(options);
        using var run = new TrainingRun(options with { Resume = null }, observer, null, writes: false);
        return run.Sweep(range, stop);
    }

    private static TrainingResult Execute(TrainingOptions options, IRunObserver observer, ProcessGroup? processes, CancellationToken stop)
    {
        using var run = new TrainingRun(options, observer, processes, writes: options.FastDevRun == 0);
        try
        {
            return run.Run(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The others learn it from this; in training itself all stop together.
            processes?.Fail("it was interrupted");
            return run.Result(RunOutcome.Interrupted, null);
        }
    }

    public void Dispose()
    {
        _folder.Dispose();
        _backbone?.Dispose();
        _device.Dispose();
    }

    /// <summary>Of the clips of a split and their labels, in their order.</summary>
    internal static string IdentityOf(FeatureSet set)
    {
        var data = new StringBuilder();
        for (int i = 0; i < set.Count; i++)
        {
            data.Append(set.Names[i]).Append('\n').Append(set.Labels[i]).Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(data.ToString())))[..16];
    }

    private static void LoadModel(Checkpoint checkpoint, ReplicaGroup replicas)
    {
        foreach (Learner learner in replicas.Replicas)
        {
            checkpoint.LoadModel(learner.Parameters);
        }
    }

    private TrainingResult Run(CancellationToken stop)
    {
        Header();
        using FeatureSplits splits = OpenFeatures(stop);
        FeatureSet train = splits.Train;
        RequireSameData(splits);
        IFeatureRows trainRows = Limited(train, Math.Max(_options.OverfitBatches, _options.FastDevRun));
        IFeatureRows valRows = _options.OverfitBatches > 0 ? trainRows : Limited(splits.Validation, _options.FastDevRun);
        using FeatureViews views = FeatureViews.Open(_options.FeaturesDir ?? _options.CacheDir, _options.Views, train);
        IFeatureRows[] viewRows = [.. views.Others.Select(set => Limited(set, Math.Max(_options.OverfitBatches, _options.FastDevRun)))];
        ModelInfo info = Describe(train);
        using ReplicaGroup replicas = NewReplicas(train, info);
        ParameterSet parameters = replicas.Lead.Parameters;
        _observer.Header(
        [
            new HeaderLine("model", $"{_options.Model}, {parameters.Values.Count:N0} parameters ({parameters.BufferValues.Count:N0} running statistics)"),
            new HeaderLine("loss", LossText(info.Loss!)),
            .. AugmentationOptions.Of(_options) is { IsActive: true } augmentation ? new[] { new HeaderLine("augmentation", augmentation.Text) } : [],
            new HeaderLine("steps", $"{(trainRows.Count + _options.BatchSize - 1) / _options.BatchSize} an epoch, {_options.Epochs} epochs, batch {_options.BatchSize}{(_setup.FuseStep ? ", each one CUDA graph" : string.Empty)}"),
            .. ReplicaLines(replicas),
        ]);
        foreach (string doubt in OptionValidation.Doubts(_options))
        {
            _observer.Message(Severity.Info, doubt);
        }

        (TrainingState state, FeatureScaler? scaler) = Begin(replicas, train, info);
        if (scaler is not null)
        {
            _observer.Message(Severity.Info, "features are standardised by the training clips; saved models take raw features");
        }

        _folder.Begin();
        _folder.WriteConfig(_options);
        using TensorBoardLog? board = TensorBoardLog.Open(_folder, _options, info, _observer);
        using (var loop = new TrainingLoop(_options, replicas, info, trainRows, valRows, _folder, _observer, state, scaler, board, _folder.Writes ? _averages : null, viewRows))
        {
            if (_trace is not null && StepRange.TryParse(_options.Profile!, out StepRange range))
            {
                loop.Profile(_trace, range);
            }

            RunOutcome outcome = _clock.Time("train", () => loop.Run(stop));
            state = loop.State;
            _profile = WriteProfile();
            _communication = CommunicationSummary.Of(replicas, loop.Communication, loop.Steps);
            if (outcome == RunOutcome.Interrupted)
            {
                return Result(RunOutcome.Interrupted, state);
            }
        }

        if (_options.FastDevRun > 0)
        {
            return Result(RunOutcome.Completed, state);
        }

        (string Name, IFeatureRows Rows)[] held = _options.OverfitBatches > 0
            ? [(DatasetSplit.Validation.Name(), valRows)]
            : [.. splits.All.Where(set => set != train).Select(set => (set.Split.Name(), (IFeatureRows)new SplitRows(set)))];
        TrainingResult result = _clock.Time("evaluate", () => EvaluateBest(replicas, held, state) with
        {
            Averages = EvaluateAverages(replicas, trainRows, valRows, held, info, state, scaler, stop),
            Data = [.. splits.All.Select(SplitSummary.Of)],
        });
        _folder.WriteResults(JsonSerializer.Serialize(result, RunJson.Default.TrainingResult));
        board?.Complete();
        WriteReport(stop);
        return result;
    }

    private ProfileSummary? WriteProfile()
    {
        if (_trace is null)
        {
            return null;
        }

        if (!_trace.Sums.Any(sum => sum.Stage == StepProfile.Stage))
        {
            _observer.Message(Severity.Warning, $"--profile {_options.Profile}: this run did none of these steps");
        }

        if (_folder.Writes)
        {
            _trace.Write(_folder.Profile);
        }

        return ProfileSummary.Of(_trace, _folder.Writes ? _folder.Profile : null);
    }

    /// <summary>The page is for people: what goes wrong with it does not make a trained classifier a failed run.</summary>
    private void WriteReport(CancellationToken stop)
    {
        if (!_folder.Writes || !_options.Report)
        {
            return;
        }

        try
        {
            RunReport.Write([_options.CheckpointDir], more: [], output: null, stop);
        }
        catch (Exception exception)
        {
            _observer.Message(Severity.Warning, $"report.html was not written: {exception.Message}; try 'cudatrainer report {_options.CheckpointDir}'");
        }
    }

    private LearningRateSweep Sweep(SweepRange range, CancellationToken stop)
    {
        Header();
        using FeatureSplits splits = OpenFeatures(stop);
        ModelInfo info = Describe(splits.Train);
        using ReplicaGroup replicas = NewReplicas(splits.Train, info);
        (_, FeatureScaler? scaler) = Begin(replicas, splits.Train, info);
        return LearningRateSweep.Run(replicas, new SplitRows(splits.Train), scaler, _options, range, _observer, stop);
    }

    private ReplicaGroup NewReplicas(FeatureSet train, ModelInfo info)
    {
        LearnerOptions learning = _setup.Learner(info.Loss!);
        return _processes is null
            ? new ReplicaGroup(_device.Devices, NewModel, learning)
            : new ReplicaGroup(_device.Device, NewModel(), learning, _processes.Connect(_device.Device));

        Classifier NewModel() => _setup.NewModel(train.Dimension);
    }

    private IFeatureRows Limited(FeatureSet set, int batches) =>
        batches == 0 ? new SplitRows(set) : SelectedRows.Draw(new SplitRows(set), (int)Math.Min(set.Count, (long)batches * _options.BatchSize), _options.Seed);

    /// <summary>Every process reads the features itself: they have to be the same, in the same order.</summary>
    private void RequireSameData(FeatureSplits splits)
    {
        if (_processes is null)
        {
            return;
        }

        var data = new StringBuilder();
        foreach (FeatureSet set in splits.All)
        {
            data.Append(CultureInfo.InvariantCulture, $"{set.Split} [{set.Count}, {set.Frames}, {set.Dimension}] {string.Join(" ", set.Key.Select(field => field.Value))}\n");
            for (int i = 0; i < set.Count; i++)
            {
                data.Append(set.Names[i]).Append('\n').Append(set.Labels[i]).Append('\n');
            }
        }

        if (_processes.FirstThatDiffers(SHA256.HashData(Encoding.UTF8.GetBytes(data.ToString()))) is { } rank)
        {
            throw new RunException(
                $"Rank {rank} has other features than rank 0 in '{_options.FeaturesDir ?? _options.CacheDir}'.", "Put features, or the cache, into a folder that all machines share.");
        }
    }

    private IEnumerable<HeaderLine> ReplicaLines(ReplicaGroup replicas)
    {
        if (replicas.Communication is { } communication)
        {
            string statistics = _options.SyncBatchNorm ? "over all replicas" : "of each replica's own clips";
            yield return new HeaderLine("replicas", $"{replicas.Size}, gradients {communication}, {(_options.AllreduceDtype == FeatureType.Float16 ? "fp16" : "fp32")}; batch statistics {statistics}");
        }
    }

    private void ExtractFeatures(CancellationToken stop)
    {
        // Virtual devices share the threads that one could have for itself.
        using CpuDevice? whole = _device.Devices.Count > 1 && _device.Device is CpuDevice ? new CpuDevice(_options.Threads) : null;
        new FeaturePipeline(_options, whole is null ? _device.Devices : [whole], _backbone!, _observer, _clock, _processes, _trace).Run(stop);
    }

    private void Header()
    {
        List<HeaderLine> lines =
        [
            .. _processes is null ? Array.Empty<HeaderLine>() : [new HeaderLine("processes", $"{_processes.Size}; this is {_processes.Description}")],
            new HeaderLine("device", _device.Text),
            new HeaderLine("precision", _setup.Precision),
            new HeaderLine("backbone", BackboneText),
            new HeaderLine("data", _options.FeaturesDir is { } features ? $"features in {features}" : $"videos in {_options.DatasetPath}, cache in {_options.CacheDir}"),
            .. _folder.Writes ? new[] { new HeaderLine("output", _options.CheckpointDir) } : [],
            .. _options.Preset is { } preset ? new[] { new HeaderLine("preset", preset) } : [],
            new HeaderLine("seed", $"{_options.Seed}"),
        ];
        _observer.Header(lines);
    }

    private FeatureSplits OpenFeatures(CancellationToken stop)
    {
        if (_options.FeaturesDir is { } directory)
        {
            return _clock.Time("open", () =>
            {
                FeatureSplits splits = FeatureSplits.OpenFinite(directory, stop);
                _observer.Dataset([.. splits.All.Select(set => new SplitRow(set.Split.Name(), set.Classes.Nonviolent, set.Classes.Violent, 0, 0))]);
                return splits;
            });
        }

        ExtractFeatures(stop);
        return _clock.Time("open", () => FeatureSplits.Open(BackboneChoice.DirectoryOf(_options.CacheDir, _options.Stream)));
    }

    private ModelInfo Describe(FeatureSet train)
    {
        var key = train.Key.ToDictionary(field => field.Key, field => field.Value);
        return new ModelInfo
        {
            Model = _options.Model,
            Inputs = train.Dimension,
            Frames = train.Frames,
            Backbone = key.GetValueOrDefault("backbone", "unknown"),
            BackboneDescription = BackboneText,
            Stream = _options.Stream,
            Preprocess = key.GetValueOrDefault("preprocessing", "unknown"),
            Dropout = _options.Dropout,
            Loss = _setup.Loss(train.Classes),
        };
    }

    private string LossText(LossInfo info)
    {
        string loss = _options.UseFocalLoss ? $"focal (alpha {string.Join(", ", _options.FocalAlpha)}, gamma {_options.FocalGamma})" : "cross-entropy";
        string weights = _options.UseClassWeights ? $"class weights {info.ClassWeights[0]:F3} nonviolent, {info.ClassWeights[1]:F3} violent" : "no class weights";
        return $"{loss}, label smoothing {_options.LabelSmoothing}, {weights}";
    }

    /// <summary>Fresh weights, weights from a file, or the state of an earlier run.</summary>
    private (TrainingState State, FeatureScaler? Scaler) Begin(ReplicaGroup replicas, FeatureSet train, ModelInfo info)
    {
        replicas.Initialize((uint)_options.Seed);
        bool standardize = _options.StandardizeFeatures ?? (_options.InitialWeights is null && FeatureScaler.IsUsual(_options, info.Backbone));
        IReadOnlyDictionary<string, string> fingerprint = Fingerprint(train, standardize);
        string? resume = _options.Resume == "auto" ? (File.Exists(_folder.LastCheckpoint) ? _folder.LastCheckpoint : null) : _options.Resume;
        if (resume is not null)
        {
            return ResumeFrom(resume, replicas, fingerprint);
        }

        if (_options.Resume is not null)
        {
            _observer.Message(Severity.Info, "nothing to resume; a new run begins");
        }

        if (_options.InitialWeights is { } file)
        {
            using Checkpoint checkpoint = Checkpoint.Open(file);
            LoadModel(checkpoint, replicas);
            _observer.Message(Severity.Info, $"classifier weights from {file}");
        }

        FeatureScaler? scaler = standardize ? FeatureScaler.Fit(new SplitRows(train), _options.Stream) : null;
        return (new TrainingState { Fingerprint = fingerprint }.With(replicas.Lead.State.Read()), scaler);
    }

    private (TrainingState State, FeatureScaler? Scaler) ResumeFrom(string path, ReplicaGroup replicas, IReadOnlyDictionary<string, string> fingerprint)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path);
        TrainingState state = checkpoint.RequireState();
        string[] changed = [.. fingerprint.Keys.Union(state.Fingerprint.Keys)
            .Where(name => state.Fingerprint.GetValueOrDefault(name) != fingerprint.GetValueOrDefault(name))
            .Select(name => $"{name} was {state.Fingerprint.GetValueOrDefault(name, "not recorded")}, is {fingerprint.GetValueOrDefault(name, "not given")}")];
        if (changed.Length > 0)
        {
            throw new RunException(
                $"'{path}' belongs to another run: {string.Join("; ", changed)}.",
                "Resume with the same options and data (epochs, patience, threads, workers, logging may change), or start anew with --initial-weights.");
        }

        LoadModel(checkpoint, replicas);
        foreach (Learner learner in replicas.Replicas)
        {
            checkpoint.LoadOptimizer(learner);
        }

        if (_folder.Writes)
        {
            checkpoint.LoadAverages(_averages, replicas.Lead.Parameters);
        }

        state = WithBestModel(path, state);
        string place = state.StepInEpoch > 0 ? $"epoch {state.Epoch + 1}, step {state.StepInEpoch}" : $"the end of epoch {state.Epoch}";
        _observer.Message(Severity.Info, $"resumed from {path} at {place}");

        // A longer run may go on after an early stop of a shorter patience; whether it stops again is decided by the options of now.
        bool stopped = _options.EarlyStoppingPatience > 0 && state.EpochsWithoutImprovement >= _options.EarlyStoppingPatience;
        if (stopped || state.Epoch >= _options.Epochs)
        {
            _observer.Message(Severity.Info, $"the run has finished {state.Epoch} epochs; pass --epochs N{(stopped ? " and a larger --early-stopping-patience" : string.Empty)} to extend it");
        }

        return (state with { StoppedEarly = stopped }, checkpoint.ReadScaler());
    }

    /// <summary>A run that goes on in another folder takes its best model along; where that is gone, the best of the epochs to come counts.</summary>
    private TrainingState WithBestModel(string checkpoint, TrainingState state)
    {
        if (state.BestEpoch == 0 || File.Exists(_folder.BestModel))
        {
            return state;
        }

        string beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(checkpoint))!, Path.GetFileName(_folder.BestModel));
        if (File.Exists(beside))
        {
            if (!_folder.Writes)
            {
                return state;
            }

            AtomicFile.WriteAllBytes(_folder.BestModel, File.ReadAllBytes(beside));
            string keras = Path.Combine(Path.GetDirectoryName(beside)!, Path.GetFileName(_folder.BestKerasModel));
            if (File.Exists(keras))
            {
                AtomicFile.WriteAllBytes(_folder.BestKerasModel, File.ReadAllBytes(keras));
            }

            return state;
        }

        if (state.Epoch >= _options.Epochs || state.StoppedEarly)
        {
            throw new RunException(
                $"'{checkpoint}' is of a finished run whose best model '{beside}' is gone.", "Train on with a larger --epochs, or use the checkpoint itself with predict and evaluate.");
        }

        _observer.Message(Severity.Warning, $"'{beside}' is gone: the best of the epochs from now on counts");
        return state with { BestValue = double.NaN, BestEpoch = 0, EpochsWithoutImprovement = 0 };
    }

    /// <summary>What must stay the same for a resumed run to be the same run.</summary>
    private Dictionary<string, string> Fingerprint(FeatureSet train, bool standardize)
    {
        var fingerprint = new Dictionary<string, string>
        {
            ["--model"] = _options.Model,
            ["--batch-size"] = $"{_options.BatchSize}",
            ["--seed"] = $"{_options.Seed}",
            ["--learning-rate"] = $"{_options.LearningRate:R}",
            ["--min-learning-rate"] = $"{_options.MinLearningRate:R}",
            ["--lr-schedule"] = $"{_options.LrSchedule}",
            ["--warmup-epochs"] = $"{_options.WarmupEpochs}",
            ["augmentation"] = AugmentationOptions.Of(_options).Text,
            ["--dropout"] = $"{_options.Dropout:R}",
            ["--label-smoothing"] = $"{_options.LabelSmoothing:R}",
            ["--use-focal-loss"] = $"{_options.UseFocalLoss}",
            ["--focal-alpha"] = string.Join(",", _options.FocalAlpha),
            ["--focal-gamma"] = $"{_options.FocalGamma:R}",
            ["--use-class-weights"] = $"{_options.UseClassWeights}",
            ["--clip-mode"] = $"{_options.ClipMode}",
            ["--gradient-clip-norm"] = $"{_options.GradientClipNorm:R}",
            ["--mixed-precision"] = $"{_setup.MixedPrecision}",
            ["--sync-batchnorm"] = $"{_options.SyncBatchNorm}",
            ["--allreduce-dtype"] = $"{_options.AllreduceDtype}",
            ["--monitor"] = _options.Monitor,
            ["--standardize-features"] = $"{standardize}",
            ["shuffling"] = $"{_options.Shuffle}",
            ["features"] = $"[{train.Count}, {train.Frames}, {train.Dimension}] {string.Join(" ", train.Key.Select(field => field.Value))}".TrimEnd(),
            [TrainingClips] = IdentityOf(train),
        };
        if (_options.OverfitBatches > 0)
        {
            fingerprint["--overfit-batches"] = $"{_options.OverfitBatches}";
        }

        if (_options.Ema > 0)
        {
            fingerprint["--ema"] = $"{_options.Ema:R}";
        }

        if (_options.SwaStart > 0)
        {
            fingerprint["--swa-start"] = $"{_options.SwaStart}";
        }

        return fingerprint;
    }

    private TrainingResult EvaluateBest(ReplicaGroup replicas, IReadOnlyList<(string Name, IFeatureRows Rows)> splits, TrainingState state)
    {
        Dictionary<string, ClassificationMetrics> all = Evaluate(replicas, _folder.BestModel, splits, _folder.WritePredictions);
        return Result(RunOutcome.Completed, state) with
        {
            Val = all["val"],
            ValAtHalf = all["val_at_half"],
            Test = all.GetValueOrDefault("test"),
            TestAtHalf = all.GetValueOrDefault("test_at_half"),
        };
    }

    /// <summary>Makes models of the averages, with batch statistics and a threshold of their own, and measures them.</summary>
    private List<AverageResult> EvaluateAverages(
        ReplicaGroup replicas, IFeatureRows train, IFeatureRows val, IReadOnlyList<(string Name, IFeatureRows Rows)> splits, ModelInfo info, TrainingState state, FeatureScaler? scaler, CancellationToken stop)
    {
        List<AverageResult> results = [];
        foreach (WeightAverage average in _averages.All)
        {
            int updates = _averages.UpdatesBy(average, state);
            if (updates == 0)
            {
                _observer.Message(Severity.Warning, $"there is no {average.Name} model: the run ended after epoch {state.Epoch}, before there was anything to average");
                continue;
            }

            string file = _folder.AveragedModel(average.Name);
            if (_folder.Writes)
            {
                Save(average, file);
            }

            Dictionary<string, ClassificationMetrics> all = Evaluate(replicas, file, splits, (_, _) => { });
            results.Add(new AverageResult(
                average.Name, average.Text, Path.GetFileName(file), updates, all["val"], all.GetValueOrDefault("test"), all["val_at_half"], all.GetValueOrDefault("test_at_half")));
        }

        return results;

        void Save(WeightAverage average, string file)
        {
            // One replica is enough, and asks nothing of the other processes: they read the file.
            Learner lead = replicas.Lead;
            lead.Parameters.Values.Write((ReadOnlySpan<float>)average.Values);
            BatchNormStatistics.Estimate(lead, train, _options.BatchSize, scaler, stop);
            using ReplicaGroup alone = ReplicaGroup.Of(lead);
            using var evaluator = new Evaluator(alone, val, _options.BatchSize, scaler);
            Checkpoint.SaveModel(file, lead, info with { Epoch = state.Epoch, Threshold = evaluator.Run().BestThreshold(), Average = average.Text }, scaler);
        }
    }

    /// <summary>Loads a model file and measures it on each split, at its own threshold and at 0.5 (<c>_at_half</c>).</summary>
    /// <param name="writePredictions">Takes the name of a split and its predictions.</param>
    private Dictionary<string, ClassificationMetrics> Evaluate(
        ReplicaGroup replicas, string file, IReadOnlyList<(string Name, IFeatureRows Rows)> splits, Action<string, string> writePredictions)
    {
        // Rank 0 has written it.
        _processes?.Meet();
        using Checkpoint model = Checkpoint.Open(file);
        LoadModel(model, replicas);
        var all = new Dictionary<string, ClassificationMetrics>();
        foreach (var (name, rows) in splits)
        {
            using var evaluator = new Evaluator(replicas, rows, _options.BatchSize);
            Evaluation evaluation = evaluator.Run(withAttention: true);
            if (_folder.Writes)
            {
                writePredictions(name, PredictionFile.Text(evaluation, rows));
            }

            all[name] = evaluation.MetricsAt(model.Info!.Threshold);
            all[name + "_at_half"] = evaluation.MetricsAt(0.5);
        }

        return all;
    }

    private TrainingResult Result(RunOutcome outcome, TrainingState? state) => new()
    {
        Outcome = outcome,
        Rank = _processes?.Rank ?? 0,
        Communication = _communication,
        Profile = _profile,
        Monitor = _options.Monitor,
        BestEpoch = state?.BestEpoch ?? 0,
        BestValue = state?.BestValue ?? double.NaN,
        Epochs = state?.Epoch ?? 0,
        StoppedEarly = state?.StoppedEarly ?? false,
        CheckpointDir = _options.CheckpointDir,
        Stages = _clock.Seconds,
        Device = _device.Description,
        Precision = _setup.Precision,
        Backbone = BackboneText,
        Environment = RunEnvironment.Current(),
        StallFraction = state is { History.Count: > 0 } ? state.History.Sum(epoch => epoch.StallSeconds) / state.History.Sum(epoch => epoch.Seconds) : 0,
    };
}
