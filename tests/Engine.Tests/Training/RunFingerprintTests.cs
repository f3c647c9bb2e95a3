using CudaTrainer.Data.Cache;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Fingerprints are in checkpoints: one that changed would keep every run that exists from being resumed.</summary>
public sealed class RunFingerprintTests : IDisposable
{
    private const string Usual = """
        --model: lstm-attention
        --batch-size: 64
        --seed: 42
        --learning-rate: 0.001
        --min-learning-rate: 1E-07
        --lr-schedule: Cosine
        --warmup-epochs: 5
        augmentation:
        --dropout: 0.5
        --label-smoothing: 0.1
        --use-focal-loss: True
        --focal-alpha: 0.25
        --focal-gamma: 2
        --use-class-weights: True
        --clip-mode: Global
        --gradient-clip-norm: 1
        --mixed-precision: False
        --sync-batchnorm: False
        --allreduce-dtype: Float32
        --monitor: val_accuracy
        --standardize-features: False
        shuffling: True
        features: [22, 4, 16]
        """;

    private const string Other = """
        --model: gru-attention
        --batch-size: 6
        --seed: 7
        --learning-rate: 0.0003
        --min-learning-rate: 1E-09
        --lr-schedule: Constant
        --warmup-epochs: 1
        augmentation: temporal jitter 2, frame drop 0.1, feature noise 0.2, mixup 0.4
        --dropout: 0.25
        --label-smoothing: 0.05
        --use-focal-loss: False
        --focal-alpha: 0.25,0.75
        --focal-gamma: 1.5
        --use-class-weights: False
        --clip-mode: PerParameter
        --gradient-clip-norm: 5
        --mixed-precision: True
        --sync-batchnorm: True
        --allreduce-dtype: Float16
        --monitor: val_auc
        --standardize-features: True
        shuffling: False
        features: [22, 4, 16]
        --overfit-batches: 2
        --ema: 0.9
        --swa-start: 2
        --weight-decay: 0.01
        --whiten: 7
        --differences: True
        """;

    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void Of_the_defaults_it_is_as_it_was() =>
        Fingerprint(new TrainingOptions(), half: false, standardize: false).ShouldBe(Sorted(Usual));

    [Fact]
    public void Of_other_options_it_is_as_it_was()
    {
        TrainingOptions options = new()
        {
            Model = "gru-attention",
            BatchSize = 6,
            Seed = 7,
            LearningRate = 0.0003,
            MinLearningRate = 1e-9,
            LrSchedule = LearningRateSchedule.Constant,
            WarmupEpochs = 1,
            TemporalJitter = 2,
            FrameDrop = 0.1,
            FeatureNoise = 0.2,
            Mixup = 0.4,
            Dropout = 0.25,
            LabelSmoothing = 0.05,
            UseFocalLoss = false,
            FocalAlpha = [0.25, 0.75],
            FocalGamma = 1.5,
            UseClassWeights = false,
            ClipMode = ClipMode.PerParameter,
            GradientClipNorm = 5,
            SyncBatchNorm = true,
            AllreduceDtype = FeatureType.Float16,
            Monitor = "val_auc",
            Shuffle = false,
            OverfitBatches = 2,
            Ema = 0.9,
            SwaStart = 2,
            WeightDecay = 0.01,
            Whiten = 7,
            Differences = true,
        };

        Fingerprint(options, half: true, standardize: true).ShouldBe(Sorted(Other));
    }

    /// <summary>Runs are compared by their hyperparameters, so a run of today has those of earlier ones.</summary>
    [Fact]
    public void Hyperparameters_are_all_but_these() => Setting.Of(typeof(TrainingOptions))
        .Where(setting => setting.Role.HasFlag(SettingRole.Place)).Select(setting => setting.Name).Order(StringComparer.Ordinal)
        .ShouldBe(
        [
            "accept-changed-data", "backbone", "backbone-input", "backbone-layer", "cache-dir", "check-replicas", "checkpoint-dir",
            "checkpoint-every", "dataset-path", "decode-timeout", "features-dir", "groups", "initial-weights", "keep-checkpoints",
            "log-every-steps", "overwrite", "resume", "tensorboard", "tensorboard-histograms", "threads", "weights", "workers",
        ]);

    public void Dispose() => _fixture.Dispose();

    private string[] Fingerprint(TrainingOptions options, bool half, bool standardize)
    {
        using FeatureSplits splits = FeatureSplits.OpenFinite(_fixture.Features, CancellationToken.None);
        using FeatureViews views = FeatureViews.Open(_fixture.Features, views: 1, splits.Train);
        IReadOnlyDictionary<string, string> fingerprint = RunFingerprint.Of(options, half, splits, views, standardize);
        fingerprint[RunFingerprint.TrainingClips].Length.ShouldBe(16);
        string[] ofData = [.. fingerprint.Keys.Where(RunFingerprint.IsOfData)];
        ofData.Length.ShouldBe(2 + (4 * splits.All.Count()));
        return Sorted(string.Join('\n', fingerprint.Where(entry => entry.Key == "features" || !ofData.Contains(entry.Key))
            .Select(entry => $"{entry.Key}: {entry.Value}")));
    }

    private static string[] Sorted(string text) => [.. text.Split('\n').Select(line => line.Trim()).Order(StringComparer.Ordinal)];
}
