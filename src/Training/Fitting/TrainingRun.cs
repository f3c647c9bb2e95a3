using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>
/// A whole training run: features (from videos or as they are), training with checkpoints, and the evaluation of the best model from the
/// very file that is reported.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    private readonly TrainingOptions _options;
    private readonly IRunObserver _observer;
    private readonly Recipe _recipe;
    private readonly StageClock _clock = new();
    private readonly RunFolder _folder;
    private readonly DeviceChoice _device;
    private readonly LearnerSetup _setup;
    private readonly BackboneChoice? _backbone;
    private readonly ProcessGroup? _processes;
    private readonly TraceRecorder? _trace;
    private readonly WeightAverages _averages;
    private CommunicationSummary? _communication;
    private TimeSpan _saving;
    private ProfileSummary? _profile;

    /// <param name="writes">Whether the run leaves files.</param>
    private TrainingRun(Recipe recipe, IRunObserver observer, ProcessGroup? processes, bool writes)
    {
        TrainingOptions options = recipe.Options;
        _recipe = recipe;
        _options = options.FastDevRun > 0 || Classifiers.IsFitted(options.Model)
            ? options with { Epochs = 1, WarmupEpochs = 0, EarlyStoppingPatience = 0 }
            : options;
        _processes = processes;
        _trace = options.Profile is not null && IsLead ? new TraceRecorder() : null;
        _device = processes is null
            ? DeviceChoice.Open(options.Device, options.Threads, options.MixedPrecision)
            : DeviceChoice.OpenShare(options.Device, options.Threads, options.MixedPrecision, processes);
        _setup = new LearnerSetup(_options, _device.Device, _device.IsCuda);
        _backbone = options.FeaturesDir is null ? BackboneChoice.Open(options) : null;
        _folder = IsLead && writes
            ? RunFolder.Open(options.CheckpointDir, options.Resume is not null, options.Overwrite)
            : RunFolder.Follow(options.CheckpointDir);
        _averages = new WeightAverages(_options);
        _observer = IsLead ? new LoggingObserver(observer, _folder) : new SilentObserver();
    }

    /// <summary>Whether this process writes and speaks.</summary>
    private bool IsLead => _processes is not { IsLead: false };

    private RunStart Start => new(_options, _setup, _folder, _averages, _observer);

    private string BackboneText => _backbone?.Description ?? "features from files";

    /// <summary>Runs to the end, or until <paramref name="stop"/>, which saves the state and returns.</summary>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static TrainingResult Execute(TrainingOptions options, IRunObserver observer, CancellationToken stop)
    {
        OptionValidation.Require(options);
        if (options.Distributed == DistributedMode.None)
        {
            return Execute(RecipeChoice.Make(options, observer, stop), observer, null, stop);
        }

        using ProcessGroup processes = ProcessGroup.Open();
        return processes.Run(() => Execute(Shared(options, processes, observer, stop), observer, processes, stop));
    }

    /// <summary>Sweeps the learning rate with the set-up of a run, which it leaves no files of.</summary>
    /// <param name="options">Those about checkpoints, epochs and the rate do not count.</param>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static LearningRateSweep Sweep(TrainingOptions options, SweepRange range, IRunObserver observer, CancellationToken stop)
    {
        OptionValidation.Require(options);
        Recipe recipe = RecipeChoice.Make(options with { Resume = null }, observer, stop, network: true);
        using var run = new TrainingRun(recipe, observer, null, writes: false);
        return run.Sweep(range, stop);
    }

    /// <summary>Rank 0 looks at the data for all.</summary>
    private static Recipe Shared(TrainingOptions options, ProcessGroup processes, IRunObserver observer, CancellationToken stop)
    {
        if (processes.IsLead)
        {
            Recipe recipe = RecipeChoice.Make(options, observer, stop);
            processes.Broadcast(JsonSerializer.Serialize(recipe.Options, RunJson.Default.TrainingOptions));
            return recipe;
        }

        // Folders may be others on other machines.
        return new Recipe(
            Recipe.Take(options, JsonSerializer.Deserialize(processes.Broadcast(null), RunJson.Default.TrainingOptions)!), []);
    }

    private static TrainingResult Execute(Recipe recipe, IRunObserver observer, ProcessGroup? processes, CancellationToken stop)
    {
        using var run = new TrainingRun(recipe, observer, processes, writes: recipe.Options.FastDevRun == 0);
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

    private TrainingResult Run(CancellationToken stop)
    {
        Header();
        using FeatureSplits splits = OpenFeatures(stop);
        FeatureSet train = splits.Train;
        using FeatureViews views = FeatureViews.Open(_options.FeaturesDir ?? _options.CacheDir, _options.Views, train);
        RequireSameData(splits, views);
        IFeatureRows trainRows = Limited(train, Math.Max(_options.OverfitBatches, _options.FastDevRun));
        IFeatureRows valRows = _options.OverfitBatches > 0 ? trainRows : Limited(splits.Validation, _options.FastDevRun);
        IFeatureRows[] viewRows = [.. views.Others.Select(set => Limited(set, Math.Max(_options.OverfitBatches, _options.FastDevRun)))];
        ModelInfo info = Describe(train);
        using ReplicaGroup replicas = NewReplicas(train, info);
        ParameterSet parameters = replicas.Lead.Parameters;
        _observer.Header(
        [
            new HeaderLine("model",
                $"{_options.Model}, {parameters.Values.Count:N0} parameters ({parameters.BufferValues.Count:N0} running statistics)"),
            new HeaderLine("loss", replicas.Lead.Model.IsFitted ? LinearTraining.LossText(_options) : LossText(info)),
            .. AugmentationOptions.Of(_options) is { IsActive: true } augmentation
                ? new[] { new HeaderLine("augmentation", augmentation.Text) }
                : [],
            new HeaderLine("steps", replicas.Lead.Model.IsFitted
                ? "none: a solver finds the weights at once"
                : $"{(trainRows.Count + _options.BatchSize - 1) / _options.BatchSize} an epoch, {_options.Epochs} epochs, batch " +
                    $"{_options.BatchSize}{(_setup.FuseStep ? ", each one CUDA graph" : string.Empty)}"),
            .. ReplicaLines(replicas),
        ]);
        foreach (string doubt in OptionValidation.Doubts(_options))
        {
            _observer.Message(Severity.Info, doubt);
        }

        (TrainingState state, FeatureScaler? scaler) = Start.Begin(replicas, splits, views, info);
        if (scaler is not null)
        {
            string components = scaler.Whitening is { } whitening ? $" and replaced by {whitening.Components} principal components" : "";
            _observer.Message(Severity.Info,
                $"features are standardised by the training clips{components}; saved models take raw features");
        }

        Familiarity? familiarity = _folder.Writes ? LinearTraining.Familiarity(trainRows, _options, stop) : null;
        ClipContents? clips = _folder.Writes ? ClipContents.Of(trainRows) : null;
        if (_folder.Writes)
        {
            ClipPictures pictures = ClipPictures.Open(_options.FeaturesDir
                ?? BackboneChoice.DirectoryOf(_options.CacheDir, FeatureStream.Motion));
            info = info with { Drift = DriftFit.Of(trainRows, _options.Stream, familiarity, pictures) };
        }

        _folder.Begin();
        _folder.WriteConfig(_options);
        using TensorBoardLog? board = TensorBoardLog.Open(_folder, _options, info, _observer);
        using (var loop = new TrainingLoop(_options, replicas, info, trainRows, valRows, _folder, _observer, state, scaler, board,
            _folder.Writes ? _averages : null, viewRows)
        { Familiarity = familiarity, Clips = clips })
        {
            if (_trace is not null && StepRange.TryParse(_options.Profile!, out StepRange range))
            {
                loop.Profile(_trace, range);
            }

            RunOutcome outcome = _clock.Time("train", () => loop.Run(stop));
            state = loop.State;
            _saving = loop.Saving;
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
        var evaluation = new RunEvaluation(_options, _folder, _observer, _averages, _processes, replicas, held);
        TrainingResult result = _clock.Time("evaluate", () => WithMetrics(Result(RunOutcome.Completed, state), evaluation) with
        {
            Averages = evaluation.Averages(trainRows, valRows, info, state, scaler, familiarity, clips, stop),
            Data = [.. splits.All.Select(SplitSummary.Of)],
        });
        if (!replicas.Lead.Model.IsFitted)
        {
            // The memory of the one makes room for the statistics of the other.
            replicas.Dispose();
            _device.Device.TrimMemory();
            result = result with { Yardstick = _clock.Time("evaluate", () => Yardstick(trainRows, held, stop)) };
        }

        UnwrittenResultException.Guard(result, () =>
        {
            _folder.WriteResults(JsonSerializer.Serialize(result, RunJson.Default.TrainingResult));
            board?.Complete();
        });
        WriteReport(stop);
        return result;
    }

    /// <summary>What the linear model comes to on the same clips; null on ranks that only helped.</summary>
    private YardstickResult? Yardstick(IFeatureRows train, (string Name, IFeatureRows Rows)[] held, CancellationToken stop)
    {
        if (!IsLead)
        {
            return null;
        }

        LinearModel fit = LinearTraining.Fit(train, _options, stop);
        Dictionary<string, ClassificationMetrics> metrics = held.ToDictionary(split => split.Name, split =>
        {
            int[] labels = split.Rows.Labels.ToArray();
            double[] answers = fit.Answer(split.Rows);
            ClassList classes = split.Rows.Classes;
            return ClassificationMetrics.Compute(classes, labels, answers, 0.5,
                LossInfo.PlainOf(classes.Count).Mean(labels, answers, classes));
        });
        return new YardstickResult(metrics["val"], metrics.GetValueOrDefault("test"));
    }

    private ProfileSummary? WriteProfile()
    {
        if (_trace is null)
        {
            return null;
        }

        if (!_trace.Sums.Any(sum => sum.Stage == StepProfile.Stage))
        {
            _observer.Message(Severity.Warning,
                $"{SettingName.Of(nameof(TrainingOptions.Profile))} {_options.Profile}: this run did none of these steps");
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
            RunReport.Write([_options.CheckpointDir], more: [], output: null, overwrite: true, stop);
        }
        catch (Exception exception)
        {
            _observer.Message(Severity.Warning,
                $"report.html was not written: {exception.Message}; try 'cudatrainer report {_options.CheckpointDir}'");
        }
    }

    private LearningRateSweep Sweep(SweepRange range, CancellationToken stop)
    {
        Header();
        using FeatureSplits splits = OpenFeatures(stop);
        ModelInfo info = Describe(splits.Train);
        using ReplicaGroup replicas = NewReplicas(splits.Train, info);
        using FeatureViews views = FeatureViews.Open(_options.FeaturesDir ?? _options.CacheDir, _options.Views, splits.Train);
        (_, FeatureScaler? scaler) = Start.Begin(replicas, splits, views, info);
        return LearningRateSweep.Run(replicas, new SplitRows(splits.Train), scaler, _options, range, _observer, stop);
    }

    private ReplicaGroup NewReplicas(FeatureSet train, ModelInfo info)
    {
        LearnerOptions learning = _setup.Learner(info.Loss!);
        return _processes is null
            ? new ReplicaGroup(_device.Devices, NewModel, learning)
            : new ReplicaGroup(_device.Device, NewModel(), learning, _processes.Connect(_device.Device));

        Classifier NewModel() => _setup.NewModel(train.Dimension, train.ClassList);
    }

    private IFeatureRows Limited(FeatureSet set, int batches) =>
        batches == 0
            ? new SplitRows(set)
            : SelectedRows.Draw(new SplitRows(set), (int)Math.Min(set.Count, (long)batches * _options.BatchSize), _options.Seed);

    /// <summary>Every process reads the features itself: they have to be the same, in the same order.</summary>
    private void RequireSameData(FeatureSplits splits, FeatureViews views)
    {
        if (_processes is null)
        {
            return;
        }

        string data = string.Join('\n', RunFingerprint.DataOf(splits, views).Select(part => $"{part.Name} {part.Identity}"))
            + $"\n{string.Join(" ", splits.Train.Key.Select(field => field.Value))} [{splits.Train.Frames}, {splits.Train.Dimension}]";
        if (_processes.FirstThatDiffers(SHA256.HashData(Encoding.UTF8.GetBytes(data))) is { } rank)
        {
            throw new RunException(
                $"Rank {rank} has other features than rank 0 in '{_options.FeaturesDir ?? _options.CacheDir}'.",
                    "Put features, or the cache, into a folder that all machines share.");
        }
    }

    private IEnumerable<HeaderLine> ReplicaLines(ReplicaGroup replicas)
    {
        if (replicas.Communication is { } communication)
        {
            string statistics = _options.SyncBatchNorm ? "over all replicas" : "of each replica's own clips";
            yield return new HeaderLine("replicas",
                $"{replicas.Size}, gradients {communication}, {(_options.AllreduceDtype == FeatureType.Float16 ? "fp16" : "fp32")}; " +
                    $"batch statistics {statistics}");
        }
    }

    private void ExtractFeatures(CancellationToken stop)
    {
        StartFiles.RequireFit(_options, _options.Stream.Dimension(_backbone!.Shape.Features), _recipe.Dataset?.Classes.Count);

        using CpuDevice? whole = _device.WholeCpu(_options.Threads);
        new FeaturePipeline(_options, whole is null ? _device.Devices : [whole], _backbone!, _observer, _clock, _processes, _trace)
            .Run(stop, _recipe.Dataset);
    }

    private void Header()
    {
        List<HeaderLine> lines =
        [
            .. _processes is null
                ? Array.Empty<HeaderLine>()
                : [new HeaderLine("processes", $"{_processes.Size}; this is {_processes.Description}")],
            new HeaderLine("device", _device.Text),
            new HeaderLine("precision", _setup.Precision),
            new HeaderLine("backbone", BackboneText),
            new HeaderLine("data",
                _options.FeaturesDir is { } features
                ? $"features in {features}"
                : $"videos in {_options.DatasetText}, cache in {_options.CacheDir}"),
            .. RecipeChoice.Lines(_recipe),
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
                _observer.Dataset([.. splits.All.Select(set => SplitRow.Of(set.Split.Name(), set.ClassList, set.Classes, 0, 0))]);
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
            Differences = _options.Differences,
            Inputs = train.Dimension,
            Frames = train.Frames,
            Backbone = key.GetValueOrDefault("backbone", "unknown"),
            BackboneDescription = BackboneText,
            Stream = _options.Stream,
            Preprocess = key.GetValueOrDefault("preprocessing", "unknown"),
            Dropout = _options.Dropout,
            Loss = _setup.Loss(train.Classes, train.ClassList),
            Classes = train.ClassList.Names,
            Threshold = train.ClassList.IsViolence ? 0.5 : double.NaN,
        };
    }

    private string LossText(ModelInfo info)
    {
        string loss = _options.UseFocalLoss
            ? $"focal (alpha {string.Join(", ", _options.FocalAlpha)}, gamma {_options.FocalGamma})"
            : "cross-entropy";
        string weights = _options.UseClassWeights
            ? $"class weights {string.Join(", ", info.Loss!.ClassWeights.Zip(info.Classes, (weight, name) => $"{weight:F3} {name}"))}"
            : "no class weights";
        return $"{loss}, label smoothing {_options.LabelSmoothing}, {weights}";
    }

    private static TrainingResult WithMetrics(TrainingResult result, RunEvaluation evaluation)
    {
        Dictionary<string, ClassificationMetrics> all = evaluation.Best();
        return result with
        {
            Val = all["val"],
            ValAtHalf = all.GetValueOrDefault("val_at_half"),
            Test = all.GetValueOrDefault("test"),
            TestAtHalf = all.GetValueOrDefault("test_at_half"),
            Datasets = evaluation.Datasets(all),
        };
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
        Options = _options,
        Recipe = _recipe.Reasons,
        Stages = _clock.Seconds,
        Device = _device.Description,
        Precision = _setup.Precision,
        Backbone = BackboneText,
        Environment = RunEnvironment.Current(),
        StallFraction = state is { History.Count: > 0 }
            ? state.History.Sum(epoch => epoch.StallSeconds) / state.History.Sum(epoch => epoch.Seconds)
            : 0,
        SavingSeconds = _saving.TotalSeconds,
    };
}
