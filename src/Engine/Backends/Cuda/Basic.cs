using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Interop;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Backends.Cuda;

public sealed partial class CudaOps
{
    public void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias, bool accumulate)
    {
        int m = c.Shape.Rows, n = c.Shape[-1], k = transposeA ? a.Shape.Rows : a.Shape[-1];
        CudaType type = a.DType == DType.Float16 || b.DType == DType.Float16 ? CudaType.Float16 : CudaType.Float32;
        nint left = Operand(a, type, CudaWorkspace.Use.OperandA), right = Operand(b, type, CudaWorkspace.Use.OperandB);
        Multiply(transposeA, transposeB, m, n, k, left, a.Shape[-1], right, b.Shape[-1], type, c.Data, TypeOf(c), accumulate);
        if (bias is not null)
        {
            _biasRelu.Run(_stream, m, n, c.Data, bias.Data, relu: false, TypeOf(c));
        }
    }

    public void AddColumnSums(Tensor x, Tensor sums) => _columnSums.Run(_stream, x.Shape.Rows, x.Shape[-1], x.Data, sums.Data, TypeOf(x));

    public void Accumulate(Tensor x, Tensor y) => _elementwise.Accumulate(_stream, x.Count, x.Data, y.Data, TypeOf(x));

    public void Cast(Tensor x, Tensor y) => _elementwise.Cast(_stream, x.Count, x.Data, TypeOf(x), y.Data, TypeOf(y));

    public void CopyRows(Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows, int columns, bool accumulate)
    {
        int size = source.DType.Size();
        _elementwise.CopyRows(
            _stream, rows, columns, (nint)(source.Data + (sourceOffset * size)), sourceStride, (nint)(destination.Data + (destinationOffset * size)), destinationStride, accumulate,
            TypeOf(source));
    }

    public void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout) =>
        _activationDropout.Forward(_stream, x.Count, x.Data, y.Data, relu, Mask(dropout), TypeOf(x));

    public void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout) =>
        _activationDropout.Backward(_stream, x.Count, dy.Data, x.Data, dx.Data, relu, Mask(dropout), TypeOf(x));

    public void BatchNormForward(Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        if (options.Training)
        {
            _batchNorm.ForwardTraining(
                _stream, x.Shape.Rows, x.Shape[-1], x.Data, scale.Data, shift.Data, runningMean.Data, runningVariance.Data, y.Data, savedMean.Data, savedInverseStd.Data,
                options.Relu, Mask(options.Dropout), options.Momentum, options.Epsilon, TypeOf(x));
        }
        else
        {
            _batchNorm.ForwardInference(
                _stream, x.Shape.Rows, x.Shape[-1], x.Data, scale.Data, shift.Data, runningMean.Data, runningVariance.Data, y.Data, options.Relu, options.Epsilon, TypeOf(x));
        }
    }

    public void BatchNormBackward(Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift, in BatchNormOptions options) =>
        _batchNorm.Backward(
            _stream, x.Shape.Rows, x.Shape[-1], dy.Data, x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, dx.Data, dScale.Data, dShift.Data,
            options.Relu, Mask(options.Dropout), TypeOf(x));

    public void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention) =>
        _attentionPool.Forward(_stream, x.Shape[0], x.Shape[1], x.Shape[2], x.Data, weight.Data, y.Data, attention.Data, TypeOf(x));

    public void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        nint sums = _workspace.Take(CudaWorkspace.Use.Sums, Gpu.AttentionPool.WorkspaceBytes(batch, time, channels));
        _attentionPool.Backward(_stream, batch, time, channels, dy.Data, x.Data, weight.Data, attention.Data, dx.Data, dWeight.Data, sums, TypeOf(x));
    }

    public void SoftmaxFocalLoss(Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state, float scale, in LossOptions options) =>
        _loss.Run(
            _stream, logits.Shape[0], logits.Shape[1], logits.Data, labels.Data, classWeights.Data, alpha.Data, losses.Data, probabilities.Data, dLogits?.Data ?? 0, state.Data,
            scale, options, TypeOf(logits));

    public void BeginStep(Tensor state, Tensor orders) => _stepControl.BeginStep(_stream, state.Data, orders.Data);

    public void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share) =>
        _stepControl.WriteShared(_stream, state.Data, (int)buffers.Count, buffers.Data, share, shared.Data);

    public void ReadShared(Tensor shared, Tensor state, Tensor buffers) =>
        _stepControl.ReadShared(_stream, shared.Data, state.Data, (int)buffers.Count, buffers.Data);

    public void RestoreIfSkipped(Tensor values, Tensor before, Tensor state) => _stepControl.RestoreIfSkipped(_stream, values.Count, values.Data, before.Data, state.Data);

    public void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state)
    {
        nint sums = _workspace.Take(CudaWorkspace.Use.Sums, Gpu.Gradients.UnscaleWorkspaceBytes((int)norms.Count, gradients.Count));
        _gradients.UnscaleAndCheckFinite(_stream, (int)norms.Count, gradients.Count, gradients.Data, segments.Data, norms.Data, state.Data, sums);
    }

    public void AdamStep(Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms, Tensor? halfParameters, Tensor state, in AdamOptions options)
    {
        nint factors = _workspace.Take(CudaWorkspace.Use.Sums, Gpu.Gradients.AdamWorkspaceBytes);
        _gradients.AdamStep(
            _stream, (int)norms.Count, parameters.Count, parameters.Data, gradients.Data, firstMoments.Data, secondMoments.Data, segments.Data, norms.Data,
            halfParameters?.Data ?? 0, state.Data, factors, options);
    }

    public void UpdateLossScale(Tensor state, bool enabled) => _stepControl.UpdateLossScale(_stream, state.Data, enabled);

    /// <summary>Row-major C[m, n] = op(A)·op(B) (+ C), with fp32 sums.</summary>
    private void Multiply(bool transposeA, bool transposeB, int m, int n, int k, nint a, int lda, nint b, int ldb, CudaType type, nint c, CudaType typeC, bool accumulate) =>
        _cublas.Gemm(transposeA, transposeB, m, n, k, 1, a, type, lda, b, type, ldb, accumulate ? 1 : 0, c, typeC, n);
}
