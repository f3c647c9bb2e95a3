using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats;

namespace CudaTrainer.Training.Options;

/// <param name="Setting">Name of the property, for example <c>BatchSize</c>.</param>
/// <param name="Message">What was found and what is expected.</param>
public sealed record OptionProblem(string Setting, string Message)
{
    public override string ToString() => $"{SettingName.Of(Setting)}: {Message}";
}

/// <summary>
/// The values that options accept: those that their <see cref="SettingAttribute"/>s say, and what goes together. Everything wrong is found
/// at once, before any work starts; what depends on files or on the machine is checked by the run itself.
/// </summary>
internal static class OptionValidation
{
    /// <summary>What will run, but hardly as it was meant; for people.</summary>
    public static IEnumerable<string> Doubts(TrainingOptions options)
    {
        if (options.Whiten > 0 && options.Stream == FeatureStream.Motion)
        {
            yield return $"{Name(nameof(options.Whiten))} {options.Whiten} changes nothing: features of motion have numbers of their own";
        }

        if (options.WarmupEpochs >= options.Epochs)
        {
            double reached = options.LearningRate * options.Epochs / options.WarmupEpochs;
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"{Name(nameof(options.WarmupEpochs))} {options.WarmupEpochs} with {Name(nameof(options.Epochs))} {options.Epochs}: the " +
                    $"learning rate still rises when training ends, at {reached:0.##e+0} of {options.LearningRate:0.##e+0}; give fewer " +
                    $"epochs of warm-up, or more in all");
        }
    }

    /// <summary>The values that the settings declared by the record itself, or its base, do not accept.</summary>
    /// <param name="named">Settings with a list of names, or all others.</param>
    public static IEnumerable<OptionProblem> OfSettings(object options, bool named = false) =>
        from setting in Setting.Of(options.GetType())
        where setting.Names is not null == named
        let message = setting.Problem(options)
        where message is not null
        select new OptionProblem(setting.Property.Name, message);

    public static IReadOnlyList<OptionProblem> Validate(VideoOptions options)
    {
        List<OptionProblem> problems = [.. OfSettings(options)];
        CheckDevice(options.Device, problems);
        CheckBackbone(options, problems);
        return problems;
    }

    public static IReadOnlyList<OptionProblem> Validate(FeatureOptions options)
    {
        List<OptionProblem> problems = [.. Validate((VideoOptions)options)];
        CheckSplit(options.Split, problems);
        problems.AddRange(OfClasses(options.Classes));
        CheckText(nameof(options.CacheDir), options.CacheDir, problems);
        if (options.Views > 1 && options.Stream != FeatureStream.Rgb)
        {
            problems.Add(new(nameof(options.Views), $"are of pictures; they need {Name(nameof(options.Stream))} rgb"));
        }

        string? backbone = options.Weights is not null ? nameof(options.Weights)
            : options.Backbone is not null ? nameof(options.Backbone)
            : null;
        if (options.Stream == FeatureStream.Motion && backbone is not null)
        {
            string stream = Name(nameof(options.Stream));
            problems.Add(new(backbone, $"no backbone is used with {stream} motion; leave it out, or use {stream} both"));
        }

        if (DatasetFolders.Problem(options.Datasets) is { } folders)
        {
            problems.Add(new(nameof(options.DatasetPath), folders));
        }

        (string, string?)[] tables = [(nameof(options.Groups), options.Groups), (nameof(options.Labels), options.Labels)];
        foreach ((string name, string? table) in tables)
        {
            if (table is not null && options.HasSeveralDatasets)
            {
                problems.Add(new(name, $"is a table of one data set, but {options.Datasets.Count} are given. {DatasetScanner.ForEach}"));
            }
        }

        if (options.DatasetPath is null && options is not TrainingOptions)
        {
            problems.Add(new(nameof(options.DatasetPath), "is required: a folder of videos"));
        }

        return problems;
    }

    public static IReadOnlyList<OptionProblem> Validate(TrainingOptions options)
    {
        List<OptionProblem> problems = [.. Validate((FeatureOptions)options)];
        string videos = Name(nameof(options.DatasetPath)), features = Name(nameof(options.FeaturesDir));
        if (options.DatasetPath is null == options.FeaturesDir is null)
        {
            problems.Add(new(nameof(options.DatasetPath),
                options.DatasetPath is null
                    ? $"nothing to train on: give {videos} DIR (videos) or {features} DIR (features)"
                    : $"give either {videos} or {features}, not both"));
        }

        Setting alpha = Setting.Of(typeof(TrainingOptions)).Single(setting => setting.Property.Name == nameof(options.FocalAlpha));
        int classes = ClassesIn(options.Classes, out _)?.Classes.Count ?? ClassList.Violence.Count;
        if ((options.FocalAlpha.Count != 1 && options.FocalAlpha.Count != classes) || !options.FocalAlpha.All(alpha.Accepts)
            || options.FocalAlpha.All(value => value == 0))
        {
            problems.Add(new(nameof(options.FocalAlpha),
                $"{List(options.FocalAlpha)} is not valid; expected one number, or " +
                    $"{(classes == 2 ? "two (nonviolent,violent)" : $"{classes}, one for each class")}, each {alpha.Range}, not all 0"));
        }

        if (options.Profile is { } profile && !StepRange.TryParse(profile, out _))
        {
            problems.Add(new(nameof(options.Profile),
                $"\"{profile}\" is not valid; expected {StepRange.Form}, two step numbers from 0 on, the first not above the last, or " +
                    $"one"));
        }

        if (options.Whiten > 0 && options.StandardizeFeatures == false)
        {
            problems.Add(new(nameof(options.Whiten),
                $"needs features that are standardised; leave out {Name(nameof(options.StandardizeFeatures))} false"));
        }

        if (options.Differences && Classifiers.Names.Contains(options.Model) && Classifiers.IsFitted(options.Model))
        {
            problems.Add(new(nameof(options.Differences),
                $"is not for {Name(nameof(options.Model))} {options.Model}, which looks at differences between frames itself"));
        }

        if (options.MinLearningRate > options.LearningRate)
        {
            problems.Add(new(nameof(options.MinLearningRate), string.Create(CultureInfo.InvariantCulture,
                $"{options.MinLearningRate} is above {Name(nameof(options.LearningRate))} {options.LearningRate}")));
        }

        CheckText(nameof(options.CheckpointDir), options.CheckpointDir, problems);
        if (options.Resume is not null && options.Overwrite)
        {
            problems.Add(new(nameof(options.Resume), $"contradicts {Name(nameof(options.Overwrite))}; give one of them"));
        }

        if (options.AcceptChangedData && options.Resume is null)
        {
            problems.Add(new(nameof(options.AcceptChangedData), $"needs {Name(nameof(options.Resume))}"));
        }

        if (options.Resume is not null && options.InitialWeights is not null)
        {
            problems.Add(new(nameof(options.Resume),
                $"contradicts {Name(nameof(options.InitialWeights))}: a checkpoint already holds the weights"));
        }

        if (options.FastDevRun > 0 && options.Resume is not null)
        {
            problems.Add(new(nameof(options.FastDevRun),
                $"contradicts {Name(nameof(options.Resume))}: it neither reads nor writes checkpoints"));
        }

        if (options.DryRun && options.Distributed != DistributedMode.None)
        {
            problems.Add(new(nameof(options.DryRun), $"contradicts {Name(nameof(options.Distributed))}; one process makes the plan"));
        }

        problems.AddRange(OfSettings(options, named: true));
        return problems;
    }

    /// <exception cref="RunException">Something is wrong with the options.</exception>
    internal static void Require(TrainingOptions options)
    {
        IReadOnlyList<OptionProblem> problems = Validate(options);
        if (problems.Count > 0)
        {
            throw new RunException(string.Join(Environment.NewLine, problems));
        }
    }

    internal static void CheckModel(string checkpoint, List<OptionProblem> problems)
    {
        if (checkpoint.Length == 0)
        {
            problems.Add(new("Checkpoint", "is required: the trained model"));
        }
    }

    /// <param name="isNeeded">Whether there must be one.</param>
    internal static void CheckSource(FeatureOptions videos, string? featuresDir, List<OptionProblem> problems, bool isNeeded = true)
    {
        problems.AddRange(Validate(videos)
            .Where(problem => problem.Setting != nameof(videos.DatasetPath) || (featuresDir is null && isNeeded)));
        if (featuresDir is not null && videos.DatasetPath is not null)
        {
            problems.Add(new(nameof(videos.DatasetPath), $"give either {Name(nameof(videos.DatasetPath))} or " +
                $"{Name(nameof(TrainingOptions.FeaturesDir))}, not both"));
        }
    }

    /// <summary>What is wrong with a list of classes and their folders.</summary>
    public static IEnumerable<OptionProblem> OfClasses(string? text)
    {
        ClassesIn(text, out string? fault);
        return fault is null ? [] : [new(nameof(FeatureOptions.Classes), fault)];
    }

    /// <summary>What the text asks for; null for no text, and for one with a fault.</summary>
    internal static ClassMerge? ClassesIn(string? text, out string? fault)
    {
        fault = null;
        try
        {
            return text is null ? null : ClassMerge.Parse(text);
        }
        catch (FormatException exception)
        {
            fault = exception.Message;
            return null;
        }
    }

    private static void CheckSplit(IReadOnlyList<double> split, List<OptionProblem> problems)
    {
        bool valid = split.Count == 3 && split.All(share => share is >= 0 and <= 1) && split[0] > 0 && split[1] > 0
            && Math.Abs(split.Sum() - 1) < 1e-6;
        if (!valid)
        {
            problems.Add(new(nameof(FeatureOptions.Split),
                $"{List(split)} is not valid; expected the shares of train, val and test, which sum to 1 (train and val above 0)"));
        }
    }

    internal static void CheckBackbone(VideoOptions options, List<OptionProblem> problems)
    {
        CheckText(nameof(options.Backbone), options.Backbone ?? VideoOptions.Vgg19Name, problems);
        if (options.Weights is not null && options.Backbone is not (null or VideoOptions.Vgg19Name))
        {
            problems.Add(new(nameof(options.Weights),
                $"is of {VideoOptions.Vgg19Name}; {Name(nameof(options.Backbone))} {options.Backbone} has its own"));
        }

        if (options.Backbone is null or VideoOptions.Vgg19Name && (options.BackboneLayer ?? options.BackboneInput) is not null)
        {
            problems.Add(new(options.BackboneLayer is null ? nameof(options.BackboneInput) : nameof(options.BackboneLayer),
                $"needs {Name(nameof(options.Backbone))} FILE.onnx"));
        }

        try
        {
            FrameInput.Default.With(options.BackboneInput ?? string.Empty);
        }
        catch (FormatException exception)
        {
            problems.Add(new(nameof(options.BackboneInput), exception.Message));
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
            problems.Add(new(nameof(VideoOptions.Device), $"\"{device}\" is not a device; expected {VideoOptions.DeviceForms}"));
        }
    }

    internal static void CheckText(string setting, string value, List<OptionProblem> problems)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            problems.Add(new(setting, "must not be empty"));
        }
    }

    private static string Name(string setting) => SettingName.Of(setting);

    private static string List(IReadOnlyList<double> values) => values.Count == 0
        ? "an empty list"
        : string.Join(',', values.Select(value => value.ToString(CultureInfo.InvariantCulture)));
}
