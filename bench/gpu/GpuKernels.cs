using CudaTrainer.Bench.Kernels;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Bench.Gpu;

/// <summary>An op at a shape of the model, with activations in single or in half precision.</summary>
/// <param name="Name">What the table calls it.</param>
/// <param name="Type">Of the activations; parameters and their gradients are in single precision.</param>
/// <param name="Work">What it does at least.</param>
/// <param name="Build">Makes it on a device.</param>
internal sealed record GpuKernel(string Name, DType Type, Work Work, Func<OpTensors, Op> Build);

/// <summary>The ops of a training step on a GPU, at the sizes of <c>lstm-attention</c> with the command line's defaults or at small
/// ones.</summary>
internal sealed class GpuKernels(int batch, int time, int inputs)
{
    private const int Hidden = 128;

    private static readonly LayerDropout HalfDropped = new(0.5f, 42, 1, null);

    private int Rows => batch * time;

    public IEnumerable<GpuKernel> All => new[] { DType.Float32, DType.Float16 }.SelectMany(type => Of(type, type.Size()));

    private IEnumerable<GpuKernel> Of(DType type, double size)
    {
        double sequence = size * Rows * Hidden, pooled = size * batch * Hidden, gates = size * Rows * 4 * Hidden, cells = 4.0 * Rows * Hidden;
        long[] bounds = ParameterBounds();
        double parameters = 4.0 * bounds[^1];
        yield return new($"lstm_1 forward {batch}x{time}x{inputs}", type, LstmWork(inputs, 1), t => Lstm(t, type, inputs, false));
        yield return new($"lstm_1 backward {batch}x{time}x{inputs}, no input gradient", type, LstmWork(inputs, 1), t => Lstm(t, type, inputs, true));
        yield return new($"lstm_2 forward {batch}x{time}x{Hidden}", type, LstmWork(Hidden, 1), t => Lstm(t, type, Hidden, false));
        yield return new($"lstm_2 backward {batch}x{time}x{Hidden}", type, LstmWork(Hidden, 2), t => Lstm(t, type, Hidden, true));
        yield return new($"batch norm forward {Rows}x{Hidden} dropout", type, new Work(0, sequence, sequence), t => BatchNorm(t, type, false));
        yield return new($"batch norm backward {Rows}x{Hidden} dropout", type, new Work(0, 2 * sequence, sequence), t => BatchNorm(t, type, true));
        yield return new($"activation dropout forward {Rows}x{Hidden}", type, new Work(0, sequence, sequence), t => ActivationDropout(t, type));
        yield return new($"attention forward {batch}x{time}x{Hidden}", type, new Work(0, sequence, pooled), t => Attention(t, type, false));
        yield return new($"attention backward {batch}x{time}x{Hidden}", type, new Work(0, sequence + pooled, sequence), t => Attention(t, type, true));
        yield return new($"softmax focal loss {batch}x2", type, new Work(0, batch * (4 + (2 * size)), batch * (12 + (2 * size))), t => Loss(t, type));
        yield return new($"column sums {Rows}x{4 * Hidden}", type, new Work(0, gates, 0), t => ColumnSums(t, type));
        yield return new($"accumulate {Rows}x{Hidden}", type, new Work(0, 2 * sequence, sequence), t => Accumulate(t, type));
        if (type == DType.Float16)
        {
            yield return new($"cast to half {Rows}x{inputs}", type, new Work(0, 4.0 * Rows * inputs, 2.0 * Rows * inputs), Cast);
            yield return new($"gradient unscale and norms {bounds[^1]}", DType.Float32, new Work(0, parameters, parameters), t => Unscale(t, bounds));
            yield return new($"adam with clipping and half copies {bounds[^1]}", DType.Float32, new Work(0, 4 * parameters, 3.5 * parameters), t => AdamStep(t, bounds));
        }

        Work LstmWork(int width, int products) => new(
            2.0 * Rows * 4 * Hidden * ((products * width) + Hidden), (size * Rows * width) + (size * 4 * Hidden * (width + Hidden)), sequence + gates + cells);
    }

