using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Bench.Kernels;

/// <summary>The kernels of a training step besides the recurrent layers, at the sizes of <c>lstm-attention</c> with the command line's defaults.</summary>
internal static class TrainingKernels
{
    public const int Batch = 64;
    public const int Time = 20;
    public const int Hidden = 128;
    private const int Rows = Batch * Time;

    /// <summary>Single-precision elements of a batch of features.</summary>
    private const int Features = Rows * Vgg19.Features;

    private static readonly LayerDropout HalfDropped = new(0.5f, 42, 1, null);

    public static IEnumerable<KernelCase> All
    {
        get
        {
            double sequence = 4.0 * Rows * Hidden, pooled = 4.0 * Batch * Hidden, dense = 4.0 * Batch * 256;
            long[] bounds = ParameterBounds();
            double parameters = 4.0 * bounds[^1];
            return
            [
                OpKernel.Case($"batch norm forward {Rows}x{Hidden} dropout", new Work(0, sequence, sequence), tensors => BatchNorm(tensors, Rows, Hidden, relu: false, backward: false)),
                OpKernel.Case($"batch norm backward {Rows}x{Hidden} dropout", new Work(0, 2 * sequence, sequence), tensors => BatchNorm(tensors, Rows, Hidden, relu: false, backward: true)),
                OpKernel.Case($"batch norm forward {Batch}x256 relu dropout", new Work(0, dense, dense), tensors => BatchNorm(tensors, Batch, 256, relu: true, backward: false)),
                OpKernel.Case($"batch norm backward {Batch}x256 relu dropout", new Work(0, 2 * dense, dense), tensors => BatchNorm(tensors, Batch, 256, relu: true, backward: true)),
                OpKernel.Case($"activation dropout forward {Rows}x{Hidden}", new Work(0, sequence, sequence), tensors => ActivationDropout(tensors, backward: false)),
                OpKernel.Case($"activation dropout backward {Rows}x{Hidden}", new Work(0, 2 * sequence, sequence), tensors => ActivationDropout(tensors, backward: true)),
                OpKernel.Case($"attention forward {Batch}x{Time}x{Hidden}", new Work(0, sequence, pooled), tensors => Attention(tensors, backward: false)),
                OpKernel.Case($"attention backward {Batch}x{Time}x{Hidden}", new Work(0, sequence + pooled, sequence), tensors => Attention(tensors, backward: true)),
                OpKernel.Case($"softmax focal loss {Batch}x{Classifier.Classes}", new Work(0, 12.0 * Batch, 20.0 * Batch), Loss),
                OpKernel.Case($"column sum {Rows}x{4 * Hidden}", new Work(0, 4 * sequence, 0), ColumnSum),
                OpKernel.Case($"accumulate {Rows}x{Hidden}", new Work(0, 2 * sequence, sequence), Accumulate),
                OpKernel.Case($"copy {Rows}x{Hidden} into {Rows}x{2 * Hidden}", new Work(0, sequence, sequence), Copy),
                OpKernel.Case($"cast to half {Rows}x{Vgg19.Features}", new Work(0, 4.0 * Features, 2.0 * Features), tensors => Cast(tensors, DType.Float32, DType.Float16)),
                OpKernel.Case($"cast to single {Rows}x{Vgg19.Features}", new Work(0, 2.0 * Features, 4.0 * Features), tensors => Cast(tensors, DType.Float16, DType.Float32)),
                OpKernel.Case($"gradient unscale and norms {bounds[^1]}", new Work(0, parameters, parameters), tensors => Unscale(tensors, bounds)),
                OpKernel.Case($"adam with clipping {bounds[^1]}", new Work(0, 4 * parameters, 3 * parameters), tensors => AdamStep(tensors, bounds)),
            ];
        }
    }

    private static Op BatchNorm(OpTensors tensors, int rows, int channels, bool relu, bool backward)
    {
        Tensor x = tensors.Random([rows, channels]), y = tensors.Zeros([rows, channels]), scale = tensors.Random([channels]), shift = tensors.Random([channels]);
        Tensor runningMean = tensors.Zeros([channels]), runningVariance = tensors.Zeros([channels]), mean = tensors.Zeros([channels]), inverse = tensors.Zeros([channels]);
        var options = new BatchNormOptions(Training: true, relu, HalfDropped);
        if (!backward)
        {
            return new Op(Forward, ("y", y), ("mean", mean), ("inverse deviation", inverse), ("running mean", runningMean), ("running variance", runningVariance));
        }

        Forward();
        Tensor dy = tensors.Random([rows, channels]), dx = tensors.Zeros([rows, channels]), dScale = tensors.Zeros([channels]), dShift = tensors.Zeros([channels]);
        return new Op(
            () => tensors.Ops.BatchNormBackward(dy, x, scale, shift, mean, inverse, dx, dScale, dShift, options), ("gradient of x", dx), ("gradient of the scale", dScale), ("gradient of the shift", dShift));

        void Forward() => tensors.Ops.BatchNormForward(x, scale, shift, runningMean, runningVariance, y, mean, inverse, options);
    }

