using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Data.Cache;

namespace CudaTrainer.Training;

/// <summary>What makes a run that run and no other.</summary>
internal static class RunFingerprint
{
    /// <summary>What a fingerprint calls <see cref="IdentityOf"/> of the train split.</summary>
    public const string TrainingClips = "training clips";

    /// <summary>What must stay the same for a resumed run to be the same run.</summary>
    public static IReadOnlyDictionary<string, string> Of(TrainingOptions options, bool mixedPrecision, FeatureSet train, bool standardize)
    {
        var fingerprint = new Dictionary<string, string>
        {
            ["--model"] = options.Model,
            ["--batch-size"] = $"{options.BatchSize}",
            ["--seed"] = $"{options.Seed}",
            ["--learning-rate"] = $"{options.LearningRate:R}",
            ["--min-learning-rate"] = $"{options.MinLearningRate:R}",
            ["--lr-schedule"] = $"{options.LrSchedule}",
            ["--warmup-epochs"] = $"{options.WarmupEpochs}",
            ["augmentation"] = AugmentationOptions.Of(options).Text,
            ["--dropout"] = $"{options.Dropout:R}",
            ["--label-smoothing"] = $"{options.LabelSmoothing:R}",
            ["--use-focal-loss"] = $"{options.UseFocalLoss}",
            ["--focal-alpha"] = string.Join(",", options.FocalAlpha),
            ["--focal-gamma"] = $"{options.FocalGamma:R}",
            ["--use-class-weights"] = $"{options.UseClassWeights}",
            ["--clip-mode"] = $"{options.ClipMode}",
            ["--gradient-clip-norm"] = $"{options.GradientClipNorm:R}",
            ["--mixed-precision"] = $"{mixedPrecision}",
            ["--sync-batchnorm"] = $"{options.SyncBatchNorm}",
            ["--allreduce-dtype"] = $"{options.AllreduceDtype}",
            ["--monitor"] = options.Monitor,
            ["--standardize-features"] = $"{standardize}",
            ["shuffling"] = $"{options.Shuffle}",
            ["features"] = $"[{train.Count}, {train.Frames}, {train.Dimension}] {string.Join(" ", train.Key.Select(field => field.Value))}".TrimEnd(),
            [TrainingClips] = IdentityOf(train),
        };
        if (options.OverfitBatches > 0)
        {
            fingerprint["--overfit-batches"] = $"{options.OverfitBatches}";
        }

        if (options.Ema > 0)
        {
            fingerprint["--ema"] = $"{options.Ema:R}";
        }

        if (options.SwaStart > 0)
        {
            fingerprint["--swa-start"] = $"{options.SwaStart}";
        }

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
