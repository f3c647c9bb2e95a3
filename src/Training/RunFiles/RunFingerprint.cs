using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>
/// What makes a run that run and no other: what decides the training, and the clips that it learns from and is judged by.
/// </summary>
internal static class RunFingerprint
{
    /// <summary>What a fingerprint calls <see cref="IdentityOf"/> of the train split.</summary>
    public const string TrainingClips = "training clips";

    /// <summary>Ends the names of what is said of the data, which <see cref="TrainingOptions.AcceptChangedData"/> lets change.</summary>
    private static readonly string[] OfData = ["names", "labels", "groups", "features"];

    private static readonly TrainingOptions Defaults = new();

    /// <summary>What must stay the same for a resumed run to be the same run.</summary>
    public static IReadOnlyDictionary<string, string> Of(TrainingOptions options, bool mixedPrecision, FeatureSplits splits,
        FeatureViews views, bool standardize)
    {
        TrainingOptions effective = options with { MixedPrecision = mixedPrecision, StandardizeFeatures = standardize };
        var fingerprint = Setting.Of(typeof(TrainingOptions))
            .Where(setting => setting.Role.HasFlag(SettingRole.Learned)
                || (setting.Role.HasFlag(SettingRole.LearnedIfSet) && setting.TextIn(options) != setting.TextIn(Defaults)))
            .ToDictionary(setting => $"--{setting.Name}", setting => setting.TextIn(effective));
        fingerprint["augmentation"] = AugmentationOptions.Of(options).Text;
        fingerprint["shuffling"] = $"{options.Shuffle}";
        FeatureSet train = splits.Train;
        string key = string.Join(" ", train.Key.Select(field => field.Value));
        fingerprint["features"] = $"[{train.Count}, {train.Frames}, {train.Dimension}] {key}".TrimEnd();
        fingerprint[TrainingClips] = IdentityOf(train);
        if (!train.ClassList.IsViolence)
        {
            fingerprint["classes"] = train.ClassList.ToString();
        }

        foreach ((string name, string identity) in DataOf(splits, views))
        {
            fingerprint[name] = identity;
        }

        return fingerprint;
    }

    /// <summary>Of each split its clips' names, labels, groups and features, in their order, and the features of the other views.</summary>
    public static IEnumerable<(string Name, string Identity)> DataOf(FeatureSplits splits, FeatureViews views) =>
        (from set in splits.All
         from part in OfData
         select ($"{set.Split.Name()} {part}", Hash(Enumerable.Range(0, set.Count).Select(row => part switch
         {
             "names" => set.Names[row],
             "labels" => $"{set.Labels[row]}",
             "groups" => set.Sources[row],
             _ => set.FeaturesOf(row),
         }))))
        .Concat(views.Others.Select((set, index) =>
            ($"view {index + 1} features", Hash(Enumerable.Range(0, set.Count).Select(set.FeaturesOf)))));

    /// <summary>Whether an entry is one of <see cref="DataOf"/>, or follows from them.</summary>
    public static bool IsOfData(string name) =>
        name is TrainingClips or "features" || OfData.Any(part => name.EndsWith($" {part}", StringComparison.Ordinal));

    /// <summary>Of the clips of a split and their labels, in their order.</summary>
    public static string IdentityOf(FeatureSet set) =>
        Hash(Enumerable.Range(0, set.Count).SelectMany(row => (string[])[set.Names[row], $"{set.Labels[row]}"]));

    private static string Hash(IEnumerable<string> lines)
    {
        var data = new StringBuilder();
        foreach (string line in lines)
        {
            data.Append(line).Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(data.ToString())))[..16];
    }
}
