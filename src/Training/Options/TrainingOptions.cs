using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Cache;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Kernels;

namespace CudaTrainer.Training.Options;

/// <summary>Where videos are decoded and networks computed; shared by everything that reads videos.</summary>
public record VideoOptions
{
    /// <summary>The backbone on kernels of our own.</summary>
    internal const string Vgg19Name = "vgg19";

    /// <summary>How a device may be written.</summary>
    public const string DeviceForms = "auto, cpu, cpu:N, reference, cuda or cuda:0,1";

    /// <summary>Runs backbones that are ONNX files; null where none can be used.</summary>
    [JsonIgnore]
    public IOnnxRunner? OnnxRunner { get; init; }

    [Setting(SettingGroup.Model, $"What makes features of frames: vgg19, {Resnet18.Name} ({Resnet18.Setup} brings it), or an ONNX file " +
        "of any image or video network (docs/backbones.md); with a trained model that of its training",
        Role = SettingRole.Place, Placeholder = "NAME|FILE", Kind = "name or .onnx file", Default = "vgg19, or the model's")]
    public string? Backbone { get; init; }

    [Setting(SettingGroup.Model, "The value of the ONNX {Backbone} whose numbers are the features",
        Role = SettingRole.Place, Default = "what enters its final classifier, or the model's")]
    public string? BackboneLayer { get; init; }

    [Setting(SettingGroup.Model, "How frames enter the ONNX {Backbone}: size, layout, order of colours, scale, mean and deviation, as in " +
        "\"128x128 nhwc bgr scale=1 mean=104,117,123 deviation=1\" (docs/backbones.md)",
        Role = SettingRole.Place, Placeholder = "TEXT", Kind = "text", Default = "what the file says, else torch; or the model's")]
    public string? BackboneInput { get; init; }

    [Setting(SettingGroup.Model, "VGG19 weights of the backbone, with a trained model those of its training; without them the backbone " +
        "is random from a fixed seed, and every output says so",
        Role = SettingRole.Place, Placeholder = "FILE", Kind = ".safetensors, .pth or Keras .h5 file")]
    public string? Weights { get; init; }

    [Setting(SettingGroup.Precision, "Where to compute; a device that is not available is an error, never replaced by another",
        Kind = "device", Accepts = DeviceForms)]
    public string Device { get; init; } = "auto";

    [Setting(SettingGroup.Precision, "Compute threads of this process, 0 = one per core (shared with the other processes of the " +
        "machine); results do not depend on it",
        Role = SettingRole.Place, AtLeast = 0, AtMost = 1024)]
    public int Threads { get; init; }

    [Setting(SettingGroup.Precision, "Threads of this process that decode videos, 0 = one per core (shared with the other processes of " +
        "the machine)",
        Role = SettingRole.Place | SettingRole.Offline, AtLeast = 0, AtMost = 1024)]
    public int Workers { get; init; }

    [Setting(SettingGroup.Precision, "Seconds after which decoding one file is given up", Role = SettingRole.Place, Above = 0)]
    public double DecodeTimeout { get; init; } = 60;
}

/// <summary>Where clips come from and how they become features.</summary>
public record FeatureOptions : VideoOptions
{
    /// <summary>How classes are put together.</summary>
    public const string ClassForm = "CLASS=FOLDER,FOLDER;CLASS=FOLDER";

    /// <summary>
    /// The names of the settings that somebody asked for, where the rest may follow the data (<see cref="Recipe"/>) or an earlier
    /// run; null where every setting is meant as it stands.
    /// </summary>
    [JsonIgnore]
    public IReadOnlySet<string>? Given { get; init; }

    /// <summary>The first of <see cref="Datasets"/>; setting it sets them all.</summary>
    [Setting(SettingGroup.Data, "Folder of videos: train/val/test folders with violent and nonviolent folders inside, or just the two " +
        "class folders; folders of other names are classes of their own. Given several times: several data sets, which share no " +
        "source and are reported each by itself, too",
        Role = SettingRole.Place, Placeholder = "DIR", Kind = "folder", Values = nameof(Datasets))]
    [JsonIgnore]
    public string? DatasetPath
    {
        get => Datasets.Count == 0 ? null : Datasets[0];
        init => Datasets = value is null ? [] : [value];
    }

    /// <summary>Folders of videos, each a data set of its own; empty for none.</summary>
    [JsonPropertyName("dataset_path")]
    [JsonConverter(typeof(DatasetsConverter))]
    [AllowNull]
    public IReadOnlyList<string> Datasets { get; init => field = value ?? []; } = [];

