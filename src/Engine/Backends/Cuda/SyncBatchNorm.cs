using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Cuda;

public sealed partial class CudaOps
{
    public void BatchNormMoments(Tensor x, Tensor moments) => _syncBatchNorm.Moments(_stream, x.Shape.Rows, x.Shape[-1], x.Data, moments.Data, TypeOf(x));

    public void BatchNormCombine(Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options) =>
        _syncBatchNorm.Combine(
            _stream, gathered.Shape[0], savedMean.Shape[0], gathered.Data, runningMean.Data, runningVariance.Data, savedMean.Data, savedInverseStd.Data,
            options.Momentum, options.Epsilon);

    public void BatchNormNormalize(Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options) =>
        _syncBatchNorm.Normalize(
            _stream, x.Shape.Rows, x.Shape[-1], x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, y.Data, options.Relu, Mask(options.Dropout), TypeOf(x));

    /// <summary>Leaves dx alone: g is worked out twice, since half precision would round it.</summary>
    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale, Tensor dShift, in BatchNormOptions options) =>
        _syncBatchNorm.GradientSums(
            _stream, x.Shape.Rows, x.Shape[-1], dy.Data, x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, sums.Data, dScale.Data, dShift.Data,
            options.Relu, Mask(options.Dropout), TypeOf(x));

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx, in BatchNormOptions options) =>
        _syncBatchNorm.InputGradient(
            _stream, gathered.Shape[0], x.Shape.Rows, x.Shape[-1], dy.Data, x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, gathered.Data, dx.Data,
            options.Relu, Mask(options.Dropout), TypeOf(x));
}
