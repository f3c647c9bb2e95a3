using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

/// <summary>
/// What answers for a clip: a classifier, or the members of an ensemble, which all take the same features: those of both streams where one
/// takes the one and another the other.
/// </summary>
internal sealed class ClassifierGroup : IDisposable
{
    private readonly Ensemble? _ensemble;
    private readonly string[] _files;

    private ClassifierGroup(IReadOnlyList<TrainedClassifier> members, string[] files, Ensemble? ensemble)
    {
        _ensemble = ensemble;
        _files = files;
        Members = members;
        ModelInfo first = members[0].Info;

        // Members learned from the same clips, but what they answered to others says nothing of their mean.
        Info = ensemble is null ? first
            : first with { Threshold = ensemble.Threshold, Drift = first.Drift is { } drift ? drift with { Classes = [] } : null };
    }

    public IReadOnlyList<TrainedClassifier> Members { get; }

    /// <summary>What tells clips that are unlike those it learned from; null if unknown, and for an ensemble.</summary>
    private Familiarity? Familiarity => _ensemble is null && Members.Count == 1 ? Members[0].Familiarity : null;

    /// <summary>Of the first member, with the threshold of the whole.</summary>
    public ModelInfo Info { get; }

    /// <summary>For a person.</summary>
    public string Text => _ensemble is null
        ? $"{Info.Model} of epoch {Info.Epoch}{(Info.Average is { } average ? $", {average}" : string.Empty)}"
        : $"ensemble of {Members.Count} ({_ensemble.Strategy.ToString().ToLowerInvariant()}: " +
            $"{string.Join(", ", Members.Select(member => $"{member.Info.Model} of epoch {member.Info.Epoch}"))})";

    public bool HasAttention => Members.Any(member => member.Learner.Model.HasAttention);

    /// <summary>Opens a model file, a checkpoint, the best model of a run's folder, or an ensemble.</summary>
    /// <exception cref="RunException">A file is missing, changed or of another kind; the message names it.</exception>
    public static ClassifierGroup Open(IDevice device, string path)
    {
        if (!Ensemble.IsAt(path))
        {
            string file = RunFolder.ModelAt(path);
            return new ClassifierGroup([TrainedClassifier.Load(device, file)], [file], null);
        }

        Ensemble ensemble = Ensemble.Read(path);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        string[] files = [.. ensemble.Members.Select(member => Path.GetFullPath(member.File, folder))];
        foreach ((EnsembleMember member, string file) in ensemble.Members.Zip(files))
        {
            if (Ensemble.HashOf(file) != member.Sha256)
            {
                throw new RunException($"The member '{file}' is not the file that the ensemble '{path}' was made of.",
                    "Make the ensemble anew, or bring the file back.");
            }
        }

        return Open(device, files, ensemble);
    }

    /// <summary>Opens models that are to answer together.</summary>
    /// <exception cref="RunException">A file is missing, or takes other features than the rest; the message names it.</exception>
    public static ClassifierGroup Open(IDevice device, string[] files, Ensemble? ensemble = null)
    {
        List<TrainedClassifier> members = [];
        try
        {
            foreach (string file in files)
            {
                members.Add(TrainedClassifier.Load(device, file));
            }

            ModelInfo all = StreamUnion.Of([.. members.Select(member => member.Info)], files);
            for (int m = 0; m < members.Count; m++)
            {
                TrainedClassifier member = members[m];
                if (member.Info.Inputs != all.Inputs)
                {
                    members[m] = member.Widen(device, StreamUnion.Widened(member.Info, all), StreamUnion.FirstOf(member.Info, all));
                    member.Dispose();
                }
            }

            return new ClassifierGroup(members, files, ensemble);
        }
        catch
        {
            members.ForEach(member => member.Dispose());
            throw;
        }
    }

    /// <summary>Each member's answers on a split.</summary>
    public Evaluation[] EvaluateMembers(IFeatureRows rows, int batchSize, CancellationToken stop)
    {
        var evaluations = new Evaluation[Members.Count];
        for (int m = 0; m < evaluations.Length; m++)
        {
            stop.ThrowIfCancellationRequested();
            using ReplicaGroup replicas = ReplicaGroup.Of(Members[m].Learner);
            using var evaluator = new Evaluator(replicas, rows, batchSize);
            evaluations[m] = evaluator.Run();
        }

        return evaluations;
    }

    /// <summary>
    /// The answers on a split. The loss of an ensemble is the mean negative log likelihood, since its members may have been trained with
    /// different ones.
    /// </summary>
    public Evaluation Evaluate(IFeatureRows rows, int batchSize, CancellationToken stop)
    {
        Evaluation[] members = EvaluateMembers(rows, batchSize, stop);
        if (_ensemble is null)
        {
            return members[0];
        }

        return Evaluated(members[0].Labels, _ensemble.Combine([.. members.Select(member => member.Scores)], Info.ClassList));
    }

