using System.Text;
using System.Text.Json;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Fuzzer.Readers;

/// <summary>Any file that <c>inspect</c> takes, with every number read.</summary>
internal sealed class InspectTarget() : FuzzTarget("inspect")
{
    public override IReadOnlyList<byte[]> Words { get; } = [.. new SafetensorsTarget().Words, .. new NpyTarget().Words,
        .. new PickleTarget().Words];

    public override IEnumerable<byte[]> Seeds() =>
        [.. Archives.SafetensorsSeeds(), .. new NpyTarget().Seeds(), .. PyTorchTarget.Good(), .. new CheckpointTarget().Files()];

    public override byte[] Mend(byte[] input) => new SafetensorsTarget().Mend(input);

    public override void Read(byte[] input, string folder) => _ = FileInspection.Inspect(FileOf(input, folder), statistics: true,
        CancellationToken.None);
}

/// <summary>
/// Models and checkpoints, and the state of a training in them: as files, and as a bundle of what a file says of itself and a list of its
/// tensors, since hardly any change of a file leaves it one.
/// </summary>
internal sealed class CheckpointTarget() : FuzzTarget("checkpoint")
{
    private const string Model = "frame-mlp";
    private const int Inputs = 2;

    private readonly CpuDevice _device = new(threads: 1);
    private Learner? _learner;

    private const string TensorList = "tensors";
    private const int MostElements = 1 << 16;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("\\\"model\\\":", "\\\"inputs\\\":", "null", "\\\"linear\\\"",
        "\\\"loss\\\":",
        "\\\"class_weights\\\":[", "\\\"classes\\\":", "\\\"stream\\\":", "\\\"dropout\\\":", "\\\"differences\\\":true,",
            "\\\"history\\\":[", "\\\"fingerprint\\\":{",
        "\\\"NaN\\\"", "\\\"Infinity\\\"", "\"input.mean\":", "\"input.whitening\":", "\"familiarity.offsets\":", "\"average.ema\":",
            "\\\\ud800",
        "\"shape\":[", "\"data_offsets\":[", "\"inputs\":", "\"model\":\"linear\",", "\"model\":\"attention-mil\",",
            "\"differences\":true,", "\"dropout\":", "\"loss\":null,",
        "\"class_weights\":[", "\"history\":[", "\"average\":", "\"NaN\"", "\ninput.mean 2\n", "\ninput.scale 2\n",
            "\ninput.whitening 2,2\n",
        "\ninput.whitening_features 2,1\n", "\nfamiliarity.offsets 1\n", "\nfamiliarity.components 1,2\n", "\nfamiliarity.limit 1\n",
        "\noptimizer.first_moments 1\n", "\ndense_1.weight 64,2\n");

    private static ModelInfo Info => new()
    {
        Model = Model,
        Inputs = Inputs,
        Frames = 3,
        Backbone = "b",
        BackboneDescription = "a backbone",
        Preprocess = "torch",
        Dropout = 0.5,
        Loss = LossInfo.Plain,
    };

    private Learner Known => _learner ??= NewLearner(_device, Model);

    public override IEnumerable<byte[]> Seeds()
    {
        byte[][] files = Files();
        return [.. files, .. files.Select(Unpacked)];
    }

    /// <summary>What training writes.</summary>
    public byte[][] Files()
    {
        using Learner linear = NewLearner(_device, Classifiers.Linear);
        return
        [
            Written(path => Checkpoint.SaveModel(path, Known, Info, null, null, new Familiarity([1, 0, 0, 1], [0, 0], 2))),
            Written(path => Checkpoint.SaveFull(path, Known, Info, State,
                FeatureScaler.From([1, 2], [1, 1], Whitening.From(0, [1, 0, 0, 1], 2)))),
            Written(path => Checkpoint.SaveModel(path, linear, Info with { Model = Classifiers.Linear, Loss = null }, null)),
        ];
    }

    public override byte[] Mend(byte[] input) => new SafetensorsTarget().Mend(input);

    public override void Read(byte[] input, string folder)
    {
        string path = FileOf(input.AsSpan().StartsWith("\n=== "u8) ? Packed(input) : input, folder);
        using (Checkpoint checkpoint = Checkpoint.Open(path))
        {
            if (checkpoint.State is not null)
            {
                checkpoint.LoadOptimizer(Known);
            }
        }

        using TrainedClassifier classifier = TrainedClassifier.Load(_device, path);
        _ = classifier.Info.Classes.Count + classifier.Info.Backbone.Length + classifier.Info.Preprocess.Length;
    }

    public override bool IsDocumented(Exception exception) => exception is FileFormatException or RunException;

