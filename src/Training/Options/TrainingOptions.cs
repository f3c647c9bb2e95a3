using System.Text.Json.Serialization;
using CudaTrainer.Data.Cache;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Training;

/// <summary>Where clips come from and how they become features; shared by every command that reads videos.</summary>
public record FeatureOptions
{
    /// <summary>Folder of videos: split folders of class folders, or class folders alone.</summary>
    public string? DatasetPath { get; init; }

    /// <summary>Fractions of train, val and test when the dataset has no split folders.</summary>
    public IReadOnlyList<double> Split { get; init; } = [0.7, 0.15, 0.15];

    /// <summary>CSV with columns path,class,source; clips of one source never stand in two splits.</summary>
    public string? Groups { get; init; }

    /// <summary>Frames sampled per clip.</summary>
    public int Frames { get; init; } = 20;

    /// <summary>What of a video becomes features: appearance, motion or both.</summary>
    public FeatureStream Stream { get; init; }

    /// <summary>
    /// Views of each clip that become features, the clip as it is included: the first so many of <see cref="ClipView.All"/>.
    /// </summary>
    public int Views { get; init; } = 1;

    /// <summary>VGG19 weights; a fixed-seed random backbone without.</summary>
    public string? Weights { get; init; }

    public PreprocessChoice Preprocess { get; init; } = PreprocessChoice.Auto;

    public FeatureType FeatureDtype { get; init; } = FeatureType.Float32;

    public string CacheDir { get; init; } = "./feature_cache";

    /// <summary><c>auto</c>, <c>cpu</c>, <c>cpu:N</c>, <c>reference</c>, <c>cuda</c>, <c>cuda:0,1</c>.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>Whether this process is one of several that work on the run together.</summary>
    public DistributedMode Distributed { get; init; }

    /// <summary>Compute threads; 0 = one per core.</summary>
    public int Threads { get; init; }

    /// <summary>Threads that decode videos; 0 = one per core.</summary>
    public int Workers { get; init; }

    public int Seed { get; init; } = 42;

    [JsonConverter(typeof(JsonStringEnumConverter<CorruptPolicy>))]
    public CorruptPolicy OnCorrupt { get; init; } = CorruptPolicy.Skip;

    /// <summary>Largest fraction of broken clips that is tolerated.</summary>
    public double MaxCorrupt { get; init; } = 0.2;

    /// <summary>Seconds after which decoding one file is given up.</summary>
    public double DecodeTimeout { get; init; } = 60;
}

/// <summary>
/// Everything that decides a training run. Defaults are those of the command line; the effective values are written to
/// training_config.json.
/// </summary>
public sealed record TrainingOptions : FeatureOptions
{
    /// <summary>Name of the set of options that stands for what was not given; for the record, the options themselves count.</summary>
    public string? Preset { get; init; }

    /// <summary>Folder with {split}_features.npy and {split}_labels.npy to train on instead of videos.</summary>
    public string? FeaturesDir { get; init; }

    public int Epochs { get; init; } = 100;

    public int BatchSize { get; init; } = 64;

    public double LearningRate { get; init; } = 0.001;

    public double MinLearningRate { get; init; } = 1e-7;

    public int WarmupEpochs { get; init; } = 5;

    /// <summary>What the learning rate does after the warm-up.</summary>
    public LearningRateSchedule LrSchedule { get; init; } = LearningRateSchedule.Cosine;

    public double LabelSmoothing { get; init; } = 0.1;

    /// <summary>
    /// Standardises features by the training clips; null = when the classifier starts afresh on motion or a random backbone.
    /// </summary>
    public bool? StandardizeFeatures { get; init; }

    public bool UseFocalLoss { get; init; } = true;

    /// <summary>α of the focal loss: one number for both classes, or one each for nonviolent, violent.</summary>
    public IReadOnlyList<double> FocalAlpha { get; init; } = [0.25];

    public double FocalGamma { get; init; } = 2;

    public bool UseClassWeights { get; init; } = true;

    public double GradientClipNorm { get; init; } = 1;

    [JsonConverter(typeof(JsonStringEnumConverter<ClipMode>))]
    public ClipMode ClipMode { get; init; } = ClipMode.Global;

    /// <summary>Null = on for cuda, off for cpu.</summary>
    public bool? MixedPrecision { get; init; }

    /// <summary>Null = on for cuda (the step as one CUDA graph); without effect on cpu.</summary>
    public bool? Xla { get; init; }

    /// <summary>Batch normalisation over the samples of all devices; otherwise each device has its own statistics.</summary>
    public bool SyncBatchNorm { get; init; }

