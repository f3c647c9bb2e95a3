using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Kernels;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Options;

/// <summary>Options of <c>train</c>.</summary>
internal static class TrainingOptionTable
{
    public static OptionTable<TrainingOptions> Create()
    {
        var table = new OptionTable<TrainingOptions>(new TrainingOptions())
            .Include(FeatureOptionTable.Create(), o => o, (_, features) => (TrainingOptions)features);
        AddData(table);
        AddModel(table);
        AddLoss(table);
        AddOptimiser(table);
        AddPrecision(table);
        AddOutput(table);
        AddDebug(table);
        return table;
    }

    private static void AddData(OptionTable<TrainingOptions> table) => table
        .Add(
            "--features-dir", OptionGroup.Data, ValueTypes.OptionalText("DIR", "folder"),
            o => o.FeaturesDir, (o, v) => o with { FeaturesDir = v },
            "Train on {split}_features.npy [N,T,D] and {split}_labels.npy instead of videos")
        .Add(
            "--shuffle", OptionGroup.Data, ValueTypes.Switch,
            o => o.Shuffle, (o, v) => o with { Shuffle = v },
            "Visit the clips in a new order every epoch");

    private static void AddModel(OptionTable<TrainingOptions> table) => table
        .Add(
            Presets.Option, OptionGroup.Model, ValueTypes.OptionalText("NAME", "name"),
            o => o.Preset, (o, v) => o with { Preset = v },
            $"Options to begin with; whatever is given besides wins. {Presets.Description}",
            range: string.Join(", ", Presets.Names))
        .Add(
            "--standardize-features", OptionGroup.Model, ValueTypes.OptionalSwitch,
            o => o.StandardizeFeatures, (o, v) => o with { StandardizeFeatures = v },
            "Standardise features by the training clips; folded into the saved model, which takes raw features",
            defaultText: "on for a new classifier on a random backbone")
        .Add(
            "--model", OptionGroup.Model, ValueTypes.Text("NAME", "name"),
            o => o.Model, (o, v) => o with { Model = v },
            "Classifier over the features of a clip",
            range: string.Join(", ", OptionValidation.Models))
        .Add(
            "--dropout", OptionGroup.Model, ValueTypes.Number,
            o => o.Dropout, (o, v) => o with { Dropout = v },
            "Share of activations that dropout sets to zero")
        .Add(
            "--temporal-jitter", OptionGroup.Data, ValueTypes.Integer,
            o => o.TemporalJitter, (o, v) => o with { TemporalJitter = v },
            "Augmentation: largest shift of a training clip in time, in sampled frames")
        .Add(
            "--frame-drop", OptionGroup.Data, ValueTypes.Number,
            o => o.FrameDrop, (o, v) => o with { FrameDrop = v },
            "Augmentation: probability with which a frame repeats the one before it")
        .Add(
            "--feature-noise", OptionGroup.Data, ValueTypes.Number,
            o => o.FeatureNoise, (o, v) => o with { FeatureNoise = v },
            "Augmentation: Gaussian noise on features, in standard deviations of the clip's own")
        .Add(
            "--mixup", OptionGroup.Data, ValueTypes.Number,
            o => o.Mixup, (o, v) => o with { Mixup = v },
            "Augmentation: mixes each clip with another by shares from Beta(X, X); 0 = none")
        .Add(
            "--initial-weights", OptionGroup.Model, ValueTypes.OptionalText("FILE", ".safetensors or .h5 file, or checkpoint"),
            o => o.InitialWeights, (o, v) => o with { InitialWeights = v },
            "Start the classifier from these weights");