    private Op Lstm(OpTensors tensors, DType type, int width, bool backward)
    {
        var options = new RecurrentOptions(HalfReserve: type == DType.Float16);
        Tensor x = tensors.Random([batch, time, width], 1, type), y = tensors.Zeros([batch, time, Hidden], type);
        Tensor weightInput = tensors.Random([4 * Hidden, width], (float)Math.Sqrt(3.0 / width)), weightHidden = tensors.Random([4 * Hidden, Hidden], 0.15f), bias = tensors.Random([4 * Hidden]);
        Tensor reserve = tensors.Zeros([checked((int)tensors.Ops.LstmReserveBytes(x, y, options))], DType.UInt8);
        if (!backward)
        {
            return new Op(Forward, ("y", y));
        }

        Tensor dy = tensors.Random(y.Shape, 1, type), dWeightInput = tensors.Zeros(weightInput.Shape), dWeightHidden = tensors.Zeros(weightHidden.Shape), dBias = tensors.Zeros(bias.Shape);
        Tensor? dx = width == Hidden ? tensors.Zeros(x.Shape, type) : null;
        Forward();
        (string, Tensor)[] outputs = [("gradient of the input weights", dWeightInput), ("gradient of the hidden weights", dWeightHidden), ("gradient of the bias", dBias)];

        // Backward leaves its gradients where the gates were, so that repeating it times the same work on other numbers; only the first
        // run is compared.
        return new Op(
            () => tensors.Ops.LstmBackward(dy, x, weightInput, weightHidden, y, reserve, dx, dWeightInput, dWeightHidden, dBias, options), dx is null ? outputs : [.. outputs, ("gradient of x", dx)]);

        void Forward() => tensors.Ops.LstmForward(x, weightInput, weightHidden, bias, y, reserve, options);
    }

    private Op BatchNorm(OpTensors tensors, DType type, bool backward)
    {
        Shape shape = [Rows, Hidden];
        Tensor x = tensors.Random(shape, 1, type), y = tensors.Zeros(shape, type), scale = tensors.Random([Hidden]), shift = tensors.Random([Hidden]);
        Tensor runningMean = tensors.Zeros([Hidden]), runningVariance = tensors.Zeros([Hidden]), mean = tensors.Zeros([Hidden]), inverse = tensors.Zeros([Hidden]);
        var options = new BatchNormOptions(Training: true, Relu: false, HalfDropped);
        if (!backward)
        {
            return new Op(Forward, ("y", y), ("mean", mean), ("inverse deviation", inverse));
        }

        Forward();
        Tensor dy = tensors.Random(shape, 1, type), dx = tensors.Zeros(shape, type), dScale = tensors.Zeros([Hidden]), dShift = tensors.Zeros([Hidden]);
        return new Op(() => tensors.Ops.BatchNormBackward(dy, x, scale, shift, mean, inverse, dx, dScale, dShift, options), ("gradient of x", dx), ("gradient of the scale", dScale));

        void Forward() => tensors.Ops.BatchNormForward(x, scale, shift, runningMean, runningVariance, y, mean, inverse, options);
    }

    private Op ActivationDropout(OpTensors tensors, DType type)
    {
        Tensor x = tensors.Random([Rows, Hidden], 1, type), y = tensors.Zeros([Rows, Hidden], type);
        return new Op(() => tensors.Ops.ActivationDropoutForward(x, y, relu: true, HalfDropped), ("y", y));
    }

    private Op Attention(OpTensors tensors, DType type, bool backward)
    {
        Tensor x = tensors.Random([batch, time, Hidden], 1, type), weight = tensors.Random([1, Hidden], 0.2f), y = tensors.Zeros([batch, Hidden], type), attention = tensors.Zeros([batch, time]);
        if (!backward)
        {
            return new Op(Forward, ("y", y), ("attention", attention));
        }

        Forward();
        Tensor dy = tensors.Random([batch, Hidden], 1, type), dx = tensors.Zeros(x.Shape, type), dWeight = tensors.Zeros([1, Hidden]);
        return new Op(() => tensors.Ops.AttentionPoolBackward(dy, x, weight, attention, dx, dWeight), ("gradient of x", dx), ("gradient of the weight", dWeight));

        void Forward() => tensors.Ops.AttentionPoolForward(x, weight, y, attention);
    }