    /// <summary>Whether clips come from more than one data set.</summary>
    internal bool HasSeveralDatasets => Datasets.Count > 1;

    /// <summary>What headers call the folders of videos.</summary>
    internal string DatasetText => string.Join(" and ", Datasets);

    [Setting(SettingGroup.Data, "Classes put together from folders, or from the classes of {Labels}; folders that are not named are left " +
        "out. Without it each folder is a class",
        Role = SettingRole.LearnedIfSet, Kind = "list", Accepts = ClassForm)]
    public string? Classes { get; init; }

    [Setting(SettingGroup.Data, "CSV with columns path,class that says what clips show that do not lie in class folders",
        Placeholder = "FILE", Kind = "CSV file")]
    public string? Labels { get; init; }

    [Setting(SettingGroup.Data, "Shares of train, val and test when the dataset has no split folders; clips of one source stay together",
        Role = SettingRole.SingleRun, Accepts = "three shares that sum to 1")]
    public IReadOnlyList<double> Split { get; init; } = [0.7, 0.15, 0.15];

    [Setting(SettingGroup.Data, "CSV with columns path,class,source that says which clips come from one source; sources.csv in the " +
        "dataset is found by itself",
        Role = SettingRole.Place, Placeholder = "FILE", Kind = "CSV file")]
    public string? Groups { get; init; }

    [Setting(SettingGroup.Data, "Frames sampled from each clip", Role = SettingRole.OfTraining, AtLeast = 1, AtMost = 4096)]
    public int Frames { get; init; } = 20;

    [Setting(SettingGroup.Data, "Features of a clip: its frames by a backbone, its motion (seconds for hundreds of clips, no backbone), " +
        "or both side by side", Role = SettingRole.Recipe)]
    public FeatureStream Stream { get; init; }

    [Setting(SettingGroup.Data, "Views of each clip to extract: as it is, mirrored, brighter, darker, ... (docs/averages.md); train " +
        "shows one of them, by chance, each time it shows a clip",
        Role = SettingRole.SingleRun | SettingRole.Course | SettingRole.OfTraining, AtLeast = 1, AtMost = ClipView.Count)]
    public int Views { get; init; } = 1;

    [Setting(SettingGroup.Data, "Feature cache; only clips that are new or changed are extracted again",
        Role = SettingRole.Place, Placeholder = "DIR", Kind = "folder")]
    public string CacheDir { get; init; } = "./feature_cache";

    [Setting(SettingGroup.Data, "What to do with a clip that cannot be decoded: leave it out, keep it as zeros, or stop")]
    [JsonConverter(typeof(JsonStringEnumConverter<CorruptPolicy>))]
    public CorruptPolicy OnCorrupt { get; init; } = CorruptPolicy.Skip;

    [Setting(SettingGroup.Data, "Largest share of clips that may be broken", AtLeast = 0, AtMost = 1)]
    public double MaxCorrupt { get; init; } = 0.2;

    [Setting(SettingGroup.Model, "Colour order and normalisation of frames; auto follows the weight file", Role = SettingRole.OfTraining)]
    public PreprocessChoice Preprocess { get; init; } = PreprocessChoice.Auto;

    [Setting(SettingGroup.Precision, "mpi: this is one of several processes that mpirun started, with one device each, on one machine " +
        "or many",
        Role = SettingRole.SingleRun | SettingRole.Course | SettingRole.OfTraining)]
    public DistributedMode Distributed { get; init; }

    [Setting(SettingGroup.Precision, "Number format of the features on disk")]
    public FeatureType FeatureDtype { get; init; } = FeatureType.Float32;

    [Setting(SettingGroup.Precision, "Seed of everything random: split, initial weights, shuffling, dropout",
        Role = SettingRole.Learned, AtLeast = 0)]
    public int Seed { get; init; } = 42;
}

/// <summary>
/// Everything that decides a training run. Defaults are those of the command line; the effective values are written to
/// training_config.json.
/// </summary>
public sealed record TrainingOptions : FeatureOptions
{
    /// <summary>For the record: the options themselves count.</summary>
    [Setting(SettingGroup.Model, $"Options to begin with; whatever is given besides wins. {Presets.Meaning}",
        Role = SettingRole.Ablated, NamesOf = typeof(Presets))]
    public string? Preset { get; init; }

    [Setting(SettingGroup.Data, "Train on {split}_features.npy [N,T,D] and {split}_labels.npy instead of videos",
        Role = SettingRole.Place, Placeholder = "DIR", Kind = "folder")]
    public string? FeaturesDir { get; init; }