    /// <summary>The answers for the same clips in several views: the mean of the probabilities.</summary>
    /// <param name="views">One or more.</param>
    public Evaluation Evaluate(IReadOnlyList<IFeatureRows> views, int batchSize, CancellationToken stop)
    {
        Evaluation[] evaluations = [.. views.Select(rows => Evaluate(rows, batchSize, stop))];
        return Evaluated(evaluations[0].Labels,
            [.. Enumerable.Range(0, evaluations[0].Scores.Length).Select(clip => evaluations.Average(view => view.Scores[clip]))]);
    }

    /// <summary>The answer for one clip. The attention of an ensemble is the mean over the members that have it.</summary>
    public ClipAnswer Answer(HostBatch clip)
    {
        double[][] scores = new double[Members.Count][];
        List<float[]> attention = [];
        ClassList classes = Info.ClassList;
        Span<float> score = new float[classes.Scores];
        Span<float> loss = stackalloc float[1];
        for (int m = 0; m < scores.Length; m++)
        {
            float[] weights = Members[m].Learner.Model.HasAttention ? new float[Info.Frames] : [];
            Members[m].Learner.Evaluate(clip, loss, score, weights);
            scores[m] = Doubles(score);
            if (weights.Length > 0)
            {
                attention.Add(weights);
            }
        }

        double[] answer = _ensemble is null ? scores[0] : _ensemble.Combine(scores, classes);
        return new ClipAnswer(
            classes.IsViolence ? answer[0] : double.NaN,
            attention.Count == 0
                ? null
                : [.. Enumerable.Range(0, Info.Frames).Select(frame => attention.Average(weights => (double)weights[frame]))],
            Distance(clip.Features.AsSpan<float>(0, Info.Frames * Info.Inputs)))
        {
            Probabilities = classes.IsViolence ? null : answer,
        };
    }

    private static double[] Doubles(ReadOnlySpan<float> scores)
    {
        double[] doubles = new double[scores.Length];
        for (int i = 0; i < doubles.Length; i++)
        {
            doubles[i] = scores[i];
        }

        return doubles;
    }

    /// <summary>How many of the clips are unfamiliar, as a share; null if the model does not say.</summary>
    public unsafe double? UnfamiliarShare(IFeatureRows rows)
    {
        if (Familiarity is null)
        {
            return null;
        }

        int unfamiliar = 0;
        float[] features = new float[rows.Frames * rows.Dimension];
        for (int i = 0; i < rows.Count; i++)
        {
            for (int d = 0; d < features.Length; d++)
            {
                features[d] = rows.IsHalf ? (float)((Half*)rows.Row(i))[d] : ((float*)rows.Row(i))[d];
            }

            unfamiliar += Distance(features) > 1 ? 1 : 0;
        }

        return (double)unfamiliar / rows.Count;
    }

    /// <summary>How many clips of a split some member learned from, and a warning where that makes a measure worthless.</summary>
    public int SeenOf(FeatureSet set, IRunObserver observer)
    {
        int[] seen = [.. Members.Select(member => member.Clips?.CountOf(new SplitRows(set)) ?? 0)];
        for (int m = 0; m < seen.Length; m++)
        {
            if (seen[m] > 0 && set.Split != DatasetSplit.Train)
            {
                observer.Message(Severity.Warning,
                    $"{seen[m]} of the {set.Count} clips of {set.Split.Name()} are clips that '{_files[m]}' was trained on, whatever " +
                        "they are called: the figures are too good. Measure on clips that it has not seen");
            }
        }

        return seen.Max();
    }

    private double? Distance(ReadOnlySpan<float> features) => Familiarity?.DistanceOf(features) / Familiarity?.Limit;

    /// <summary>Answers for one clip with dropout on. The masks of a pass are the same for every clip.</summary>
    /// <param name="passes">How many.</param>
    public DropoutUncertainty AnswerWithDropout(HostBatch clip, int passes, int seed)
    {
        ClassList classes = Info.ClassList;
        double[][] answers = new double[passes][], scores = new double[Members.Count][];
        Span<float> score = new float[classes.Scores];
        Span<float> loss = stackalloc float[1];
        for (int pass = 0; pass < passes; pass++)
        {
            for (int m = 0; m < scores.Length; m++)
            {
                Members[m].Learner.EvaluateWithDropout(clip, DropoutUncertainty.KeyOf(seed, pass), loss, score);
                scores[m] = Doubles(score);
            }

            answers[pass] = _ensemble is null ? scores[0] : _ensemble.Combine(scores, classes);
        }

        return classes.IsViolence
            ? DropoutUncertainty.Of([.. answers.Select(answer => answer[0])])
            : DropoutUncertainty.OfClasses(answers, classes);
    }

