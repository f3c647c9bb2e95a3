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
using CudaTrainer.Engine.Training.Reporting;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Training;

/// <summary>
/// A whole training run: features (from videos or as they are), training with checkpoints, and the evaluation of the best model from the very file that is reported.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    private readonly TrainingOptions _options;
    private readonly IRunObserver _observer;
    private readonly StageClock _clock = new();
    private readonly RunFolder _folder;
    private readonly DeviceChoice _device;
    private readonly BackboneChoice? _backbone;
    private readonly ProcessGroup? _processes;
    private CommunicationSummary? _communication;

    private TrainingRun(TrainingOptions options, IRunObserver observer, ProcessGroup? processes)
    {
        _options = options;
        _processes = processes;
        _device = processes is null
            ? DeviceChoice.Open(options.Device, options.Threads, options.MixedPrecision)
            : DeviceChoice.OpenShare(options.Device, options.Threads, options.MixedPrecision, processes);
        _backbone = options.FeaturesDir is null ? BackboneChoice.Open(options) : null;
        _folder = IsLead ? RunFolder.Open(options.CheckpointDir, options.Resume is not null, options.Overwrite) : RunFolder.Follow(options.CheckpointDir);
        _observer = IsLead ? new LoggingObserver(observer, _folder) : new SilentObserver();
    }

    /// <summary>Whether this process writes and speaks.</summary>
    private bool IsLead => _processes is not { IsLead: false };

    private bool MixedPrecision => _options.MixedPrecision ?? _device.IsCuda;

    /// <summary>--xla: the step as one graph.</summary>
    private bool FuseStep => _device.Device.CapturesGraphs && (_options.Xla ?? true);

    private string Precision => !MixedPrecision ? "fp32"
        : _device.Device.ComputesInHalf ? "fp16 maths, fp32 sums and master weights, dynamic loss scaling"
        : "fp16 features and saved activations, fp32 maths, dynamic loss scaling";

    private string BackboneText => _backbone?.Source.Description ?? "features from files";

    /// <summary>Runs to the end, or until <paramref name="stop"/>, which saves the state and returns.</summary>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static TrainingResult Execute(TrainingOptions options, IRunObserver observer, CancellationToken stop)
    {
        IReadOnlyList<OptionProblem> problems = OptionValidation.Validate(options);
        if (problems.Count > 0)
        {
            throw new RunException(string.Join(Environment.NewLine, problems.Select(problem => $"{problem.Option}: {problem.Message}")));
        }

        if (options.Distributed == DistributedMode.None)
        {
            return Execute(options, observer, null, stop);
        }

        using ProcessGroup processes = ProcessGroup.Open();
        return processes.Run(() => Execute(options, observer, processes, stop));
    }

    private static TrainingResult Execute(TrainingOptions options, IRunObserver observer, ProcessGroup? processes, CancellationToken stop)
    {
        using var run = new TrainingRun(options, observer, processes);
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

    private static void LoadModel(Checkpoint checkpoint, ReplicaGroup replicas)
    {
        foreach (Learner learner in replicas.Replicas)
        {
            checkpoint.LoadModel(learner.Parameters);
        }
    }

    private static float[] Alpha(IReadOnlyList<double> alpha) => alpha.Count == 1 ? [(float)alpha[0], (float)alpha[0]] : [(float)alpha[0], (float)alpha[1]];

    private TrainingResult Run(CancellationToken stop)
    {
        Header();
        using FeatureSplits splits = OpenFeatures(stop);
        FeatureSet train = splits.Train;
        RequireSameData(splits);
        float[] classWeights = _options.UseClassWeights ? ClassWeights(train.Classes) : [1, 1];
        var loss = new LossInfo(_options.UseFocalLoss, (float)_options.FocalGamma, (float)_options.LabelSmoothing, classWeights, Alpha(_options.FocalAlpha));
        ModelInfo info = Describe(train) with { Loss = loss };
        Classifier NewModel() => Classifiers.Create(_options.Model, new ClassifierOptions(train.Dimension, (float)_options.Dropout, MixedPrecision));
        var learning = new LearnerOptions(
            loss.Options,
            loss.ClassWeights,
            loss.Alpha,
            new AdamOptions { ClipMode = _options.ClipMode, ClipNorm = (float)_options.GradientClipNorm },
            MixedPrecision,
            (uint)_options.Seed,
            FuseStep,
            HalfOnWire: _options.AllreduceDtype == FeatureType.Float16,
            SyncBatchNorm: _options.SyncBatchNorm);
        using ReplicaGroup replicas = _processes is null
            ? new ReplicaGroup(_device.Devices, NewModel, learning)
            : new ReplicaGroup(_device.Device, NewModel(), learning, _processes.Connect(_device.Device));
        ParameterSet parameters = replicas.Lead.Parameters;
        _observer.Header(
        [
            new HeaderLine("model", $"{_options.Model}, {parameters.Values.Count:N0} parameters ({parameters.BufferValues.Count:N0} running statistics)"),
            new HeaderLine("loss", LossText(classWeights)),
            new HeaderLine("steps", $"{(train.Count + _options.BatchSize - 1) / _options.BatchSize} an epoch, {_options.Epochs} epochs, batch {_options.BatchSize}{(FuseStep ? ", each one CUDA graph" : string.Empty)}"),
            .. ReplicaLines(replicas),
        ]);
        (TrainingState state, FeatureScaler? scaler) = Begin(replicas, train, info);
        if (scaler is not null)
        {
            _observer.Message(Severity.Info, "features are standardised by the training clips; saved models take raw features");
        }

        _folder.Begin();
        _folder.WriteConfig(_options);
        using (var loop = new TrainingLoop(_options, replicas, info, new SplitRows(train), new SplitRows(splits.Validation), _folder, _observer, state, scaler))
        {
            RunOutcome outcome = _clock.Time("train", () => loop.Run(stop));
            state = loop.State;
            _communication = CommunicationSummary.Of(replicas, loop.Communication, loop.Steps);
            if (outcome == RunOutcome.Interrupted)
            {
                return Result(RunOutcome.Interrupted, state);
            }
        }

        TrainingResult result = _clock.Time("evaluate", () => EvaluateBest(replicas, splits, state));
        _folder.WriteResults(JsonSerializer.Serialize(result, RunJson.Default.TrainingResult));
        WriteReport(stop);
        return result;
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
            RunReport.Write([_options.CheckpointDir], output: null, stop);
        }
        catch (Exception exception)
        {
            _observer.Message(Severity.Warning, $"report.html was not written: {exception.Message}; try 'cudatrainer report {_options.CheckpointDir}'");
        }
    }

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
        new FeaturePipeline(_options, whole ?? _device.Device, _backbone!, _observer, _clock, _processes).Run(stop);
    }

    private void Header()
    {
        List<HeaderLine> lines =
        [
            .. _processes is null ? Array.Empty<HeaderLine>() : [new HeaderLine("processes", $"{_processes.Size}; this is {_processes.Description}")],
            new HeaderLine("device", _device.Text),
            new HeaderLine("precision", Precision),
            new HeaderLine("backbone", BackboneText),
            new HeaderLine("data", _options.FeaturesDir is { } features ? $"features in {features}" : $"videos in {_options.DatasetPath}, cache in {_options.CacheDir}"),
            new HeaderLine("output", _options.CheckpointDir),
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
        return _clock.Time("open", () => FeatureSplits.Open(_options.CacheDir));
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
            Preprocess = key.GetValueOrDefault("preprocessing", "unknown"),
        };
    }

    /// <summary>w_y = N / (2·N_y).</summary>
    private static float[] ClassWeights(ClassCounts counts) => [counts.Total / (2f * counts.Nonviolent), counts.Total / (2f * counts.Violent)];

    private string LossText(float[] classWeights)
    {
        string loss = _options.UseFocalLoss ? $"focal (alpha {string.Join(", ", _options.FocalAlpha)}, gamma {_options.FocalGamma})" : "cross-entropy";
        string weights = _options.UseClassWeights ? $"class weights {classWeights[0]:F3} nonviolent, {classWeights[1]:F3} violent" : "no class weights";
        return $"{loss}, label smoothing {_options.LabelSmoothing}, {weights}";
    }

    /// <summary>Fresh weights, weights from a file, or the state of an earlier run.</summary>
    private (TrainingState State, FeatureScaler? Scaler) Begin(ReplicaGroup replicas, FeatureSet train, ModelInfo info)
    {
        replicas.Initialize((uint)_options.Seed);
        bool standardize = _options.StandardizeFeatures ?? (info.Backbone.StartsWith(RandomVgg19.IdentityPrefix, StringComparison.Ordinal) && _options.FeaturesDir is null && _options.InitialWeights is null);
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

        FeatureScaler? scaler = standardize ? FeatureScaler.Fit(new SplitRows(train)) : null;
        return (new TrainingState { Fingerprint = fingerprint }.With(replicas.Lead.State.Read()), scaler);
    }

    private (TrainingState State, FeatureScaler? Scaler) ResumeFrom(string path, ReplicaGroup replicas, IReadOnlyDictionary<string, string> fingerprint)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path);
        TrainingState state = checkpoint.RequireState();
        string[] changed = [.. fingerprint
            .Where(pair => state.Fingerprint.GetValueOrDefault(pair.Key) != pair.Value)
            .Select(pair => $"{pair.Key} was {state.Fingerprint.GetValueOrDefault(pair.Key, "not recorded")}, is {pair.Value}")];
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
        var data = new StringBuilder();
        for (int i = 0; i < train.Count; i++)
        {
            data.Append(train.Names[i]).Append('\n').Append(train.Labels[i]).Append('\n');
        }

        return new Dictionary<string, string>
        {
            ["--model"] = _options.Model,
            ["--batch-size"] = $"{_options.BatchSize}",
            ["--seed"] = $"{_options.Seed}",
            ["--learning-rate"] = $"{_options.LearningRate:R}",
            ["--min-learning-rate"] = $"{_options.MinLearningRate:R}",
            ["--warmup-epochs"] = $"{_options.WarmupEpochs}",
            ["--dropout"] = $"{_options.Dropout:R}",
            ["--label-smoothing"] = $"{_options.LabelSmoothing:R}",
            ["--use-focal-loss"] = $"{_options.UseFocalLoss}",
            ["--focal-alpha"] = string.Join(",", _options.FocalAlpha),
            ["--focal-gamma"] = $"{_options.FocalGamma:R}",
            ["--use-class-weights"] = $"{_options.UseClassWeights}",
            ["--clip-mode"] = $"{_options.ClipMode}",
            ["--gradient-clip-norm"] = $"{_options.GradientClipNorm:R}",
            ["--mixed-precision"] = $"{MixedPrecision}",
            ["--sync-batchnorm"] = $"{_options.SyncBatchNorm}",
            ["--allreduce-dtype"] = $"{_options.AllreduceDtype}",
            ["--monitor"] = _options.Monitor,
            ["--standardize-features"] = $"{standardize}",
            ["shuffling"] = $"{_options.Shuffle}",
            ["features"] = $"[{train.Count}, {train.Frames}, {train.Dimension}] {string.Join(" ", train.Key.Select(field => field.Value))}".TrimEnd(),
            ["training clips"] = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(data.ToString())))[..16],
        };
    }

    private TrainingResult EvaluateBest(ReplicaGroup replicas, FeatureSplits splits, TrainingState state)
    {
        // Rank 0 has written it.
        _processes?.Meet();
        using Checkpoint best = Checkpoint.Open(_folder.BestModel);
        LoadModel(best, replicas);
        double threshold = best.Info!.Threshold;
        var all = new Dictionary<string, ClassificationMetrics>();
        foreach (FeatureSet set in splits.All.Where(set => set != splits.Train))
        {
            using var evaluator = new Evaluator(replicas, new SplitRows(set), _options.BatchSize);
            Evaluation evaluation = evaluator.Run(withAttention: true);
            string name = set.Split.Name();
            if (_folder.Writes)
            {
                _folder.WritePredictions(name, PredictionFile.Text(evaluation, new SplitRows(set)));
            }

            all[name] = evaluation.MetricsAt(threshold);
            all[name + "_at_half"] = evaluation.MetricsAt(0.5);
        }

        TrainingResult result = Result(RunOutcome.Completed, state) with
        {
            Val = all["val"],
            ValAtHalf = all["val_at_half"],
            Test = all.GetValueOrDefault("test"),
            TestAtHalf = all.GetValueOrDefault("test_at_half"),
            Data = [.. splits.All.Select(SplitSummary.Of)],
        };
        return result;
    }

    private TrainingResult Result(RunOutcome outcome, TrainingState? state) => new()
    {
        Outcome = outcome,
        Rank = _processes?.Rank ?? 0,
        Communication = _communication,
        Monitor = _options.Monitor,
        BestEpoch = state?.BestEpoch ?? 0,
        BestValue = state?.BestValue ?? double.NaN,
        Epochs = state?.Epoch ?? 0,
        StoppedEarly = state?.StoppedEarly ?? false,
        CheckpointDir = _options.CheckpointDir,
        Stages = _clock.Seconds,
        Device = _device.Description,
        Precision = Precision,
        Backbone = BackboneText,
        Environment = RunEnvironment.Current(),
        StallFraction = state is { History.Count: > 0 } ? state.History.Sum(epoch => epoch.StallSeconds) / state.History.Sum(epoch => epoch.Seconds) : 0,
    };
}
