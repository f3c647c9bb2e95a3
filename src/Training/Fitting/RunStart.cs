using CudaTrainer.Data.Cache;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>Where a run starts from.</summary>
internal sealed class RunStart(TrainingOptions options, LearnerSetup setup, RunFolder folder, WeightAverages averages,
    IRunObserver observer)
{
    /// <summary>Fresh weights, weights from a file, or the state of an earlier run.</summary>
    public (TrainingState State, FeatureScaler? Scaler) Begin(ReplicaGroup replicas, FeatureSplits splits,
        FeatureViews views, ModelInfo info)
    {
        FeatureSet train = splits.Train;
        replicas.Initialize((uint)options.Seed);
        bool standardize = !replicas.Lead.Model.IsFitted && (options.StandardizeFeatures
            ?? ((options.Whiten > 0 || options.InitialWeights is null) && FeatureScaler.IsUsual(options, info.Backbone)));
        IReadOnlyDictionary<string, string> fingerprint = RunFingerprint.Of(options, setup.MixedPrecision, splits, views,
            standardize);
        string? resume = options.Resume == "auto" ? (File.Exists(folder.LastCheckpoint) ? folder.LastCheckpoint : null) : options.Resume;
        if (resume is not null)
        {
            return ResumeFrom(resume, replicas, fingerprint);
        }

        if (options.Resume is not null)
        {
            observer.Message(Severity.Info, "nothing to resume; a new run begins");
        }

        if (options.InitialWeights is { } file)
        {
            using Checkpoint checkpoint = Checkpoint.Open(BundledModel.Resolve(file));
            checkpoint.LoadModel(replicas);
            observer.Message(Severity.Info, $"classifier weights from {file}");
        }

        FeatureScaler? scaler = standardize ? FeatureScaler.Fit(new SplitRows(train), options.Stream, options.Whiten) : null;
        return (new TrainingState { Fingerprint = fingerprint }.With(replicas.Lead.State.Read()), scaler);
    }

    private (TrainingState State, FeatureScaler? Scaler) ResumeFrom(string path, ReplicaGroup replicas,
        IReadOnlyDictionary<string, string> fingerprint)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path);
        TrainingState state = checkpoint.RequireState();
        RequireSameRun(path, state.Fingerprint, fingerprint);

        checkpoint.LoadModel(replicas);
        foreach (Learner learner in replicas.Replicas)
        {
            checkpoint.LoadOptimizer(learner);
        }

        if (folder.Writes)
        {
            checkpoint.LoadAverages(averages, replicas.Lead.Parameters);
        }

        state = WithBestModel(path, state);
        string place = state.StepInEpoch > 0 ? $"epoch {state.Epoch + 1}, step {state.StepInEpoch}" : $"the end of epoch {state.Epoch}";
        observer.Message(Severity.Info, $"resumed from {path} at {place}");

        // A longer run may go on after an early stop of a shorter patience; whether it stops again is decided by the options of now.
        bool stopped = options.EarlyStoppingPatience > 0 && state.EpochsWithoutImprovement >= options.EarlyStoppingPatience;
        if (stopped || state.Epoch >= options.Epochs)
        {
            string patience = stopped ? $" and a larger {SettingName.Of(nameof(TrainingOptions.EarlyStoppingPatience))}" : string.Empty;
            observer.Message(Severity.Info,
                $"the run has finished {state.Epoch} epochs; pass {SettingName.Of(nameof(TrainingOptions.Epochs))} N{patience} to extend " +
                    "it");
        }

        if (folder.Writes && !stopped && state.Epoch < options.Epochs)
        {
            folder.ForgetResults();
        }

        return (state with { StoppedEarly = stopped, Fingerprint = fingerprint }, checkpoint.ReadScaler());
    }

    private void RequireSameRun(string path, IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> now)
    {
        // Checkpoints of earlier versions say less of their data.
        ILookup<bool, string> changed = now.Keys.Union(before.Keys)
            .Where(name => before.GetValueOrDefault(name) != now.GetValueOrDefault(name)
                && (before.ContainsKey(name) || !RunFingerprint.IsOfData(name)))
            .ToLookup(RunFingerprint.IsOfData, name =>
                $"{name} was {before.GetValueOrDefault(name, "not recorded")}, is {now.GetValueOrDefault(name, "not given")}");
        string accept = SettingName.Of(nameof(TrainingOptions.AcceptChangedData));
        if (changed[false].Any() || (changed[true].Any() && !options.AcceptChangedData))
        {
            throw new RunException(
                $"'{path}' belongs to another run: {string.Join("; ", changed[false].Concat(changed[true]))}.",
                changed[false].Any()
                    ? "Resume with the same options and data (epochs, patience, threads, workers, logging may change), or start anew " +
                        $"with {SettingName.Of(nameof(TrainingOptions.InitialWeights))}."
                    : $"Restore the data, start anew with {SettingName.Of(nameof(TrainingOptions.InitialWeights))}, or go on all the " +
                        $"same with {accept}.");
        }

        if (changed[true].Any())
        {
            observer.Message(Severity.Warning, $"the run goes on with other data ({accept}): {string.Join("; ", changed[true])}");
        }
    }

    /// <summary>
    /// A run that goes on in another folder takes its best model along; where that is gone, the best of the epochs to come counts.
    /// </summary>
    private TrainingState WithBestModel(string checkpoint, TrainingState state)
    {
        if (state.BestEpoch == 0 || File.Exists(folder.BestModel))
        {
            return state;
        }

        string beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(checkpoint))!, Path.GetFileName(folder.BestModel));
        if (File.Exists(beside))
        {
            if (!folder.Writes)
            {
                return state;
            }

            AtomicFile.WriteAllBytes(folder.BestModel, File.ReadAllBytes(beside));
            string keras = Path.Combine(Path.GetDirectoryName(beside)!, Path.GetFileName(folder.BestKerasModel));
            if (File.Exists(keras))
            {
                AtomicFile.WriteAllBytes(folder.BestKerasModel, File.ReadAllBytes(keras));
            }

            return state;
        }

        if (state.Epoch >= options.Epochs || state.StoppedEarly)
        {
            throw new RunException(
                $"'{checkpoint}' is of a finished run whose best model '{beside}' is gone.",
                    $"Train on with a larger {SettingName.Of(nameof(TrainingOptions.Epochs))}, or use the checkpoint itself with " +
                        "predict and evaluate.");
        }

        observer.Message(Severity.Warning, $"'{beside}' is gone: the best of the epochs from now on counts");
        return state with { BestValue = double.NaN, BestEpoch = 0, EpochsWithoutImprovement = 0 };
    }
}
