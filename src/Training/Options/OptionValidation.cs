using System.Globalization;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Training;

/// <param name="Option">As typed on the command line, for example <c>--batch-size</c>.</param>
/// <param name="Message">What was found and what is expected.</param>
public sealed record OptionProblem(string Option, string Message)
{
    public override string ToString() => $"{Option}: {Message}";
}

/// <summary>
/// The values that options accept. Everything wrong is found at once, before any work starts; what depends on files or on the machine is
/// checked by the run itself.
/// </summary>
public static class OptionValidation
{
    private static readonly NumberRule<FeatureOptions>[] FeatureNumbers =
    [
        new("--frames", OptionRange.Between(1, 4096), options => options.Frames),
        new("--views", OptionRange.Between(1, ClipView.All.Count), options => options.Views),
        new("--threads", OptionRange.Between(0, 1024), options => options.Threads),
        new("--workers", OptionRange.Between(0, 1024), options => options.Workers),
        new("--seed", OptionRange.AtLeast(0), options => options.Seed),
        new("--max-corrupt", OptionRange.Between(0, 1), options => options.MaxCorrupt),
        new("--decode-timeout", OptionRange.Above(0), options => options.DecodeTimeout),
    ];

    private static readonly NumberRule<TrainingOptions>[] TrainingNumbers =
    [
        new("--epochs", OptionRange.AtLeast(1), options => options.Epochs),
        new("--batch-size", OptionRange.AtLeast(1), options => options.BatchSize),
        new("--learning-rate", OptionRange.AboveAndAtMost(0, 10), options => options.LearningRate),
        new("--min-learning-rate", OptionRange.Between(0, 10), options => options.MinLearningRate),
        new("--warmup-epochs", OptionRange.AtLeast(0), options => options.WarmupEpochs),
        new("--label-smoothing", OptionRange.AtLeastAndBelow(0, 1), options => options.LabelSmoothing),
        new("--ema", OptionRange.AtLeastAndBelow(0, 1), options => options.Ema),
        new("--swa-start", OptionRange.AtLeast(0), options => options.SwaStart),
        new("--focal-gamma", OptionRange.Between(0, 20), options => options.FocalGamma),
        new("--gradient-clip-norm", OptionRange.Above(0), options => options.GradientClipNorm),
        new("--dropout", OptionRange.AtLeastAndBelow(0, 1), options => options.Dropout),
        new("--temporal-jitter", OptionRange.Between(0, 4096), options => options.TemporalJitter),
        new("--frame-drop", OptionRange.AtLeastAndBelow(0, 1), options => options.FrameDrop),
        new("--feature-noise", OptionRange.Between(0, 10), options => options.FeatureNoise),
        new("--mixup", OptionRange.Between(0, 10), options => options.Mixup),
        new("--early-stopping-patience", OptionRange.AtLeast(0), options => options.EarlyStoppingPatience),
        new("--checkpoint-every", OptionRange.AtLeast(0), options => options.CheckpointEvery),
        new("--keep-checkpoints", OptionRange.AtLeast(1), options => options.KeepCheckpoints),
        new("--check-replicas", OptionRange.AtLeast(0), options => options.CheckReplicas),
        new("--fast-dev-run", OptionRange.AtLeast(0), options => options.FastDevRun),
        new("--overfit-batches", OptionRange.AtLeast(0), options => options.OverfitBatches),
        new("--log-every-steps", OptionRange.AtLeast(0), options => options.LogEverySteps),
        new("--tensorboard-histograms", OptionRange.AtLeast(0), options => options.TensorboardHistograms),
    ];

    private static readonly OptionRange FocalAlpha = OptionRange.Between(0, 1);

    /// <summary>Names of the classifiers that can be trained.</summary>
    public static IReadOnlyList<string> Models { get; } = [.. Classifiers.Names];

    /// <summary>Quantities that can decide the best checkpoint.</summary>
    public static IReadOnlyList<string> Monitors { get; } = [.. Monitor.Names];

