using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Backends.Cpu;

public sealed unsafe partial class CpuOps
{
    public void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias, bool accumulate)
    {
        int m = c.Shape.Rows, n = c.Shape[-1], k = transposeA ? a.Shape.Rows : a.Shape[-1];
        Kernels.Cpu.Gemm.Run(
            team, transposeA, transposeB, m, n, k, Floats(a), a.Shape[-1], Floats(b), b.Shape[-1], Floats(c), n,
            accumulate, bias is null ? null : Floats(bias));
    }

    public void AddColumnSums(Tensor x, Tensor sums) =>
        ColumnSum.Accumulate(team, x.Shape.Rows, x.Shape[-1], Floats(x), x.Shape[-1], Floats(sums));

    public void Accumulate(Tensor x, Tensor y) =>
        Elementwise.Run(team, ElementwiseOperation.Add, x.Count, Floats(x), Floats(y), Floats(y));

    public void Cast(Tensor x, Tensor y)
    {
        switch (x.DType, y.DType)
        {
            case (DType.Float32, DType.Float16):
                Kernels.Cpu.Cast.ToHalf(team, x.Count, Floats(x), (Half*)y.Data);
                break;
            case (DType.Float16, DType.Float32):
                Kernels.Cpu.Cast.ToSingle(team, x.Count, (Half*)x.Data, Floats(y));
                break;
            default:
                throw new TensorMismatchException("Cast", x.Name ?? "x", $"is {x.DType}; the cpu device converts between Float32 and Float16, not to {y.DType}.");
        }
    }

    public void CopyRows(Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows, int columns, bool accumulate) =>
        Copy2D.Run(team, rows, columns, Floats(source) + sourceOffset, sourceStride, Floats(destination) + destinationOffset, destinationStride, accumulate);

    public void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout) =>
        ActivationDropout.Forward(team, x.Count, Floats(x), Floats(y), relu, Mask(dropout));

    public void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout) =>
        ActivationDropout.Backward(team, x.Count, Floats(x), Floats(dy), Floats(dx), relu, Mask(dropout));

    public void BatchNormForward(Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        if (options.Training)
        {
            BatchNorm.ForwardTraining(
                team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(runningMean), Floats(runningVariance), Floats(y),
                Floats(savedMean), Floats(savedInverseStd), options.Relu, Mask(options.Dropout), options.Momentum, options.Epsilon);
        }
        else
        {
            BatchNorm.ForwardInference(
                team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(runningMean), Floats(runningVariance), Floats(y),
                options.Relu, options.Epsilon);
        }
    }

    public void BatchNormBackward(Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift, in BatchNormOptions options) =>
        BatchNorm.Backward(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd), Floats(dy), Floats(dx),
            Floats(dScale), Floats(dShift), options.Relu, Mask(options.Dropout));

    public void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention) =>
        AttentionPool.Forward(team, x.Shape[0], x.Shape[1], x.Shape[2], Floats(x), Floats(weight), Floats(y), Floats(attention));

    public void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight) =>
        AttentionPool.Backward(team, x.Shape[0], x.Shape[1], x.Shape[2], Floats(x), Floats(weight), Floats(attention), Floats(dy), Floats(dx), Floats(dWeight));

    public void SoftmaxFocalLoss(Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state, float scale, in LossOptions options) =>
        Kernels.Cpu.SoftmaxFocalLoss.Run(
            team, logits.Shape[0], logits.Shape[1], Floats(logits), (int*)labels.Data, Floats(classWeights), Floats(alpha), Floats(losses), Floats(probabilities),
            dLogits is null ? null : Floats(dLogits), State(state), scale, options);

    public void BeginStep(Tensor state, Tensor orders)
    {
        State(state)->LearningRate = Floats(orders)[0];
        State(state)->StopRequests = Floats(orders)[1];
        State(state)->Loss = 0;
        State(state)->Correct = 0;
    }

    public void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share) =>
        SharedStep.Write(State(state), buffers.Count, Floats(buffers), share, Floats(shared));

    public void ReadShared(Tensor shared, Tensor state, Tensor buffers) =>
        SharedStep.Read(Floats(shared), State(state), buffers.Count, Floats(buffers));

    public void RestoreIfSkipped(Tensor values, Tensor before, Tensor state)
    {
        if (State(state)->FoundNonFinite != 0)
        {
            values.CopyFrom(before);
        }
    }

    public void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state) =>
        GradientUnscale.Run(team, (int)norms.Count, (long*)segments.Data, Floats(gradients), Floats(norms), State(state));

    public void AdamStep(Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms, Tensor? halfParameters, Tensor state, in AdamOptions options) =>
        Adam.Step(
            team, (int)norms.Count, (long*)segments.Data, Floats(parameters), Floats(gradients), Floats(firstMoments), Floats(secondMoments),
            halfParameters is null ? null : (Half*)halfParameters.Data, Floats(norms), State(state), options);

    public void UpdateLossScale(Tensor state, bool enabled) => LossScale.Update(State(state), enabled: enabled);
}
