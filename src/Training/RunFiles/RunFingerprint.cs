using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What makes a run that run and no other.</summary>
internal static class RunFingerprint
{
    /// <summary>What a fingerprint calls <see cref="IdentityOf"/> of the train split.</summary>
    public const string TrainingClips = "training clips";

    private static readonly TrainingOptions Defaults = new();

    /// <summary>What must stay the same for a resumed run to be the same run.</summary>
    public static IReadOnlyDictionary<string, string> Of(TrainingOptions options, bool mixedPrecision, FeatureSet train, bool standardize)
    {
        TrainingOptions effective = options with { MixedPrecision = mixedPrecision, StandardizeFeatures = standardize };
        var fingerprint = Setting.Of(typeof(TrainingOptions))
            .Where(setting => setting.Role.HasFlag(SettingRole.Learned)
                || (setting.Role.HasFlag(SettingRole.LearnedIfSet) && setting.TextIn(options) != setting.TextIn(Defaults)))
            .ToDictionary(setting => $"--{setting.Name}", setting => setting.TextIn(effective));
        fingerprint["augmentation"] = AugmentationOptions.Of(options).Text;
        fingerprint["shuffling"] = $"{options.Shuffle}";
        string key = string.Join(" ", train.Key.Select(field => field.Value));
        fingerprint["features"] = $"[{train.Count}, {train.Frames}, {train.Dimension}] {key}".TrimEnd();
        fingerprint[TrainingClips] = IdentityOf(train);
        return fingerprint;
    }

    /// <summary>Of the clips of a split and their labels, in their order.</summary>
    public static string IdentityOf(FeatureSet set)
    {
        var data = new StringBuilder();
        for (int i = 0; i < set.Count; i++)
        {
            data.Append(set.Names[i]).Append('\n').Append(set.Labels[i]).Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(data.ToString())))[..16];
    }
}
