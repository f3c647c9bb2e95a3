using System.Diagnostics;
using System.IO.Enumeration;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Studies;

/// <summary>How trainings are repeated.</summary>
public sealed record StudyOptions
{
    /// <summary>What each training runs on; its seed is that of the first repetition and of the folds.</summary>
    [Settings(Except = SettingRole.SingleRun)]
    public TrainingOptions Run { get; init; } = new();

    [Setting(SettingGroup.Data, "Parts of the clips, each judged once by models that have not seen it; clips of one source stay together",
        AtLeast = 2, AtMost = 100)]
    public int Folds { get; init; } = 5;

    [Setting(SettingGroup.Data, "A fold for each data set in place of {Folds}: models are trained on all others and judged on it")]
    public bool LeaveOneDatasetOut { get; init; }

    [Setting(SettingGroup.Data, "Clips that are learned from but not counted in the results, by a pattern of their paths, for instance " +
        "made ones: */quiet-*", Placeholder = "PATTERN", Kind = "pattern")]
    public string? Uncounted { get; init; }

    [Setting(SettingGroup.Data, "Repetitions with other initial weights, dropout and order, from {Seed} on, on the same folds",
        AtLeast = 1, AtMost = 100)]
    public int Seeds { get; init; } = 3;

    [Setting(SettingGroup.Data, "Share of each training part that chooses epoch, threshold and calibration", AtLeast = 0.05, AtMost = 0.5)]
    public double ValShare { get; init; } = 0.15;

    [Setting(SettingGroup.Model, "How {Stream} both becomes one answer: one model of features side by side, or a model of each stream " +
        "and the mean of their probabilities, with weights fitted where epoch and threshold are chosen")]
    public StreamFusion Fusion { get; init; }

    [Setting(SettingGroup.Precision, "Trainings at a time, each with an equal share of the threads; the first of a row runs alone, and " +
        "times are its",
        AtLeast = 1, AtMost = 64)]
    public int Jobs { get; init; } = 1;

    [Setting(SettingGroup.Output, "Results, and what is needed to go on after a stop", Placeholder = "DIR", Kind = "folder")]
    public string Output { get; init; } = "./study";

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [.. OptionValidation.OfSettings(this)];
        if (Fusion == StreamFusion.Late && (Run.Stream != FeatureStream.Both || Run.FeaturesDir is not null))
        {
            problems.Add(new(nameof(Fusion), $"late fusion is of two streams: it needs {SettingName.Of(nameof(Run.Stream))} both " +
                $"and {SettingName.Of(nameof(Run.DatasetPath))}"));
        }

        if (Run.Ema > 0 && Run.SwaStart > 0)
        {
            problems.Add(new(nameof(Run.SwaStart),
                $"a study is of one kind of model: give either {SettingName.Of(nameof(Run.Ema))} or " +
                    $"{SettingName.Of(nameof(Run.SwaStart))}"));
        }

        if (LeaveOneDatasetOut && Run.FeaturesDir is null && !Run.HasSeveralDatasets)
        {
            problems.Add(new(nameof(LeaveOneDatasetOut),
                $"needs two data sets or more: give {SettingName.Of(nameof(Run.DatasetPath))} for each of them"));
        }

        OptionValidation.CheckText(nameof(Output), Output, problems);
        problems.AddRange(OptionValidation.Validate(Run));
        return problems;
    }
}

/// <summary>How appearance and motion become one answer.</summary>
public enum StreamFusion
{
    /// <summary>One model of both, whose features stand side by side.</summary>
    Concatenation,

    /// <summary>A model of each; the mean of their probabilities with weights fitted on the validation part.</summary>
    Late,
}

/// <summary>All trainings of one set of options.</summary>
/// <param name="Answers">One for each repetition.</param>
internal sealed record StudyRow(IReadOnlyList<FoldRun> Runs, IReadOnlyList<Answers> Answers, StudyMetrics Metrics)
{
    /// <summary>Median over the trainings that had the machine to themselves.</summary>
    public double SecondsPerEpoch => Median(run => run.SecondsPerEpoch);

    /// <summary>Median over the trainings that had the machine to themselves.</summary>
    public double SecondsToBest => Median(run => run.SecondsToBest);

    public double StallFraction => Alone.Average(run => run.StallFraction);

    public long PeakBytes => Runs.Max(run => run.PeakBytes);

    private IEnumerable<FoldRun> Alone => Runs.Where(run => !run.Shared);

    private double Median(Func<FoldRun, double> value)
    {
        double[] sorted = [.. Alone.Select(value).Order()];
        return sorted[sorted.Length / 2];
    }
}

