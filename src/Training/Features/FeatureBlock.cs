using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Neighbouring numbers that are reduced to principal components by themselves: of a frame's features or of a clip's statistics.
/// </summary>
/// <param name="First">Place of the first.</param>
/// <param name="Count">How many.</param>
/// <param name="Components">As many as clips in the hundreds can say something about, or as many as are wanted.</param>
internal readonly record struct FeatureBlock(int First, int Count, int Components)
{
    /// <summary>The families of motion features (docs/motion.md).</summary>
    /// <param name="first">Place of the first motion feature.</param>
    public static FeatureBlock[] OfMotion(int first) =>
    [
        new(first, MotionDescriptor.FlowFeatures, 30),
        new(first + MotionDescriptor.FlowFeatures, MotionDescriptor.CorrelationFeatures, 20),
    ];
}