    /// <summary>What a file says of itself, and a line <c>NAME LENGTH,LENGTH…</c> for each tensor.</summary>
    private static byte[] Unpacked(byte[] file)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, file);
            using var archive = Safetensors.Open(path);
            return Bundle.Of([
                .. archive.Metadata.Select(pair => (pair.Key, Encoding.UTF8.GetBytes(pair.Value))),
                (TensorList, Encoding.UTF8.GetBytes(string.Concat(archive.Entries.Select(
                    entry => $"{entry.Key} {string.Join(',', entry.Value.Shape)}\n"))))]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static byte[] Packed(byte[] bundle)
    {
        var metadata = new Dictionary<string, string>();
        var tensors = new Dictionary<string, NamedTensor>();
        foreach ((string name, byte[] content) in Bundle.Files(bundle))
        {
            if (name != TensorList)
            {
                metadata[name] = Encoding.UTF8.GetString(content);
                continue;
            }

            foreach (string[] words in Encoding.Latin1.GetString(content).Split('\n').Select(line => line.Split(' '))
                .Where(words => words.Length == 2))
            {
                long[] shape = [.. words[1].Split(',').Select(text => long.TryParse(text, out long length) ? length : -1)];
                if (ElementTypes.TryCountBytes(shape, ElementType.F32, out long elements, out _) && elements <= MostElements)
                {
                    tensors[words[0]] = NamedTensor.Of<float>(words[0], new float[elements], shape);
                }
            }
        }

        return Archives.Safetensors(metadata, tensors.Values);
    }

    private static TrainingState State => new()
    {
        Epoch = 1,
        StepInEpoch = 2,
        Fingerprint = new Dictionary<string, string> { ["--seed"] = "42" },
        History =
        [
            new EpochRecord
            {
                Epoch = 1, Epochs = 2, Seconds = 1, StallSeconds = 0, LearningRate = 0.1, Loss = 1, Accuracy = 0.5, ValLoss = 1,
                    ValAccuracy = 0.5,
                ValBalancedAccuracy = 0.5, ValAuc = double.NaN, ValPrecision = 0, ValRecall = 0, ValF1 = 0, GradientNorm = 1, LossScale = 1,
                SkippedSteps = 0, IsBest = true,
            },
        ],
    };

    private static Learner NewLearner(CpuDevice device, string model)
    {
        var learner = new Learner(device, Classifiers.Create(model, new ClassifierOptions(Inputs)),
            new LearnerOptions(LossInfo.Plain, new AdamOptions { ClipMode = ClipMode.Off }, MixedPrecision: false, Seed: 0));
        learner.Parameters.Initialize(1);
        return learner;
    }

    private static byte[] Written(Action<string> write)
    {
        string path = Path.Combine(Path.GetTempPath(), $"cudatrainer-fuzz-{Environment.ProcessId}.safetensors");
        try
        {
            write(path);
            return File.ReadAllBytes(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}

/// <summary>The folder of a run, as <c>report</c> reads it.</summary>
internal sealed class RunTarget() : FuzzTarget("run")
{
    private static readonly string[] Names = ["training_config.json", "training_results.json", "training_history.csv",
        "predictions_val.csv"];

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. Names.Select(name => Encoding.ASCII.GetBytes($"\n=== {name}\n")),
        .. WordsOf("null", "\"val\":", "\"averages\":[", "\"stages\":{", "\"data\":[", "\"split\":[", "\"focal_alpha\":[", "\"NaN\"",
            "\\ud800", ",",
            "violent", "nonviolent", "\"", "epoch", "1e400"),
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        byte[] config = JsonSerializer.SerializeToUtf8Bytes(new TrainingOptions { DatasetPath = "clips" }, RunJson.Default.TrainingOptions);
        byte[] history = "epoch,seconds,loss,accuracy\n1,0.5,0.7,0.5\n2,0.5,NaN,1\n"u8.ToArray();
        byte[] predictions = """
            path,label,p_violent,loss,attention_1
            "a,b.mp4",violent,0.75,0.2,1
            c.mp4,nonviolent,1E-05,0,1

            """u8.ToArray();
        yield return Bundle.Of((Names[0], config));
        yield return Bundle.Of((Names[0], config), (Names[1], Results()), (Names[2], history), (Names[3], predictions));
    }

    public override void Read(byte[] input, string folder)
    {
        Bundle.Unpack(input, folder, Names.Contains);
        RunRecord run = RunRecord.Load(folder);
        _ = run.Options.CacheDir.Length + run.Options.Split.Count + (run.Result?.Averages.Count ?? 0) + (run.Result?.Stages.Count ?? 0);
    }

    public override bool IsDocumented(Exception exception) => exception is FileFormatException or RunException;

    internal static ClassificationMetrics Metrics => new()
    {
        Count = 2,
        Loss = 1,
        Accuracy = 0.5,
        MajorityBaseline = 0.5,
        BalancedAccuracy = 0.5,
        Auc = 0.5,
        PrAuc = 0.5,
        Precision = 0.5,
        Recall = 0.5,
        F1 = 0.5,
        Class0Accuracy = 0.5,
        Class1Accuracy = double.NaN,
        ConfusionMatrix = [[1, 0], [0, 1]],
        Threshold = 0.5,
    };

    private static byte[] Results() => JsonSerializer.SerializeToUtf8Bytes(
        new TrainingResult
        {
            Outcome = RunOutcome.Completed,
            Monitor = "val_loss",
            CheckpointDir = "run",
            Stages = new Dictionary<string, double> { ["train"] = 1 },
            Device = "cpu",
            Precision = "fp32",
            Backbone = "b",
            Val = Metrics,
            ValAtHalf = Metrics,
            Averages = [new AverageResult("ema", "d", "ema_model.safetensors", 3, Metrics, null, Metrics, null)],
        },
        RunJson.Default.TrainingResult);
}

/// <summary>The same folder down to the page that <c>report</c> makes of it.</summary>
internal sealed class ReportTarget() : FuzzTarget("report")
{
    private readonly RunTarget _run = new();

    public override IReadOnlyList<byte[]> Words => _run.Words;

    public override IEnumerable<byte[]> Seeds() => _run.Seeds();

    public override void Read(byte[] input, string folder)
    {
        _run.Read(input, folder);
        _ = StudyReport.Write([folder], Path.Combine(folder, "page.html"), overwrite: true, CancellationToken.None);
    }

    public override bool IsDocumented(Exception exception) => _run.IsDocumented(exception);
}

internal sealed class EnsembleTarget() : FuzzTarget("ensemble")
{
    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("null", "\"members\":[", "\"strategy\":", "\"Vote\"", "\"threshold\":", "\"strategies\":{", "\"val\":", "\"NaN\"",
            "\\ud800", "{", "}", "[", "]");

    public override IEnumerable<byte[]> Seeds() =>
    [
        JsonSerializer.SerializeToUtf8Bytes(
            new Ensemble
            {
                Members = [new EnsembleMember("a.safetensors", new string('0', 64), 0.5, 0.5, "linear", 1, RunTarget.Metrics)],
                Strategy = EnsembleStrategy.Weighted, Threshold = 0.5, Val = RunTarget.Metrics,
                Strategies = new Dictionary<string, ClassificationMetrics> { ["mean"] = RunTarget.Metrics },
            },
            RunJson.Default.Ensemble),
    ];

    public override void Read(byte[] input, string folder)
    {
        Ensemble ensemble = Ensemble.Read(FileOf(input, folder));
        _ = ensemble.Members.Sum(member => member.File.Length + member.Sha256.Length);
        _ = ensemble.Combine([.. ensemble.Members.Select(_ => new[] { 0.5 })]);
    }

    public override bool IsDocumented(Exception exception) => exception is RunException;
}

/// <summary>The log of a study, of which every damaged line counts as not there, and its results.</summary>
internal sealed class StudyTarget() : FuzzTarget("study")
{
    private const int MostBytes = 1024;

    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("\n", "null", "\"key\":", "\"run\":", "\"scores\":[", "\"calibration\":{", "\"NaN\"", "\\ud800", "{", "}");

    public override IEnumerable<byte[]> Seeds()
    {
        var run = new FoldRun
        {
            Seed = 1,
            Fold = 0,
            Scores = [0.5],
            Calibrated = [0.5],
            Threshold = 0.5,
            Calibration = new PlattScaling(1, 0),
            Epochs = 2,
            BestEpoch = 1,
            SecondsPerEpoch = 1,
            SecondsToBest = 1,
            StallFraction = 0,
            PeakBytes = 10,
        };
        string line = JsonSerializer.Serialize(new StudyLine("key", run), StudyLineJson.Default.StudyLine);
        yield return Encoding.UTF8.GetBytes($"{line}\n{line.Replace("key", "other", StringComparison.Ordinal)}\n");
    }

    /// <summary>A line costs as much as an input of another reader, so only a few are read.</summary>
    public override void Read(byte[] input, string folder)
    {
        FileOf(input[..Math.Min(input.Length, MostBytes)], folder, "runs.jsonl");
        using StudyLog log = StudyLog.Open(folder);
        _ = log.Find("key")?.Scores.Length;
    }

    public override bool IsDocumented(Exception exception) => false;
}