    private static void AddLoss(OptionTable<TrainingOptions> table) => table
        .Add(
            "--label-smoothing", OptionGroup.Loss, ValueTypes.Number,
            o => o.LabelSmoothing, (o, v) => o with { LabelSmoothing = v },
            "Probability shared between the classes instead of given to the label")
        .Add(
            "--use-focal-loss", OptionGroup.Loss, ValueTypes.Switch,
            o => o.UseFocalLoss, (o, v) => o with { UseFocalLoss = v },
            "Focal loss; cross-entropy without")
        .Add(
            "--focal-alpha", OptionGroup.Loss, ValueTypes.Numbers,
            o => o.FocalAlpha, (o, v) => o with { FocalAlpha = v },
            "α of the focal loss: one number for both classes, or one each for nonviolent,violent")
        .Add(
            "--focal-gamma", OptionGroup.Loss, ValueTypes.Number,
            o => o.FocalGamma, (o, v) => o with { FocalGamma = v },
            "γ of the focal loss: how much clips that are already right count less")
        .Add(
            "--use-class-weights", OptionGroup.Loss, ValueTypes.Switch,
            o => o.UseClassWeights, (o, v) => o with { UseClassWeights = v },
            "Weigh each clip by N/(2·N of its class), so that both classes count the same");

    private static void AddOptimiser(OptionTable<TrainingOptions> table) => table
        .Add(
            "--epochs", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.Epochs, (o, v) => o with { Epochs = v },
            "Passes over the training clips")
        .Add(
            "--batch-size", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.BatchSize, (o, v) => o with { BatchSize = v },
            "Clips per step, over all devices together")
        .Add(
            "--learning-rate", OptionGroup.Optimiser, ValueTypes.Number,
            o => o.LearningRate, (o, v) => o with { LearningRate = v },
            "Learning rate of Adam after warm-up")
        .Add(
            "--min-learning-rate", OptionGroup.Optimiser, ValueTypes.Number,
            o => o.MinLearningRate, (o, v) => o with { MinLearningRate = v },
            "Where the cosine schedule ends")
        .Add(
            "--warmup-epochs", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.WarmupEpochs, (o, v) => o with { WarmupEpochs = v },
            "Epochs over which the learning rate rises")
        .Add(
            "--gradient-clip-norm", OptionGroup.Optimiser, ValueTypes.Number,
            o => o.GradientClipNorm, (o, v) => o with { GradientClipNorm = v },
            "Largest norm of the gradient")
        .Add(
            "--lr-schedule", OptionGroup.Optimiser, ValueTypes.Choice<LearningRateSchedule>(),
            o => o.LrSchedule, (o, v) => o with { LrSchedule = v },
            "After the warm-up: a cosine down to --min-learning-rate, or no change")
        .Add(
            "--clip-mode", OptionGroup.Optimiser, ValueTypes.Choice<ClipMode>(),
            o => o.ClipMode, (o, v) => o with { ClipMode = v },
            "Norm over all parameters together, each by itself, or no clipping")
        .Add(
            "--early-stopping-patience", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.EarlyStoppingPatience, (o, v) => o with { EarlyStoppingPatience = v },
            "Epochs without a better --monitor before training stops; 0 = never")
        .Add(
            "--ema", OptionGroup.Optimiser, ValueTypes.Number,
            o => o.Ema, (o, v) => o with { Ema = v },
            "Also keep an exponential moving average of the weights over steps with this decay, as ema_model.safetensors; 0 = none")
        .Add(
            "--swa-start", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.SwaStart, (o, v) => o with { SwaStart = v },
            "Also keep the mean of the weights at the ends of epochs from this one on (SWA), as swa_model.safetensors; 0 = none")
        .Add(
            "--monitor", OptionGroup.Optimiser, ValueTypes.Text("NAME", "name"),
            o => o.Monitor, (o, v) => o with { Monitor = v },
            "The one quantity that decides the best checkpoint and early stopping",
            range: string.Join(", ", OptionValidation.Monitors));

    private static void AddPrecision(OptionTable<TrainingOptions> table) => table
        .Add(
            "--mixed-precision", OptionGroup.Precision, ValueTypes.OptionalSwitch,
            o => o.MixedPrecision, (o, v) => o with { MixedPrecision = v },
            "Half precision where it is safe; on cpu for features and saved activations only",
            defaultText: "on for cuda, off for cpu")
        .Add(
            "--xla", OptionGroup.Precision, ValueTypes.OptionalSwitch,
            o => o.Xla, (o, v) => o with { Xla = v },
            "Run the step as one CUDA graph; without effect on cpu",
            defaultText: "on for cuda")
        .Add(
            "--sync-batchnorm", OptionGroup.Precision, ValueTypes.Switch,
            o => o.SyncBatchNorm, (o, v) => o with { SyncBatchNorm = v },
            "Batch normalisation over the clips of all devices; otherwise each device has its own statistics")
        .Add(
            "--allreduce-dtype", OptionGroup.Precision, ValueTypes.Choice<FeatureType>(),
            o => o.AllreduceDtype, (o, v) => o with { AllreduceDtype = v },
            "How gradients travel between devices; float16 halves the traffic")
        .Add(
            "--check-replicas", OptionGroup.Precision, ValueTypes.Integer,
            o => o.CheckReplicas, (o, v) => o with { CheckReplicas = v },
            "Steps between bit-by-bit comparisons of the devices' weights; 0 = never");