/// <summary>The clips and folds of a study, and the trainings on them.</summary>
internal sealed class Study : IDisposable
{
    /// <summary>
    /// Settings that decide no training: the data's identity says which clips are left and what they show, and thresholds are chosen
    /// afterwards.
    /// </summary>
    private static readonly string[] Undecisive =
    [
        nameof(FeatureOptions.OnCorrupt), nameof(FeatureOptions.MaxCorrupt), nameof(FeatureOptions.Classes), nameof(FeatureOptions.Labels),
        nameof(TrainingOptions.Threshold),
    ];

    private readonly StudyOptions _options;
    private readonly IRunObserver _observer;
    private readonly StudyLog _log;
    private readonly string _dataIdentity;
    private readonly IReadOnlyList<StudyStream> _streams;
    private int _done;
    private int _total;
    private long _began;

    /// <param name="network">Whether only a network will do.</param>
    /// <param name="fixedToo">Names of properties that do not follow the data.</param>
    public Study(StudyOptions options, IRunObserver observer, CancellationToken stop, bool network = false,
        params IReadOnlyList<string> fixedToo)
    {
        Recipe recipe = RecipeChoice.Make(options.Run, observer, stop, network, fixedToo);
        TrainingOptions run = recipe.Options;
        options = options with { Run = run };
        _options = options;
        _observer = observer;
        using (DeviceChoice device = DeviceChoice.Open(run.Device, run.Threads, run.MixedPrecision))
        {
            DeviceKind = device.Text;
            IsCuda = device.IsCuda;
            Devices = device.Devices.Count;
            if (run.FeaturesDir is null)
            {
                Extract(recipe, device, observer, stop);
            }
        }

        Clips = StudyClips.Open(run.FeaturesDir ?? BackboneChoice.DirectoryOf(run.CacheDir, run.Stream),
            foreign: run.FeaturesDir is not null, stop);
        Folds = options.LeaveOneDatasetOut
            ? FoldPlan.ByDataset(Clips.Labels, Clips.Groups, Clips.Datasets, options.ValShare, run.Seed)
            : FoldPlan.Make(Clips.Labels, Clips.Groups, options.Folds, options.ValShare, run.Seed);
        Counted = [.. Enumerable.Range(0, Clips.Count).Where(clip => options.Uncounted is null
            || !FileSystemName.MatchesSimpleExpression(options.Uncounted, Clips.NameOf(clip), ignoreCase: false))];
        if (options.Uncounted is not null && Counted.Select(clip => Clips.Labels[clip]).Distinct().Count() < Clips.Classes.Count)
        {
            throw new RunException($"'{options.Uncounted}' leaves a class without clips to count.",
                $"Give {SettingName.Of(nameof(StudyOptions.Uncounted))} a narrower pattern.");
        }

        Bootstrap = BootstrapOf(Counted);
        string division = options.LeaveOneDatasetOut ? "a data set out" : $"{options.Folds} folds";
        string plan = options.LeaveOneDatasetOut
            ? $"{Folds.Count} folds, each without one data set"
            : $"{options.Folds} source-disjoint folds";
        _dataIdentity = $"{Clips.Identity} {division}, val {options.ValShare:R}, seed {run.Seed}";
        _streams = options.Fusion == StreamFusion.Late ? [PartOf(FeatureStream.Rgb, stop), PartOf(FeatureStream.Motion, stop)] : [Whole()];
        _log = StudyLog.Open(options.Output);
        var counts = ClassCounts.Of(Clips.Labels.ToArray());
        observer.Header(
        [
            new HeaderLine("device", DeviceKind),
            .. RecipeChoice.Lines(recipe),
            new HeaderLine("data",
                $"{Clips.Count} clips ({Clips.Classes.Describe(counts)}) from " +
                    $"{Clips.Sources.Distinct(StringComparer.Ordinal).Count()} sources, " +
                    $"[{Clips.Frames}, {Clips.Dimension}] " +
                        $"each{(_streams.Any(stream => stream.Standardize) ? ", standardised by each training part" : "")}"),
            .. Counted.Length < Clips.Count
                ? [new HeaderLine(string.Empty, $"{Clips.Count - Counted.Length} of them learned from but not counted")]
                : Array.Empty<HeaderLine>(),
            .. Clips.Datasets.GroupBy(name => name, StringComparer.Ordinal).OrderBy(set => set.Key, StringComparer.Ordinal)
                .Select(set => new HeaderLine(string.Empty, $"{set.Count()} of them of the data set {set.Key}")),
            new HeaderLine("plan",
                $"{plan}, {options.Seeds} seeds from {run.Seed} on, {options.ValShare:P0} of each " +
                    $"training part to choose epoch, threshold and calibration"),
            .. _streams.Count > 1
                ? [new HeaderLine("fusion",
                    "late: a model of each stream, averaged with weights fitted where epoch and threshold are chosen")]
                : Array.Empty<HeaderLine>(),
            new HeaderLine("output", options.Output),
        ]);
        if (!Clips.KnowsSources)
        {
            observer.Message(Severity.Warning,
                "no two clips are known to come from one source: if some do, clips of one recording are trained on and judged on, " +
                    $"and results are too good. Name sources in sources.csv ({SettingName.Of(nameof(TrainingOptions.Groups))})");
        }
    }