    // The fingerprint has this one under a name of its own.
    [Setting(SettingGroup.Data, "Visit the clips in a new order every epoch", Role = SettingRole.OfSteps)]
    public bool Shuffle { get; init; } = true;

    // The fingerprint has these four together, as "augmentation".
    [Setting(SettingGroup.Data, "Augmentation: largest shift of a training clip in time, in sampled frames",
        Role = SettingRole.OfSteps, AtLeast = 0, AtMost = 4096)]
    public int TemporalJitter { get; init; }

    [Setting(SettingGroup.Data, "Augmentation: probability with which a frame repeats the one before it",
        Role = SettingRole.OfSteps, AtLeast = 0, Below = 1)]
    public double FrameDrop { get; init; }

    [Setting(SettingGroup.Data, "Augmentation: Gaussian noise on features, in standard deviations of the clip's own",
        AtLeast = 0, Role = SettingRole.OfSteps, AtMost = 10)]
    public double FeatureNoise { get; init; }

    [Setting(SettingGroup.Data, "Augmentation: mixes each clip with another by shares from Beta(X, X); 0 = none",
        Role = SettingRole.OfSteps, AtLeast = 0, AtMost = 10)]
    public double Mixup { get; init; }

    [Setting(SettingGroup.Optimiser, "Passes over the training clips",
        Role = SettingRole.Course | SettingRole.Recipe | SettingRole.OfSteps, AtLeast = 1)]
    public int Epochs { get; init; } = 100;

    [Setting(SettingGroup.Optimiser, "Clips per step, over all devices together",
        Role = SettingRole.Learned | SettingRole.Recipe | SettingRole.OfSteps, AtLeast = 1)]
    public int BatchSize { get; init; } = 64;

    [Setting(SettingGroup.Optimiser, "Learning rate of Adam after warm-up",
        Role = SettingRole.Learned | SettingRole.Course | SettingRole.OfSteps, Above = 0, AtMost = 10)]
    public double LearningRate { get; init; } = 0.001;

    [Setting(SettingGroup.Optimiser, "Where the cosine schedule ends",
        Role = SettingRole.Learned | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0, AtMost = 10)]
    public double MinLearningRate { get; init; } = 1e-7;

    [Setting(SettingGroup.Optimiser, "Epochs over which the learning rate rises",
        Role = SettingRole.Learned | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0)]
    public int WarmupEpochs { get; init; } = 5;

    [Setting(SettingGroup.Optimiser, "After the warm-up: a cosine down to {MinLearningRate}, or no change",
        Role = SettingRole.Learned | SettingRole.Course | SettingRole.Ablated | SettingRole.OfSteps)]
    public LearningRateSchedule LrSchedule { get; init; } = LearningRateSchedule.Cosine;

    [Setting(SettingGroup.Loss, "Probability shared between the classes instead of given to the label",
        Role = SettingRole.Learned | SettingRole.Recipe | SettingRole.OfSteps, AtLeast = 0, Below = 1)]
    public double LabelSmoothing { get; init; } = 0.1;

    [Setting(SettingGroup.Loss, "Focal loss; cross-entropy without",
        Role = SettingRole.Learned | SettingRole.Ablated | SettingRole.Recipe | SettingRole.OfSteps)]
    public bool UseFocalLoss { get; init; } = true;

    [Setting(SettingGroup.Loss, "α of the focal loss: one number for all classes, or one each for nonviolent,violent, or for {Classes}",
        Role = SettingRole.Learned | SettingRole.OfSteps, AtLeast = 0, AtMost = 1)]
    public IReadOnlyList<double> FocalAlpha { get; init; } = [0.25];

    [Setting(SettingGroup.Loss, "γ of the focal loss: how much clips that are already right count less",
        Role = SettingRole.Learned | SettingRole.OfSteps, AtLeast = 0, AtMost = 20)]
    public double FocalGamma { get; init; } = 2;

    [Setting(SettingGroup.Loss, "Weigh each clip by N/(2·N of its class), so that both classes count the same",
        Role = SettingRole.Learned | SettingRole.Ablated)]
    public bool UseClassWeights { get; init; } = true;

    [Setting(SettingGroup.Optimiser, "Largest norm of the gradient", Role = SettingRole.Learned | SettingRole.OfSteps, Above = 0)]
    public double GradientClipNorm { get; init; } = 1;

    [Setting(SettingGroup.Optimiser, "Norm over all parameters together, each by itself, or no clipping",
        Role = SettingRole.Learned | SettingRole.OfSteps)]
    [JsonConverter(typeof(JsonStringEnumConverter<ClipMode>))]
    public ClipMode ClipMode { get; init; } = ClipMode.Global;

