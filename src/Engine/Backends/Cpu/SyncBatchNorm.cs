using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Backends.Cpu;

public sealed unsafe partial class CpuOps
{
    public void BatchNormMoments(Tensor x, Tensor moments) => SyncBatchNorm.Moments(team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(moments));

    public void BatchNormCombine(Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options) =>
        SyncBatchNorm.Combine(
            gathered.Shape[0], savedMean.Shape[0], Floats(gathered), Floats(runningMean), Floats(runningVariance), Floats(savedMean), Floats(savedInverseStd),
            options.Momentum, options.Epsilon);

    public void BatchNormNormalize(Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options) =>
        SyncBatchNorm.Normalize(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd), Floats(y),
            options.Relu, Mask(options.Dropout));

    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale, Tensor dShift, in BatchNormOptions options) =>
        SyncBatchNorm.GradientSums(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd), Floats(dy), Floats(dx), Floats(sums),
            Floats(dScale), Floats(dShift), options.Relu, Mask(options.Dropout));

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx, in BatchNormOptions options) =>
        SyncBatchNorm.InputGradient(
            team, gathered.Shape[0], x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(savedMean), Floats(savedInverseStd), Floats(gathered), Floats(dy), Floats(dx),
            options.Relu, Mask(options.Dropout));
}