    /// <summary>By what a clip is called: the model's own threshold, or those that somebody asks for.</summary>
    /// <exception cref="RunException">They do not fit the model's classes.</exception>
    public DecisionRule RuleOf(WindowOptions options)
    {
        ClassList classes = Info.ClassList;
        string setting = SettingName.Of(nameof(WindowOptions.Threshold));
        if (options.Threshold is not { } asked)
        {
            return !classes.IsViolence && options.Release is not null
                ? throw new RunException(
                    $"{SettingName.Of(nameof(WindowOptions.Release))} is where a class with a threshold ends, and none of {classes} has one.",
                    $"Give {setting} as well, a number or CLASS=P for the classes that are to be events.")
                : new DecisionRule(Info.Threshold);
        }

        if (classes.IsViolence)
        {
            return asked.Single is { } single ? new DecisionRule(single) : throw new RunException(
                $"{setting} {asked} is of single classes, and the model in '{_files[0]}' answers with one number, p(violent).",
                $"Give one number, the p(violent) from which a clip is called violent: {setting} 0.5.");
        }

        double[] least = [.. classes.Names.Select(_ => asked.Single ?? double.NaN)];
        foreach ((string name, double threshold) in asked.OfClasses)
        {
            least[classes.TryParse(name, out int label) ? label : throw Unknown(name)] = threshold;
        }

        return new DecisionRule(double.NaN) { OfClasses = least };

        RunException Unknown(string name) => new(
            $"{setting} names '{name}', and the model in '{_files[0]}' tells {classes} apart.", "Give classes by these names.");
    }

    /// <summary>For the count of false alarms, which is of violence alone.</summary>
    /// <exception cref="RunException">The model tells other classes apart.</exception>
    public void RequireAlarms()
    {
        if (!Info.ClassList.IsViolence)
        {
            string setting = SettingName.Of(nameof(EvaluationOptions.NonviolentVideos));
            throw new RunException(
                $"{setting} counts false alarms of violence, and the model in '{_files[0]}' tells {Info.ClassList} apart.",
                $"Leave {setting} out: for such classes precision and recall of labelled clips say what is called wrongly, and predict " +
                    $"with {SettingName.Of(nameof(WindowOptions.Window))} and {SettingName.Of(nameof(WindowOptions.Threshold))} lists the " +
                    "events of footage. Or use a model of violent and nonviolent clips " +
                    $"({SettingName.Of(nameof(FeatureOptions.Classes))} makes one of other folders).");
        }
    }

    /// <exception cref="RunException">A member was trained without dropout, or does not say with how much.</exception>
    public void RequireDropout()
    {
        foreach ((TrainedClassifier member, string file) in Members.Zip(_files))
        {
            if (member.Info.Dropout is not > 0)
            {
                throw new RunException(
                    member.Info.Dropout is null
                        ? $"'{file}' does not say with how much dropout it was trained."
                        : $"'{file}' was trained without dropout: every pass would give the same answer.",
                    $"Leave {SettingName.Of(nameof(PredictionOptions.McDropout))} out, or train with this version and " +
                        $"{SettingName.Of(nameof(TrainingOptions.Dropout))} above 0.");
            }
        }
    }

    /// <exception cref="RunException">It sees no picture, of which there could be views.</exception>
    public void RequireViews()
    {
        if (Info.Stream == FeatureStream.Motion)
        {
            throw new RunException("The model looks at motion alone, which is the same in every view of a picture.",
                $"Leave {SettingName.Of(nameof(PredictionOptions.Tta))} out.");
        }
    }

    /// <param name="mayLackClasses">Whether the features may be of some of the classes only.</param>
    /// <exception cref="RunException">A member was trained on features of another kind than these.</exception>
    public void RequireFits(FeatureSet set, bool mayLackClasses = false)
    {
        foreach ((TrainedClassifier member, string file) in Members.Zip(_files))
        {
            member.RequireFits(set, file, mayLackClasses);
        }
    }

    public void Dispose()
    {
        foreach (TrainedClassifier member in Members)
        {
            member.Dispose();
        }
    }

    private Evaluation Evaluated(int[] labels, double[] scores)
    {
        ClassList classes = Info.ClassList;
        double loss = _ensemble is null
            ? (Info.Loss ?? LossInfo.PlainOf(classes.Count)).Mean(labels, scores, classes)
            : EnsembleWeights.NegativeLogLikelihood(labels, scores, classes);
        return new Evaluation(labels, scores, loss, [], []) { Classes = classes };
    }
}