    [Setting(SettingGroup.Optimiser, "Share of itself, times the learning rate, that every weight loses in a step (AdamW); biases and " +
        "scales lose nothing",
        Role = SettingRole.LearnedIfSet | SettingRole.OfSteps, AtLeast = 0, AtMost = 100)]
    public double WeightDecay { get; init; }

    [Setting(SettingGroup.Optimiser, "Epochs without a better {Monitor} before training stops; 0 = never",
        Role = SettingRole.Course | SettingRole.Recipe | SettingRole.OfSteps, AtLeast = 0)]
    public int EarlyStoppingPatience { get; init; } = 15;

    [Setting(SettingGroup.Optimiser, "Also keep an exponential moving average of the weights over steps with this decay, as " +
        "ema_model.safetensors; 0 = none",
        Role = SettingRole.LearnedIfSet | SettingRole.Course | SettingRole.Recipe | SettingRole.OfSteps, AtLeast = 0, Below = 1)]
    public double Ema { get; init; }

    [Setting(SettingGroup.Optimiser, "Also keep the mean of the weights at the ends of epochs from this one on (SWA), as " +
        "swa_model.safetensors; 0 = none",
        Role = SettingRole.LearnedIfSet | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0)]
    public int SwaStart { get; init; }

    [Setting(SettingGroup.Optimiser, "The one quantity that decides the best checkpoint and early stopping",
        Role = SettingRole.Learned | SettingRole.Course | SettingRole.Recipe | SettingRole.OfSteps, NamesOf = typeof(Monitor))]
    public string Monitor { get; init; } = "val_accuracy";

    [Setting(SettingGroup.Model, "Where the model decides: at the threshold that is best on val, or at one half, which few clips of val " +
        "cannot better",
        Role = SettingRole.LearnedIfSet | SettingRole.Recipe | SettingRole.Course)]
    [JsonConverter(typeof(JsonStringEnumConverter<ThresholdRule>))]
    public ThresholdRule Threshold { get; init; }

    [Setting(SettingGroup.Precision, "Half precision where it is safe; on cpu for features, saved activations and, with " +
        "AVX512_BF16, products",
        Role = SettingRole.Learned | SettingRole.Ablated | SettingRole.OfSteps, Default = "on for cuda, off for cpu")]
    public bool? MixedPrecision { get; init; }

    [Setting(SettingGroup.Precision, "Run the step as one CUDA graph; without effect on cpu",
        Role = SettingRole.Ablated | SettingRole.OfSteps, Default = "on for cuda")]
    public bool? Xla { get; init; }

    [Setting(SettingGroup.Precision, "Batch normalisation over the clips of all devices; otherwise each device has its own statistics",
        Name = "sync-batchnorm", Role = SettingRole.Learned | SettingRole.OfSteps)]
    public bool SyncBatchNorm { get; init; }

    [Setting(SettingGroup.Precision, "How gradients travel between devices; float16 halves the traffic",
        Role = SettingRole.Learned | SettingRole.OfSteps)]
    [JsonConverter(typeof(JsonStringEnumConverter<FeatureType>))]
    public FeatureType AllreduceDtype { get; init; } = FeatureType.Float32;

    [Setting(SettingGroup.Precision, "Steps between bit-by-bit comparisons of the devices' weights; 0 = never",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0)]
    public int CheckReplicas { get; init; }

    [Setting(SettingGroup.Model, "Standardise features by the training clips; folded into the saved model, which takes raw features",
        Role = SettingRole.Learned | SettingRole.OfSteps, Default = "on for a new classifier on a random backbone")]
    public bool? StandardizeFeatures { get; init; }

    [Setting(SettingGroup.Model, "Replace standardised features by so many principal components over the training clips, each of " +
        "variance 1; 0 = none. Features of motion have numbers of their own",
        Role = SettingRole.LearnedIfSet | SettingRole.OfSteps, AtLeast = 0, AtMost = 512)]
    public int Whiten { get; init; }

    [Setting(SettingGroup.Model, "Classifier over the features of a clip",
        Role = SettingRole.Learned | SettingRole.Recipe, NamesOf = typeof(Classifiers))]
    public string Model { get; init; } = "lstm-attention";

    [Setting(SettingGroup.Model, "Give the classifier beside each frame's features their differences to the frame before",
        Role = SettingRole.LearnedIfSet | SettingRole.OfSteps)]
    public bool Differences { get; init; }