    /// <summary>What each training runs on, with what was chosen for the data.</summary>
    public TrainingOptions Options => _options.Run;

    public StudyClips Clips { get; }

    public IReadOnlyList<Fold> Folds { get; }

    /// <summary>The clips that results are of.</summary>
    public int[] Counted { get; }

    /// <summary>Over <see cref="Counted"/>.</summary>
    public GroupBootstrap Bootstrap { get; }

    public string DeviceKind { get; }

    public bool IsCuda { get; }

    public int Devices { get; }

    /// <summary>Announces how many sets of options <see cref="Run"/> will be called with.</summary>
    public void Expect(int rows) => ExpectTrainings(rows * Folds.Count * _options.Seeds);

    /// <summary>As <see cref="Expect"/>, of single trainings.</summary>
    public void ExpectTrainings(int trainings)
    {
        _total = trainings;
        _done = 0;
        _began = Stopwatch.GetTimestamp();
    }

    /// <summary>Trains on every fold with every seed, unless an earlier run of the study has.</summary>
    public StudyRow Run(TrainingOptions options, string name, CancellationToken stop) => Row(Train(
        [
            .. Enumerable.Range(0, _options.Seeds)
                .SelectMany(seed => Folds.Select(fold => (options with { Seed = options.Seed + seed }, fold))),
        ],
        name, stop));

    /// <summary>Trains on some folds with some options, each with every seed.</summary>
    /// <returns>For each of them a training for each seed.</returns>
    public FoldRun[][] RunAll(IReadOnlyList<(TrainingOptions Options, Fold Fold)> trainings, string name, CancellationToken stop) =>
    [
        .. Train(
            [.. trainings.SelectMany(training => Enumerable.Range(0, _options.Seeds)
                .Select(seed => (training.Options with { Seed = training.Options.Seed + seed }, training.Fold)))],
            name, stop).Chunk(_options.Seeds),
    ];

    /// <summary>What trainings come to together, one for each fold and seed.</summary>
    public StudyRow Row(FoldRun[] runs)
    {
        Answers[] answers = [.. runs.GroupBy(run => run.Seed).Select(AnswersOf)];
        return new StudyRow(runs, answers, Bootstrap.Metrics(answers));
    }

    private FoldRun[] Train((TrainingOptions Options, Fold Fold)[] trainings, string name, CancellationToken stop)
    {
        var runs = new FoldRun[trainings.Length];
        int alone = _options.Jobs > 1 ? 1 : 0;
        if (alone > 0)
        {
            runs[0] = Train(trainings[0].Options, trainings[0].Fold, name, jobs: 1, stop);
        }

        var parallel = new ParallelOptions { MaxDegreeOfParallelism = _options.Jobs, CancellationToken = stop };
        try
        {
            System.Threading.Tasks.Parallel.For(alone, trainings.Length, parallel,
                i => runs[i] = Train(trainings[i].Options, trainings[i].Fold, name, _options.Jobs, stop));
        }
        catch (AggregateException exception)
        {
            // The first to fail is the cause; others are cancelled by it.
            throw exception.InnerExceptions.FirstOrDefault(inner => inner is not OperationCanceledException)
                ?? exception.InnerExceptions[0];
        }

        return runs;
    }

    /// <summary>
    /// The linear model on every fold, by which networks are measured; null where it is itself what the study is of.
    /// </summary>
    public StudyRow? Yardstick(CancellationToken stop) => Classifiers.IsFitted(Options.Model)
        ? null
        : Run(Options with { Model = Classifiers.Linear }, "linear model", stop);

