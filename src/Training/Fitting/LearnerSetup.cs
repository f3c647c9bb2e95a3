using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
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
        : "fp16 features and saved activations, fp32 maths, dynamic loss scaling";

    /// <summary>
    /// With class weights w_y = N / (2·N_y), if they are wanted; of a model that a solver fits, cross-entropy with them.
    /// </summary>
    public LossInfo Loss(ClassCounts train) => new(
        options.UseFocalLoss && !Classifiers.IsFitted(options.Model),
        (float)options.FocalGamma,
        Classifiers.IsFitted(options.Model) ? 0 : (float)options.LabelSmoothing,
        options.UseClassWeights ? [train.Total / (2f * train.Nonviolent), train.Total / (2f * train.Violent)] : [1, 1],
        options.FocalAlpha.Count == 1
            ? [(float)options.FocalAlpha[0], (float)options.FocalAlpha[0]]
            : [(float)options.FocalAlpha[0], (float)options.FocalAlpha[1]]);

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
    public Classifier NewModel(int inputs) =>
        Classifiers.Create(options.Model, new ClassifierOptions(inputs, (float)options.Dropout, MixedPrecision, options.Differences));
}