    [Setting(SettingGroup.Model, "Share of activations that dropout sets to zero",
        Role = SettingRole.Learned | SettingRole.Recipe | SettingRole.OfSteps, AtLeast = 0, Below = 1)]
    public double Dropout { get; init; } = 0.5;

    [Setting(SettingGroup.Model, "Start the classifier from these weights; bundled are those that come with the program",
        Role = SettingRole.Place | SettingRole.SingleRun,
        Placeholder = "FILE", Kind = ".safetensors or .h5 file, or checkpoint")]
    public string? InitialWeights { get; init; }

    [Setting(SettingGroup.Output, "Where everything a run leaves is written; a folder that holds a run is refused without {Resume} or " +
        "{Overwrite}",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course, Placeholder = "DIR", Kind = "folder")]
    public string CheckpointDir { get; init; } = "./checkpoints";

    [Setting(SettingGroup.Output, "Continue bit for bit: auto from last.ckpt of the checkpoint folder if there is one, or from FILE",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course,
        Placeholder = "auto|FILE", Kind = "auto or checkpoint file")]
    public string? Resume { get; init; }

    [Setting(SettingGroup.Output, "Let {Resume} go on although clips, labels, groups or features have changed since; what has is named",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course)]
    public bool AcceptChangedData { get; init; }

    [Setting(SettingGroup.Output, "Replace the run in the checkpoint folder",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course)]
    public bool Overwrite { get; init; }

    [Setting(SettingGroup.Output, "Epochs between numbered checkpoints; 0 = none",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0)]
    public int CheckpointEvery { get; init; } = 5;

    [Setting(SettingGroup.Output, "Numbered checkpoints kept, newest first",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course | SettingRole.OfSteps, AtLeast = 1)]
    public int KeepCheckpoints { get; init; } = 5;

    [Setting(SettingGroup.Output, "Steps between rows of training_steps.csv and points of TensorBoard's batch curves; 0 = neither",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0)]
    public int LogEverySteps { get; init; }

    /// <summary>See <see cref="StepRange"/>.</summary>
    [Setting(SettingGroup.Output, "Time the layers of these training steps, counted from 0, and of an extraction in the same run; ends " +
        "with a table, and profile_trace.json for Perfetto",
        Role = SettingRole.SingleRun | SettingRole.OfSteps, Placeholder = StepRange.Form, Kind = "step number, or two with a comma")]
    public string? Profile { get; init; }

    [Setting(SettingGroup.Output, "End with report.html: the run as one page with curves, confusion matrices and the worst mistakes",
        Role = SettingRole.SingleRun)]
    public bool Report { get; init; } = true;

    [Setting(SettingGroup.Output, "Write curves, pictures and settings for TensorBoard into tensorboard/ of the checkpoint folder",
        Role = SettingRole.Place | SettingRole.SingleRun)]
    public bool Tensorboard { get; init; } = true;

    [Setting(SettingGroup.Output, "Epochs from one histogram of weights and gradients to the next; 0 = none",
        Role = SettingRole.Place | SettingRole.SingleRun | SettingRole.OfSteps, AtLeast = 0)]
    public int TensorboardHistograms { get; init; } = 5;

    /// <summary>Makes <see cref="Fitting.TrainingPlan"/> only; for whoever starts runs, which do not look at it.</summary>
    [Setting(SettingGroup.Debug, "Check everything, open the data, print the plan and the model layer by layer, write nothing",
        Role = SettingRole.SingleRun | SettingRole.Course)]
    public bool DryRun { get; init; }

    [Setting(SettingGroup.Debug, "Try the whole way with so many batches of train and of val, one epoch; leaves nothing but cached " +
        "features. 0 = a real run",
        Role = SettingRole.SingleRun | SettingRole.Course, AtLeast = 0)]
    public int FastDevRun { get; init; }

    [Setting(SettingGroup.Debug, "Train on so many batches and validate with the same ones, which a sound model learns by heart; 0 = off",
        Role = SettingRole.LearnedIfSet | SettingRole.SingleRun | SettingRole.Course | SettingRole.OfSteps, AtLeast = 0)]
    public int OverfitBatches { get; init; }
}

/// <summary>From which p(violent) on a clip counts as violent.</summary>
public enum ThresholdRule
{
    /// <summary>
    /// The one with the best balanced accuracy on the validation part. With a few dozen clips there, its own error costs more than it
    /// gains.
    /// </summary>
    Val,

    /// <summary>0.5: what balanced classes, or a loss with class weights, train for.</summary>
    Half,
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