    /// <summary>Fits the linear model to all clips and writes it.</summary>
    /// <param name="card">What it learned from and how good it is.</param>
    public void WriteModel(string path, string card, CancellationToken stop)
    {
        StudyStream stream = _streams[0];
        IFeatureRows clips = stream.Part([.. Enumerable.Range(0, Clips.Count)]);
        Dictionary<string, string> key = Clips.Key.ToDictionary(field => field.Key, field => field.Value);
        using var device = DeviceChoice.Open(Options.Device, Options.Threads, Options.MixedPrecision);
        var setup = new LearnerSetup(Options, device.Device, device.IsCuda);
        LossInfo loss = setup.Loss(ClassCounts.Of(clips.Labels.ToArray()), clips.Classes);
        using var replicas = new ReplicaGroup([device.Device], () => setup.NewModel(clips.Dimension, clips.Classes), setup.Learner(loss));
        LinearModel fit = LinearTraining.Fit(clips, Options, stop);
        LinearTraining.Write(fit, replicas);
        Familiarity? familiarity = LinearTraining.Familiarity(clips, Options, stop);
        double threshold = clips.Classes.IsViolence ? 0.5 : double.NaN;
        ClipPictures pictures = ClipPictures.Open(Options.FeaturesDir
            ?? BackboneChoice.DirectoryOf(Options.CacheDir, FeatureStream.Motion));
        var info = new ModelInfo
        {
            Model = Options.Model,
            Inputs = clips.Dimension,
            Frames = clips.Frames,
            Backbone = key.GetValueOrDefault("backbone", "unknown"),
            BackboneDescription = key.GetValueOrDefault("backbone", "features from files"),
            Stream = Options.Stream,
            Preprocess = key.GetValueOrDefault("preprocessing", "unknown"),
            Threshold = threshold,
            Classes = clips.Classes.Names,
            Epoch = 1,
            Loss = loss,
            Card = card,
            Drift = DriftFit.Of(clips, Options.Stream, familiarity, pictures).With(fit.HeldOut, clips.Classes, threshold),
        };
        Checkpoint.SaveModel(path, replicas.Lead, info, null, null, familiarity, ClipContents.Of(clips));
    }

    /// <summary>What each data set comes to by itself, by name; null where there is one alone.</summary>
    public IReadOnlyDictionary<string, StudyMetrics>? MetricsByDataset(StudyRow row)
    {
        if (Clips.Datasets.Count == 0)
        {
            return null;
        }

        return new OrderedDictionary<string, StudyMetrics>(
            from clip in Counted
            group clip by Clips.Datasets[clip] into clips
            orderby clips.Key
            select KeyValuePair.Create(clips.Key, Of([.. clips])));

        StudyMetrics Of(int[] clips)
        {
            int[] places = [.. clips.Select(clip => Array.BinarySearch(Counted, clip))];
            return BootstrapOf(clips).Metrics([.. row.Answers.Select(answers => answers.To(places, Clips.Classes.Scores))]);
        }
    }

    /// <summary>From which p(violent) on a training's answers count as violent.</summary>
    public double ThresholdOf(FoldRun run) => _options.Run.Threshold == ThresholdRule.Half ? 0.5 : run.Threshold;

    /// <summary>Each clip's answer as the mean over the seeds: an ensemble of as many models as there are seeds.</summary>
    public StudyMetrics MetricsOfMean(IReadOnlyList<FoldRun> runs)
    {
        if (!Clips.Classes.IsViolence)
        {
            double[] mean = new double[Clips.Count * Clips.Classes.Scores];
            foreach (FoldRun run in runs)
            {
                Place(run, (score, place) => mean[place] += score / _options.Seeds);
            }

            return Bootstrap.Metrics([OfCounted(new Answers(mean, []))]);
        }

        double[] calibrated = new double[Clips.Count], margin = new double[Clips.Count];
        foreach (FoldRun run in runs)
        {
            int[] clips = Folds[run.Fold].Test;
            for (int i = 0; i < clips.Length; i++)
            {
                calibrated[clips[i]] += run.Calibrated[i] / _options.Seeds;
                margin[clips[i]] += run.Scores[i] - ThresholdOf(run);
            }
        }

        return Bootstrap.Metrics([OfCounted(new Answers(calibrated, [.. margin.Select(value => value >= 0)]))]);
    }

    public void Dispose()
    {
        _log.Dispose();
        foreach (StudyStream stream in _streams.Where(stream => stream.Clips != Clips))
        {
            stream.Clips.Dispose();
        }

        Clips.Dispose();
    }

    private StudyStream Whole() =>
        new(_options.Run.Stream, Clips, [.. Enumerable.Range(0, Clips.Count)], IsStandardized(_options.Run, Clips));