    private static Op ActivationDropout(OpTensors tensors, bool backward)
    {
        Tensor x = tensors.Random([Rows, Hidden]), y = tensors.Zeros([Rows, Hidden]), dy = tensors.Random([Rows, Hidden]);
        return backward
            ? new Op(() => tensors.Ops.ActivationDropoutBackward(dy, x, y, relu: true, HalfDropped), ("gradient of x", y))
            : new Op(() => tensors.Ops.ActivationDropoutForward(x, y, relu: true, HalfDropped), ("y", y));
    }

    private static Op Attention(OpTensors tensors, bool backward)
    {
        Tensor x = tensors.Random([Batch, Time, Hidden]), weight = tensors.Random([Hidden], 0.2f), y = tensors.Zeros([Batch, Hidden]), attention = tensors.Zeros([Batch, Time]);
        if (!backward)
        {
            return new Op(Forward, ("y", y), ("attention", attention));
        }

        Forward();
        Tensor dy = tensors.Random([Batch, Hidden]), dx = tensors.Zeros([Batch, Time, Hidden]), dWeight = tensors.Zeros([Hidden]);
        return new Op(() => tensors.Ops.AttentionPoolBackward(dy, x, weight, attention, dx, dWeight), ("gradient of x", dx), ("gradient of the weight", dWeight));

        void Forward() => tensors.Ops.AttentionPoolForward(x, weight, y, attention);
    }

    private static Op Loss(OpTensors tensors)
    {
        Shape shape = [Batch, Classifier.Classes];
        Tensor logits = tensors.Random(shape, 3), labels = tensors.From([.. Enumerable.Range(0, Batch).Select(i => i * 7 % 3 % 2)]);
        Tensor classWeights = tensors.From([0.8f, 1.3f], [2]), alpha = tensors.From([0.25f, 0.75f], [2]);
        Tensor losses = tensors.Zeros([Batch]), probabilities = tensors.Zeros(shape), dLogits = tensors.Zeros(shape), state = tensors.State().Tensor;
        var options = new LossOptions(Focal: true, Gamma: 2, Smoothing: 0.1f);
        return new Op(
            () => tensors.Ops.SoftmaxFocalLoss(logits, labels, classWeights, alpha, losses, probabilities, dLogits, state, 1f / Batch, options),
            ("losses", losses), ("probabilities", probabilities), ("gradient of the logits", dLogits));
    }

    private static Op ColumnSum(OpTensors tensors)
    {
        Tensor x = tensors.Random([Rows, 4 * Hidden]), sums = tensors.Zeros([4 * Hidden]);
        return new Op(() => tensors.Ops.AddColumnSums(x, sums), ("sums", sums));
    }

    private static Op Accumulate(OpTensors tensors)
    {
        Tensor x = tensors.Random([Rows, Hidden]), y = tensors.Random([Rows, Hidden]);
        return new Op(() => tensors.Ops.Accumulate(x, y), ("y", y));
    }

    private static Op Copy(OpTensors tensors)
    {
        Tensor x = tensors.Random([Rows, Hidden]), y = tensors.Zeros([Rows, 2 * Hidden]);
        return new Op(() => tensors.Ops.CopyRows(x, 0, Hidden, y, Hidden, 2 * Hidden, Rows, Hidden), ("y", y));
    }

    private static Op Cast(OpTensors tensors, DType from, DType to)
    {
        Tensor x = tensors.From(NativeArray.RandomManaged(Features, 1), [Features], from), y = tensors.Zeros([Features], to);
        return new Op(() => tensors.Ops.Cast(x, y), ("y", y));
    }

    private static Op Unscale(OpTensors tensors, long[] bounds)
    {
        Tensor gradients = tensors.Random([(int)bounds[^1]]), segments = tensors.From(bounds), norms = tensors.Zeros([bounds.Length - 1]);
        StepStateTensor state = tensors.State();
        float scale = 0.5f;
        return new Op(Run, ("gradients", gradients), ("norms", norms));

        // Halving and doubling in turn: always dividing by the same scale would soon time denormal numbers.
        void Run()
        {
            scale = 1 / scale;
            state.Write(new StepState { LossScale = scale });
            tensors.Ops.UnscaleAndCheckFinite(gradients, segments, norms, state.Tensor);
        }
    }

    private static Op AdamStep(OpTensors tensors, long[] bounds)
    {
        Shape shape = [(int)bounds[^1]];
        Tensor parameters = tensors.Random(shape, 0.1f), gradients = tensors.Random(shape, 0.01f), first = tensors.Zeros(shape), second = tensors.Zeros(shape);
        Tensor segments = tensors.From(bounds), norms = tensors.Zeros([bounds.Length - 1]);
        StepStateTensor state = tensors.State();
        state.Write(new StepState { LearningRate = 1e-3f, LossScale = 1, GradientNorm = 3 });
        var options = new AdamOptions();
        return new Op(
            () => tensors.Ops.AdamStep(parameters, gradients, first, second, segments, norms, null, state.Tensor, options),
            ("parameters", parameters), ("first moments", first), ("second moments", second));
    }

    /// <summary>Where each parameter of the default classifier begins, and their number.</summary>
    private static long[] ParameterBounds()
    {
        long end = 0;
        return [0, .. Classifiers.Create("lstm-attention", new ClassifierOptions(Vgg19.Features)).Parameters.Select(parameter => end += parameter.Shape.Count)];
    }
}
