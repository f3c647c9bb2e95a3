using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Training.Features;

/// <summary>Motion features that are reduced to principal components by themselves (docs/motion.md).</summary>
/// <param name="First">Place of the first in a frame.</param>
/// <param name="Count">How many.</param>
/// <param name="Components">As many as clips in the hundreds can say something about.</param>
internal readonly record struct MotionFamily(int First, int Count, int Components)
{
    public static IReadOnlyList<MotionFamily> All { get; } =
        [new(0, MotionDescriptor.FlowFeatures, 30), new(MotionDescriptor.FlowFeatures, MotionDescriptor.CorrelationFeatures, 20)];
}