    private Op Loss(OpTensors tensors, DType type)
    {
        Shape shape = [batch, Classifier.Classes];
        Tensor logits = tensors.Random(shape, 3, type), labels = tensors.From([.. Enumerable.Range(0, batch).Select(i => i * 7 % 3 % 2)]);
        Tensor classWeights = tensors.From([0.8f, 1.3f], [2]), alpha = tensors.From([0.25f, 0.75f], [2]);
        Tensor losses = tensors.Zeros([batch]), probabilities = tensors.Zeros(shape), dLogits = tensors.Zeros(shape, type), state = tensors.State().Tensor;
        return new Op(
            () => tensors.Ops.SoftmaxFocalLoss(logits, labels, classWeights, alpha, losses, probabilities, dLogits, state, 1f / batch, new LossOptions(Focal: true, Gamma: 2, Smoothing: 0.1f)),
            ("losses", losses), ("probabilities", probabilities), ("gradient of the logits", dLogits));
    }

    private Op ColumnSums(OpTensors tensors, DType type)
    {
        Tensor x = tensors.Random([Rows, 4 * Hidden], 1, type), sums = tensors.Zeros([4 * Hidden]);
        return new Op(() => tensors.Ops.AddColumnSums(x, sums), ("sums", sums));
    }

    private Op Accumulate(OpTensors tensors, DType type)
    {
        Tensor x = tensors.Random([Rows, Hidden], 1, type), y = tensors.Random([Rows, Hidden], 1, type);
        return new Op(() => tensors.Ops.Accumulate(x, y), ("y", y));
    }

    private Op Cast(OpTensors tensors)
    {
        Tensor x = tensors.Random([Rows, inputs]), y = tensors.Zeros([Rows, inputs], DType.Float16);
        return new Op(() => tensors.Ops.Cast(x, y), ("y", y));
    }

    private static Op Unscale(OpTensors tensors, long[] bounds)
    {
        Tensor gradients = tensors.Random([(int)bounds[^1]]), segments = tensors.From(bounds), norms = tensors.Zeros([bounds.Length - 1]);
        StepStateTensor state = tensors.State();
        state.Write(new StepState { LossScale = 1 });
        return new Op(() => tensors.Ops.UnscaleAndCheckFinite(gradients, segments, norms, state.Tensor), ("gradients", gradients), ("norms", norms));
    }

    private static Op AdamStep(OpTensors tensors, long[] bounds)
    {
        Shape shape = [(int)bounds[^1]];
        Tensor parameters = tensors.Random(shape, 0.1f), gradients = tensors.Random(shape, 0.01f), first = tensors.Zeros(shape), second = tensors.Zeros(shape), half = tensors.Zeros(shape, DType.Float16);
        Tensor segments = tensors.From(bounds), norms = tensors.Zeros([bounds.Length - 1]);
        StepStateTensor state = tensors.State();
        state.Write(new StepState { LearningRate = 1e-3f, LossScale = 1, GradientNorm = 3 });
        return new Op(
            () => tensors.Ops.AdamStep(parameters, gradients, first, second, segments, norms, half, state.Tensor, new AdamOptions()),
            ("parameters", parameters), ("first moments", first), ("second moments", second), ("half copies", half));
    }

    /// <summary>Where each parameter of the default classifier begins, and their number.</summary>
    private long[] ParameterBounds()
    {
        long end = 0;
        return [0, .. Classifiers.Create("lstm-attention", new ClassifierOptions(inputs)).Parameters.Select(parameter => end += parameter.Shape.Count)];
    }
}