    /// <summary>How a device may be written.</summary>
    public const string DeviceForms = "auto, cpu, cpu:N, reference, cuda or cuda:0,1";

    /// <summary>The range of a numeric option, or null for options without one.</summary>
    public static OptionRange? RangeOf(string option)
    {
        foreach (var rule in FeatureNumbers)
        {
            if (rule.Option == option)
            {
                return rule.Range;
            }
        }

        foreach (var rule in TrainingNumbers)
        {
            if (rule.Option == option)
            {
                return rule.Range;
            }
        }

        return option == "--focal-alpha" ? FocalAlpha : null;
    }

    /// <summary>What will run, but hardly as it was meant; for people.</summary>
    public static IEnumerable<string> Doubts(TrainingOptions options)
    {
        if (options.WarmupEpochs >= options.Epochs)
        {
            double reached = options.LearningRate * options.Epochs / options.WarmupEpochs;
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"--warmup-epochs {options.WarmupEpochs} with --epochs {options.Epochs}: the learning rate still rises when training " +
                    $"ends, at {reached:0.##e+0} of {options.LearningRate:0.##e+0}; give fewer epochs of warm-up, or more in all");
        }
    }

    public static IReadOnlyList<OptionProblem> Validate(FeatureOptions options)
    {
        List<OptionProblem> problems = [];
        CheckNumbers(FeatureNumbers, options, problems);
        CheckSplit(options.Split, problems);
        CheckDevice(options.Device, problems);
        CheckText("--cache-dir", options.CacheDir, problems);
        CheckEnum("--preprocess", options.Preprocess, problems);
        CheckEnum("--feature-dtype", options.FeatureDtype, problems);
        CheckEnum("--distributed", options.Distributed, problems);
        CheckEnum("--on-corrupt", options.OnCorrupt, problems);
        if (options.Views > 1 && options.Stream != FeatureStream.Rgb)
        {
            problems.Add(new("--views", "are of pictures; they need --stream rgb"));
        }

        CheckEnum("--stream", options.Stream, problems);
        if (options.Stream == FeatureStream.Motion && options.Weights is not null)
        {
            problems.Add(new("--weights", "no backbone is used with --stream motion; leave it out, or use --stream both"));
        }

        if (options.DatasetPath is null && options is not TrainingOptions)
        {
            problems.Add(new("--dataset-path", "is required: a folder of videos"));
        }

        return problems;
    }

    public static IReadOnlyList<OptionProblem> Validate(TrainingOptions options)
    {
        List<OptionProblem> problems = [.. Validate((FeatureOptions)options)];
        CheckNumbers(TrainingNumbers, options, problems);
        CheckEnum("--allreduce-dtype", options.AllreduceDtype, problems);
        if (options.DatasetPath is null == options.FeaturesDir is null)
        {
            problems.Add(new(
                "--dataset-path",
                options.DatasetPath is null
                    ? "nothing to train on: give --dataset-path DIR (videos) or --features-dir DIR (features)"
                    : "give either --dataset-path or --features-dir, not both"));
        }

        if (options.FocalAlpha.Count is < 1 or > 2 || !options.FocalAlpha.All(FocalAlpha.Contains) || options.FocalAlpha.All(
            alpha => alpha == 0))
        {
            problems.Add(new("--focal-alpha",
                $"{List(options.FocalAlpha)} is not valid; expected one number, or two (nonviolent,violent), each {FocalAlpha}, not " +
                    $"all 0"));
        }

        if (options.Profile is { } profile && !StepRange.TryParse(profile, out _))
        {
            problems.Add(new("--profile",
                $"\"{profile}\" is not valid; expected {StepRange.Form}, two step numbers from 0 on, the first not above the last, or " +
                    $"one"));
        }

        if (options.MinLearningRate > options.LearningRate)
        {
            problems.Add(new("--min-learning-rate",
                $"{Number(options.MinLearningRate)} is above --learning-rate {Number(options.LearningRate)}"));
        }

        CheckEnum("--clip-mode", options.ClipMode, problems);
        CheckChoice("--model", options.Model, Models, problems);
        CheckChoice("--monitor", options.Monitor, Monitors, problems);
        CheckText("--checkpoint-dir", options.CheckpointDir, problems);
        if (options.Resume is not null && options.Overwrite)
        {
            problems.Add(new("--resume", "contradicts --overwrite; give one of them"));
        }

        if (options.Resume is not null && options.InitialWeights is not null)
        {
            problems.Add(new("--resume", "contradicts --initial-weights: a checkpoint already holds the weights"));
        }

        if (options.FastDevRun > 0 && options.Resume is not null)
        {
            problems.Add(new("--fast-dev-run", "contradicts --resume: it neither reads nor writes checkpoints"));
        }

        if (options.DryRun && options.Distributed != DistributedMode.None)
        {
            problems.Add(new("--dry-run", "contradicts --distributed; one process makes the plan"));
        }

        return problems;
    }

    /// <exception cref="RunException">Something is wrong with the options.</exception>
    internal static void Require(TrainingOptions options)
    {
        IReadOnlyList<OptionProblem> problems = Validate(options);
        if (problems.Count > 0)
        {
            throw new RunException(string.Join(Environment.NewLine, problems.Select(problem => $"{problem.Option}: {problem.Message}")));
        }
    }

    private static void CheckNumbers<TOptions>(NumberRule<TOptions>[] rules, TOptions options, List<OptionProblem> problems)
    {
        foreach (var rule in rules)
        {
            double value = rule.Value(options);
            if (!rule.Range.Contains(value))
            {
                problems.Add(new(rule.Option, $"{Number(value)} is out of range; expected {rule.Range}"));
            }
        }
    }

    private static void CheckSplit(IReadOnlyList<double> split, List<OptionProblem> problems)
    {
        var share = OptionRange.Between(0, 1);
        bool valid = split.Count == 3 && split.All(share.Contains) && split[0] > 0 && split[1] > 0 && Math.Abs(split.Sum() - 1) < 1e-6;
        if (!valid)
        {
            problems.Add(new("--split",
                $"{List(split)} is not valid; expected the shares of train, val and test, which sum to 1 (train and val above 0)"));
        }
    }

    private static void CheckDevice(string device, List<OptionProblem> problems)
    {
        string kind = device, list = "0";
        if (device.IndexOf(':') is >= 0 and int colon)
        {
            (kind, list) = (device[..colon], device[(colon + 1)..]);
        }

        bool hasList = kind.Length < device.Length;
        int[] numbers = [.. list.Split(',')
            .Select(item => int.TryParse(item, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1)];
        bool valid = kind switch
        {
            "auto" or "reference" => !hasList,
            "cpu" => !hasList || (numbers.Length == 1 && numbers[0] is >= 1 and <= 64),
            "cuda" => numbers.All(number => number >= 0) && numbers.Distinct().Count() == numbers.Length,
            _ => false,
        };
        if (!valid)
        {
            problems.Add(new("--device", $"\"{device}\" is not a device; expected {DeviceForms}"));
        }
    }

    private static void CheckEnum<TEnum>(string option, TEnum value, List<OptionProblem> problems)
        where TEnum : struct, Enum
    {
        if (!Enum.IsDefined(value))
        {
            problems.Add(new(option, $"{value} is not one of {string.Join(", ", Enum.GetNames<TEnum>())}"));
        }
    }

    private static void CheckChoice(string option, string value, IReadOnlyList<string> choices, List<OptionProblem> problems)
    {
        if (!choices.Contains(value))
        {
            problems.Add(new(option, $"\"{value}\" is unknown; expected one of {string.Join(", ", choices)}"));
        }
    }

    private static void CheckText(string option, string value, List<OptionProblem> problems)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            problems.Add(new(option, "must not be empty"));
        }
    }

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static string List(IReadOnlyList<double> values) => values.Count == 0
        ? "an empty list"
        : string.Join(',', values.Select(Number));

    private readonly record struct NumberRule<TOptions>(string Option, OptionRange Range, Func<TOptions, double> Value);
}