    /// <summary>How gradients travel between devices.</summary>
    [JsonConverter(typeof(JsonStringEnumConverter<FeatureType>))]
    public FeatureType AllreduceDtype { get; init; } = FeatureType.Float32;

    /// <summary>Steps between comparisons of the devices' weights, bit by bit; 0 = never.</summary>
    public int CheckReplicas { get; init; }

    /// <summary>
    /// Decay d of the exponential moving average of the weights over steps, which becomes ema_model.safetensors; 0 = none.
    /// </summary>
    public double Ema { get; init; }

    /// <summary>
    /// First epoch, from 1, whose weights go into the plain mean over epochs (SWA), which becomes swa_model.safetensors; 0 = none.
    /// </summary>
    public int SwaStart { get; init; }

    public string Model { get; init; } = "lstm-attention";

    public double Dropout { get; init; } = 0.5;

    /// <summary>Largest shift of a training clip in time, in sampled frames.</summary>
    public int TemporalJitter { get; init; }

    /// <summary>Probability with which a frame of a training clip repeats the one before it.</summary>
    public double FrameDrop { get; init; }

    /// <summary>Standard deviation of noise on training features, in standard deviations of the clip's own.</summary>
    public double FeatureNoise { get; init; }

    /// <summary>α of mixup; 0 = none.</summary>
    public double Mixup { get; init; }

    public string CheckpointDir { get; init; } = "./checkpoints";

    /// <summary><c>auto</c> (last.ckpt of the checkpoint folder, if any) or a checkpoint file.</summary>
    public string? Resume { get; init; }

    /// <summary>A .safetensors or checkpoint file to start the classifier from.</summary>
    public string? InitialWeights { get; init; }

    public bool Overwrite { get; init; }

    public bool Shuffle { get; init; } = true;

    /// <summary>Epochs without improvement of <see cref="Monitor"/> before training stops; 0 = never.</summary>
    public int EarlyStoppingPatience { get; init; } = 15;

    /// <summary>
    /// The one quantity that decides the best checkpoint and early stopping: val_loss, val_accuracy, val_balanced_accuracy or val_auc.
    /// </summary>
    public string Monitor { get; init; } = "val_accuracy";

    /// <summary>Epochs between numbered checkpoints; 0 = none.</summary>
    public int CheckpointEvery { get; init; } = 5;

    /// <summary>Numbered checkpoints kept.</summary>
    public int KeepCheckpoints { get; init; } = 5;

    /// <summary>Steps between rows of training_steps.csv and points of TensorBoard's batch curves; 0 = neither.</summary>
    public int LogEverySteps { get; init; }

    /// <summary>Training steps to profile, for example <c>10,20</c> (see <see cref="Engine.Tracing.StepRange"/>); null = none.</summary>
    public string? Profile { get; init; }

    /// <summary>Whether the run ends with a report.html.</summary>
    public bool Report { get; init; } = true;

    /// <summary>Only makes the plan (<see cref="TrainingPlan"/>); for whoever starts runs, which do not look at it.</summary>
    public bool DryRun { get; init; }

    /// <summary>Batches of train and val of a single epoch that leaves no checkpoint, log or result; 0 = a real run.</summary>
    public int FastDevRun { get; init; }

    /// <summary>Batches of train that are trained on and validated with; 0 = all, and val.</summary>
    public int OverfitBatches { get; init; }

    /// <summary>Event files for TensorBoard in the checkpoint folder.</summary>
    public bool Tensorboard { get; init; } = true;

    /// <summary>Epochs from one histogram of weights and gradients to the next in TensorBoard, from the first epoch on; 0 = none.</summary>
    public int TensorboardHistograms { get; init; } = 5;
}

[JsonConverter(typeof(JsonStringEnumConverter<LearningRateSchedule>))]
public enum LearningRateSchedule
{
    /// <summary>Falls to the minimum by half a cosine, which the last step reaches.</summary>
    Cosine,
    Constant,
}

[JsonConverter(typeof(JsonStringEnumConverter<DistributedMode>))]
public enum DistributedMode
{
    /// <summary>This process alone, with all its devices.</summary>
    None,

    /// <summary>The processes that mpirun has started, one device each.</summary>
    Mpi,
}

[JsonConverter(typeof(JsonStringEnumConverter<PreprocessChoice>))]
public enum PreprocessChoice
{
    /// <summary>By the origin of the weight file; torch for a random backbone.</summary>
    Auto,
    Torch,
    Caffe,
}

[JsonConverter(typeof(JsonStringEnumConverter<FeatureType>))]
public enum FeatureType
{
    Float32,
    Float16,
}