    private static void AddOutput(OptionTable<TrainingOptions> table) => table
        .Add(
            "--checkpoint-dir", OptionGroup.Output, ValueTypes.Text("DIR", "folder"),
            o => o.CheckpointDir, (o, v) => o with { CheckpointDir = v },
            "Where everything a run leaves is written; a folder that holds a run is refused without --resume or --overwrite")
        .Add(
            "--resume", OptionGroup.Output, ValueTypes.OptionalText("auto|FILE", "auto or checkpoint file"),
            o => o.Resume, (o, v) => o with { Resume = v },
            "Continue bit for bit: auto from last.ckpt of the checkpoint folder if there is one, or from FILE")
        .Add(
            "--overwrite", OptionGroup.Output, ValueTypes.Switch,
            o => o.Overwrite, (o, v) => o with { Overwrite = v },
            "Replace the run in the checkpoint folder")
        .Add(
            "--checkpoint-every", OptionGroup.Output, ValueTypes.Integer,
            o => o.CheckpointEvery, (o, v) => o with { CheckpointEvery = v },
            "Epochs between numbered checkpoints; 0 = none")
        .Add(
            "--keep-checkpoints", OptionGroup.Output, ValueTypes.Integer,
            o => o.KeepCheckpoints, (o, v) => o with { KeepCheckpoints = v },
            "Numbered checkpoints kept, newest first")
        .Add(
            "--log-every-steps", OptionGroup.Output, ValueTypes.Integer,
            o => o.LogEverySteps, (o, v) => o with { LogEverySteps = v },
            "Steps between rows of training_steps.csv and points of TensorBoard's batch curves; 0 = neither")
        .Add(
            "--profile", OptionGroup.Output, ValueTypes.OptionalText(StepRange.Form, "step number, or two with a comma"),
            o => o.Profile, (o, v) => o with { Profile = v },
            "Time the layers of these training steps, counted from 0, and of an extraction in the same run; ends with a table, and " +
                "profile_trace.json for Perfetto")
        .Add(
            "--report", OptionGroup.Output, ValueTypes.Switch,
            o => o.Report, (o, v) => o with { Report = v },
            "End with report.html: the run as one page with curves, confusion matrices and the worst mistakes")
        .Add(
            "--tensorboard", OptionGroup.Output, ValueTypes.Switch,
            o => o.Tensorboard, (o, v) => o with { Tensorboard = v },
            "Write curves, pictures and settings for TensorBoard into tensorboard/ of the checkpoint folder")
        .Add(
            "--tensorboard-histograms", OptionGroup.Output, ValueTypes.Integer,
            o => o.TensorboardHistograms, (o, v) => o with { TensorboardHistograms = v },
            "Epochs from one histogram of weights and gradients to the next; 0 = none");

    private static void AddDebug(OptionTable<TrainingOptions> table) => table
        .Add(
            "--dry-run", OptionGroup.Debug, ValueTypes.Switch,
            o => o.DryRun, (o, v) => o with { DryRun = v },
            "Check everything, open the data, print the plan and the model layer by layer, write nothing")
        .Add(
            "--fast-dev-run", OptionGroup.Debug, ValueTypes.Integer,
            o => o.FastDevRun, (o, v) => o with { FastDevRun = v },
            "Try the whole way with so many batches of train and of val, one epoch; leaves nothing but cached features. 0 = a real run")
        .Add(
            "--overfit-batches", OptionGroup.Debug, ValueTypes.Integer,
            o => o.OverfitBatches, (o, v) => o with { OverfitBatches = v },
            "Train on so many batches and validate with the same ones, which a sound model learns by heart; 0 = off");
}
