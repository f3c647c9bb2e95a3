using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Training.Options;

/// <summary>What a run learns from, as far as its recipe depends on it.</summary>
/// <param name="Clips">To train on.</param>
/// <param name="Sources">That they were cut from; as many as clips where that is not known.</param>
/// <param name="Stream">What the features are of, where they are there already; null for videos.</param>
internal sealed record DataFacts(ClassCounts Clips, int Sources, FeatureStream? Stream)
{
    /// <summary>What the initial weights are of; null without any, or where their file does not say.</summary>
    public (string Model, FeatureStream Stream)? Start { get; init; }
}

/// <summary>Options that fit the data.</summary>
/// <param name="Options">What to run on.</param>
/// <param name="Reasons">What was chosen and why, a line each; none where nothing was.</param>
internal sealed record Recipe(TrainingOptions Options, IReadOnlyList<string> Reasons)
{
    /// <summary>The clips as they were found when the recipe was chosen; null where nobody looked.</summary>
    public VideoDataset? Dataset { get; init; }

    /// <summary>
    /// Training clips from which a network is trained. Up to the 240 clips of the study the linear model is ahead of every network
    /// (docs/ablation.md); beyond that nothing was measured.
    /// </summary>
    private const int ClipsForNetwork = 1000;

    /// <summary>Settings that only pictures have.</summary>
    private static readonly string[] OfPictures =
    [
        nameof(TrainingOptions.Weights), nameof(TrainingOptions.Backbone), nameof(TrainingOptions.Views),
        nameof(TrainingOptions.Preprocess),
    ];

    /// <summary>The network that was best on few clips.</summary>
    private const string SmallNetwork = "frame-mlp";

    /// <summary>Fills in what <see cref="FeatureOptions.Given"/> leaves open; nothing without it.</summary>
    /// <param name="network">Whether it has to be a network.</param>
    /// <param name="fixedToo">Names of properties that stay as they are besides those given.</param>
    public static Recipe For(TrainingOptions options, DataFacts data, bool network = false, params IReadOnlyList<string> fixedToo)
    {
        if (options.Given is not { } given)
        {
            return new Recipe(options, []);
        }

        IReadOnlyList<Setting> all = Setting.Of(typeof(TrainingOptions));
        Dictionary<string, Setting> open = Open(options).Where(setting => !fixedToo.Contains(setting.Property.Name))
            .ToDictionary(setting => setting.Property.Name);
        Setting? ofSteps = all.FirstOrDefault(setting => setting.Role.HasFlag(SettingRole.OfSteps) && given.Contains(setting.Name));
        bool few = data.Clips.Total < ClipsForNetwork;
        List<string> reasons = [];
        TrainingOptions best = options;
        if (data.Start is { } start && (open.ContainsKey(nameof(options.Stream)) || open.ContainsKey(nameof(options.Model))))
        {
            best = best with
            {
                Stream = open.Remove(nameof(options.Stream)) ? start.Stream : best.Stream,
                Model = open.Remove(nameof(options.Model)) ? start.Model : best.Model,
            };
            reasons.Add($"{Name(nameof(options.Model))} {best.Model}, " +
                $"{Name(nameof(options.Stream))} {best.Stream.ToString().ToLowerInvariant()}: what the initial weights are of");
        }

        if ((data.Stream is not null && (network || ofSteps is not null)) || (options.InitialWeights is not null && data.Start is null))
        {
            // Whoever brings features, or weights of another program, and says how to step, has a training of their own in mind.
            return new Recipe(best, reasons);
        }

        if (open.ContainsKey(nameof(options.Stream)) && data.Stream is { } there)
        {
            best = best with { Stream = there };
        }
        else if (open.ContainsKey(nameof(options.Stream)))
        {
            Setting? ofPictures = all.FirstOrDefault(setting => OfPictures.Contains(setting.Property.Name) && given.Contains(setting.Name));
            best = best with { Stream = ofPictures is null ? FeatureStream.Motion : FeatureStream.Rgb };
            reasons.Add(ofPictures is null
                ? $"{Name(nameof(options.Stream))} motion: pictures say nothing through a backbone without trained weights"
                : $"{Name(nameof(options.Stream))} rgb: {Name(ofPictures.Property.Name)} is of pictures");
        }

        if (open.ContainsKey(nameof(options.Model)))
        {
            best = best with { Model = few && !network && ofSteps is null ? Classifiers.Linear : SmallNetwork };
            string size = $"{data.Clips.Total} clips to train on, from {data.Sources} sources, are ";
            reasons.Add($"{Name(nameof(options.Model))} {best.Model}: " + (best.Model == Classifiers.Linear
                ? size + "few for a network"
                : !few ? size + "enough for a network"
                : network ? "the network that does best with few clips"
                : $"{Name(ofSteps!.Property.Name)} is of networks, and this one does best with few clips"));
        }

        TrainingOptions values = few
            ? best with
            {
                BatchSize = 16,
                Epochs = 60,
                EarlyStoppingPatience = 0,
                Monitor = "val_loss",
                UseFocalLoss = false,
                LabelSmoothing = 0,
                Dropout = 0.3,
                Threshold = ThresholdRule.Half,
            }
            : best with { Monitor = "val_loss" };
        Setting[] changed = [.. open.Values.Where(setting => setting.TextIn(values) != setting.TextIn(best)
            && (best.Model != Classifiers.Linear || !setting.Role.HasFlag(SettingRole.OfSteps)))];
        foreach (Setting setting in changed)
        {
            setting.Property.SetValue(best = best with { }, setting.Property.GetValue(values));
        }

        if (changed.Length > 0)
        {
            string list = string.Join(", ", changed.Select(setting => $"{Name(setting.Property.Name)} {setting.Shown(best)}"));
            reasons.Add($"{list}: {(few ? "what does best with few clips" : "the surer measure of an epoch")}");
        }

        return new Recipe(best, reasons);
    }

    /// <summary>The settings that follow the data: part of the recipe, and given by nobody.</summary>
    public static IEnumerable<Setting> Open(TrainingOptions options) => options.Given is { } given
        ? Setting.Of(typeof(TrainingOptions)).Where(setting => setting.Role.HasFlag(SettingRole.Recipe) && !given.Contains(setting.Name))
        : [];

    /// <summary>The options with what was chosen in <paramref name="chosen"/> for those that nobody gave.</summary>
    public static TrainingOptions Take(TrainingOptions options, TrainingOptions chosen)
    {
        foreach (Setting setting in Open(options))
        {
            setting.Property.SetValue(options = options with { }, setting.Property.GetValue(chosen));
        }

        return options;
    }

    private static string Name(string property) => SettingName.Of(property);
}