    /// <summary>One stream of both from its own cache.</summary>
    private StudyStream PartOf(FeatureStream stream, CancellationToken stop)
    {
        StudyClips clips = StudyClips.Open(BackboneChoice.DirectoryOf(_options.Run.CacheDir, stream), foreign: false, stop);
        Dictionary<string, int> rows = Enumerable.Range(0, clips.Count).ToDictionary(clips.NameOf, StringComparer.Ordinal);
        return new StudyStream(stream, clips, [.. Enumerable.Range(0, Clips.Count).Select(clip => rows[Clips.NameOf(clip)])],
            IsStandardized(_options.Run with { Stream = stream }, clips));
    }

    private static bool IsStandardized(TrainingOptions run, StudyClips clips) =>
        run.StandardizeFeatures
            ?? FeatureScaler.IsUsual(run, clips.Key.FirstOrDefault(entry => entry.Key == "backbone").Value ?? "unknown");

    private static void Extract(Recipe recipe, DeviceChoice device, IRunObserver observer, CancellationToken stop)
    {
        TrainingOptions run = recipe.Options;
        using BackboneChoice backbone = BackboneChoice.Open(run);

        using CpuDevice? whole = device.WholeCpu(run.Threads);
        new FeaturePipeline(run, whole is null ? device.Devices : [whole], backbone, observer, new StageClock()).Run(stop, recipe.Dataset);
    }

    private FoldRun Train(TrainingOptions options, Fold fold, string name, int jobs, CancellationToken stop)
    {
        string key = KeyOf(options, fold);
        if (_log.Find(key) is not { } run || double.IsNaN(run.ValidationAuc))
        {
            int threads = options.Threads > 0 ? options.Threads : Environment.ProcessorCount;
            using DeviceChoice device = DeviceChoice.Open(options.Device, Math.Max(1, threads / jobs), options.MixedPrecision);
            run = FoldTraining.Run(options, device, _streams, fold, stop) with { Shared = jobs > 1 };
            _log.Add(key, run);
        }

        int done = Interlocked.Increment(ref _done);
        double seconds = Stopwatch.GetElapsedTime(_began).TotalSeconds;
        lock (_log)
        {
            _observer.Progress(new StageProgress(name, done, _total, "trainings", done / seconds, "trainings/s",
                TimeSpan.FromSeconds(seconds / done * (_total - done))));
        }

        return run;
    }

    /// <summary>Of what decides the result of a training.</summary>
    private string KeyOf(TrainingOptions options, Fold fold)
    {
        bool fitted = Classifiers.IsFitted(options.Model);
        string deciding = string.Join(' ', Setting.Of(typeof(TrainingOptions))
            .Where(setting => !setting.Role.HasFlag(SettingRole.Place) && !Undecisive.Contains(setting.Property.Name)
                && !(fitted && setting.Role.HasFlag(SettingRole.OfSteps)))
            .Select(setting => $"{setting.Name} {setting.TextIn(options)}"));
        string streams = string.Join(' ', _streams.Select(stream => $"{stream.Standardize}"));
        string text = $"{ThisAssembly.Version} {_dataIdentity} {fold.Number} {streams} {IsCuda} {deciding}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];
    }

    /// <summary>Where each number of a training's answers belongs among those for all clips.</summary>
    private void Place(FoldRun run, Action<double, int> place)
    {
        int width = Clips.Classes.Scores;
        for (int i = 0; i < run.Scores.Length; i++)
        {
            place(run.Calibrated[i], (Folds[run.Fold].Test[i / width] * width) + (i % width));
        }
    }

    private Answers AnswersOf(IEnumerable<FoldRun> runs)
    {
        if (!Clips.Classes.IsViolence)
        {
            double[] answers = new double[Clips.Count * Clips.Classes.Scores];
            foreach (FoldRun run in runs)
            {
                Place(run, (score, at) => answers[at] = score);
            }

            return OfCounted(new Answers(answers, []));
        }

        double[] scores = new double[Clips.Count];
        bool[] violent = new bool[Clips.Count];
        foreach (FoldRun run in runs)
        {
            int[] clips = Folds[run.Fold].Test;
            for (int i = 0; i < clips.Length; i++)
            {
                scores[clips[i]] = run.Calibrated[i];
                violent[clips[i]] = run.Scores[i] >= ThresholdOf(run);
            }
        }

        return OfCounted(new Answers(scores, violent));
    }

    private Answers OfCounted(Answers all) => Counted.Length == Clips.Count ? all : all.To(Counted, Clips.Classes.Scores);

    private GroupBootstrap BootstrapOf(int[] clips) =>
        new([.. clips.Select(clip => Clips.Labels[clip])], [.. clips.Select(clip => Clips.Groups[clip])], Clips.Classes);
}
