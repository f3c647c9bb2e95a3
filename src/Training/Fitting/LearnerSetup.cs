using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Fitting;

/// <summary>What a run's options come to on the device that it has: the loss, the learner's options and the model.</summary>
internal sealed class LearnerSetup(TrainingOptions options, IDevice device, bool isCuda)
{
    public bool MixedPrecision { get; } = options.MixedPrecision ?? isCuda;

    /// <summary>The step as one graph.</summary>
    public bool FuseStep { get; } = device.CapturesGraphs && (options.Xla ?? true);

    /// <summary>The precision in force, for a person.</summary>
    public string Precision => !MixedPrecision ? "fp32"
        : device.ComputesInHalf ? "fp16 maths, fp32 sums and master weights, dynamic loss scaling"
        : device is CpuDevice { MultipliesInHalf: true }
            ? "bfloat16 products, fp32 sums and master weights, fp16 features and saved activations, dynamic loss scaling"
        : "fp16 features and saved activations, fp32 maths, dynamic loss scaling";

    /// <summary>
    /// With class weights w_y = N / (classes·N_y), if they are wanted; of a model that a solver fits, cross-entropy with them.
    /// </summary>
    /// <exception cref="RunException">α is of another number of classes.</exception>
    public LossInfo Loss(ClassCounts train, ClassList classes)
    {
        if (options.FocalAlpha.Count != 1 && options.FocalAlpha.Count != classes.Count)
        {
            throw new RunException(
                $"{SettingName.Of(nameof(options.FocalAlpha))} has {options.FocalAlpha.Count} numbers, and there are {classes.Count} " +
                    $"classes: {classes}.",
                "Give one number for all classes, or one for each.");
        }

        return new(
            options.UseFocalLoss && !Classifiers.IsFitted(options.Model),
            (float)options.FocalGamma,
            Classifiers.IsFitted(options.Model) ? 0 : (float)options.LabelSmoothing,
            [.. Enumerable.Range(0, classes.Count).Select(label =>
                options.UseClassWeights ? train.Total / ((float)classes.Count * train[label]) : 1)],
            [.. Enumerable.Range(0, classes.Count).Select(label =>
                (float)options.FocalAlpha[options.FocalAlpha.Count == 1 ? 0 : label])]);
    }

    public LearnerOptions Learner(LossInfo loss) => new(
        loss,
        new AdamOptions
        {
            ClipMode = options.ClipMode,
            ClipNorm = (float)options.GradientClipNorm,
            WeightDecay = options.WeightDecay,
        },
        MixedPrecision,
        (uint)options.Seed,
        FuseStep,
        HalfOnWire: options.AllreduceDtype == FeatureType.Float16,
        SyncBatchNorm: options.SyncBatchNorm);

    /// <param name="inputs">Features per frame.</param>
    public Classifier NewModel(int inputs, ClassList classes) => Classifiers.Create(options.Model,
        new ClassifierOptions(inputs, (float)options.Dropout, MixedPrecision, options.Differences, classes.Count));
}
