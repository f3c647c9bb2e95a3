using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Bench.Kernels;

/// <summary>An op at a shape, to be timed on any device.</summary>
/// <param name="Name">What the table calls it.</param>
/// <param name="Type">Of the activations; parameters and their gradients are in single precision.</param>
/// <param name="Work">What it does at least.</param>
/// <param name="Build">Makes it on a device.</param>
internal sealed record TimedOp(string Name, DType Type, Work Work, Func<OpTensors, Op> Build);

/// <summary>The ops of a training step, at the sizes of <c>lstm-attention</c> with the command line's defaults or at small ones.</summary>
internal sealed class ModelOps(int batch, int time, int inputs)
{
    public const int Hidden = 128;

    private static readonly LayerDropout HalfDropped = new(0.5f, 42, 1, null);

    private int Rows => batch * time;

    /// <summary>The recurrent layers, of which the first has no gradient of its input.</summary>
    public IEnumerable<TimedOp> Layers(DType type)
    {
        double size = type.Size(), sequence = size * Rows * Hidden, gates = size * Rows * 4 * Hidden, cells = 4.0 * Rows * Hidden;
        return
        [
            new($"lstm_1 forward {batch}x{time}x{inputs}", type, Work(inputs, 1), t => Lstm(t, type, inputs, backward: false)),
            new($"lstm_1 backward {batch}x{time}x{inputs}, no input gradient", type, Work(inputs, 1),
                t => Lstm(t, type, inputs, backward: true)),
            new($"lstm_2 forward {batch}x{time}x{Hidden}", type, Work(Hidden, 1), t => Lstm(t, type, Hidden, backward: false)),
            new($"lstm_2 backward {batch}x{time}x{Hidden}", type, Work(Hidden, 2), t => Lstm(t, type, Hidden, backward: true)),
        ];

        Work Work(int width, int products) => new(
            2.0 * Rows * 4 * Hidden * ((products * width) + Hidden), (size * Rows * width) + (size * 4 * Hidden * (width + Hidden)),
            sequence + gates + cells);
    }

    /// <summary>Everything else.</summary>
    public IEnumerable<TimedOp> Others(DType type)
    {
        double size = type.Size(), sequence = size * Rows * Hidden, pooled = size * batch * Hidden, dense = size * batch * 256;
        long[] bounds = ParameterBounds();
        bool half = type == DType.Float16;
        double parameters = 4.0 * bounds[^1], features = Rows * (double)inputs, statistics = 3 * 4.0 * batch * inputs;
        return
        [
            BatchNorm(Rows, Hidden, relu: false, sequence, backward: false),
            BatchNorm(Rows, Hidden, relu: false, sequence, backward: true),
            BatchNorm(batch, 256, relu: true, dense, backward: false),
            BatchNorm(batch, 256, relu: true, dense, backward: true),
            Op($"activation dropout forward {Rows}x{Hidden}", sequence, sequence, t => ActivationDropout(t, type, backward: false)),
            Op($"activation dropout backward {Rows}x{Hidden}", 2 * sequence, sequence, t => ActivationDropout(t, type, backward: true)),
            Op($"attention forward {batch}x{time}x{Hidden}", sequence, pooled, t => Attention(t, type, backward: false)),
            Op($"attention backward {batch}x{time}x{Hidden}", sequence + pooled, sequence, t => Attention(t, type, backward: true)),
            Op($"time statistics forward {batch}x{time}x{inputs}", size * features, statistics,
                t => TimeStatistics(t, type, backward: false)),
            Op($"time statistics backward {batch}x{time}x{inputs}", (size * features) + (5.0 / 3 * statistics), size * features,
                t => TimeStatistics(t, type, backward: true)),
            Op($"time differences forward {batch}x{time}x{inputs}", size * features, 2 * size * features,
                t => TimeDifferences(t, type, backward: false)),
            Op($"time differences backward {batch}x{time}x{inputs}", 2 * size * features, size * features,
                t => TimeDifferences(t, type, backward: true)),
            Op($"softmax focal loss {batch}x{Classifier.Classes}", batch * (4 + (2 * size)), batch * (12 + (2 * size)), t => Loss(t, type)),
            Op($"column sum {Rows}x{4 * Hidden}", 4 * sequence, 0, t => ColumnSum(t, type)),
            Op($"accumulate {Rows}x{Hidden}", 2 * sequence, sequence, t => Accumulate(t, type)),
            Op($"copy {Rows}x{Hidden} into {Rows}x{2 * Hidden}", sequence, sequence, t => Copy(t, type)),
            half
                ? Op($"cast to single {Rows}x{inputs}", 2 * features, 4 * features, t => Cast(t, DType.Float16, DType.Float32))
                : Op($"cast to half {Rows}x{inputs}", 4 * features, 2 * features, t => Cast(t, DType.Float32, DType.Float16)),
            Op($"gradient unscale and norms {bounds[^1]}", parameters, parameters, t => Unscale(t, bounds)),
            Op($"adam with clipping{(half ? " and half copies" : string.Empty)} {bounds[^1]}", 4 * parameters,
                (half ? 3.5 : 3) * parameters, t => AdamStep(t, bounds, half)),
        ];

        TimedOp Op(string name, double read, double written, Func<OpTensors, Op> build) =>
            new(name, type, new Work(0, read, written), build);

        TimedOp BatchNorm(int rows, int channels, bool relu, double bytes, bool backward) => Op(
            $"batch norm {(backward ? "backward" : "forward")} {rows}x{channels}{(relu ? " relu" : string.Empty)} dropout",
            backward ? 2 * bytes : bytes, bytes,
            t => ModelOps.BatchNorm(t, type, rows, channels, relu, backward));
    }

    private Op Lstm(OpTensors tensors, DType type, int width, bool backward)
    {
        var options = new RecurrentOptions(HalfReserve: type == DType.Float16);
        Tensor x = tensors.Random([batch, time, width], 1, type), y = tensors.Zeros([batch, time, Hidden], type);
        Tensor weightInput = tensors.Random([4 * Hidden, width], (float)Math.Sqrt(3.0 / width));
        Tensor weightHidden = tensors.Random([4 * Hidden, Hidden], 0.15f), bias = tensors.Random([4 * Hidden]);
        Tensor reserve = tensors.Zeros([checked((int)tensors.Ops.LstmReserveBytes(x, y, options))], DType.UInt8);
        if (!backward)
        {
            return new Op(Forward, ("y", y));
        }

        Tensor dy = tensors.Random(y.Shape, 1, type), dWeightInput = tensors.Zeros(weightInput.Shape),
            dWeightHidden = tensors.Zeros(weightHidden.Shape), dBias = tensors.Zeros(bias.Shape);
        Tensor? dx = width == Hidden ? tensors.Zeros(x.Shape, type) : null;
        Forward();
        (string, Tensor)[] outputs = [("gradient of the input weights", dWeightInput), ("gradient of the hidden weights", dWeightHidden),
            ("gradient of the bias", dBias)];

        // Backward leaves its gradients where the gates were, so that repeating it times the same work on other numbers; only the first
        // run is compared.
        return new Op(
            () => tensors.Ops.LstmBackward(dy, x, weightInput, weightHidden, y, reserve, dx, dWeightInput, dWeightHidden, dBias, options),
            dx is null ? outputs : [.. outputs, ("gradient of x", dx)]);

        void Forward() => tensors.Ops.LstmForward(x, weightInput, weightHidden, bias, y, reserve, options);
    }

    private static Op BatchNorm(OpTensors tensors, DType type, int rows, int channels, bool relu, bool backward)
    {
        Shape shape = [rows, channels];
        Tensor x = tensors.Random(shape, 1, type), y = tensors.Zeros(shape, type), scale = tensors.Random([channels]),
            shift = tensors.Random([channels]);
        Tensor runningMean = tensors.Zeros([channels]), runningVariance = tensors.Zeros([channels]), mean = tensors.Zeros([channels]),
            inverse = tensors.Zeros([channels]);
        var options = new BatchNormOptions(Training: true, relu, HalfDropped);
        if (!backward)
        {
            return new Op(
                Forward, ("y", y), ("mean", mean), ("inverse deviation", inverse), ("running mean", runningMean),
                    ("running variance", runningVariance));
        }

        Forward();
        Tensor dy = tensors.Random(shape, 1, type), dx = tensors.Zeros(shape, type), dScale = tensors.Zeros([channels]),
            dShift = tensors.Zeros([channels]);
        return new Op(
            () => tensors.Ops.BatchNormBackward(dy, x, scale, shift, mean, inverse, dx, dScale, dShift, options),
            ("gradient of x", dx), ("gradient of the scale", dScale), ("gradient of the shift", dShift));

        void Forward() => tensors.Ops.BatchNormForward(x, scale, shift, runningMean, runningVariance, y, mean, inverse, options);
    }

    private Op ActivationDropout(OpTensors tensors, DType type, bool backward)
    {
        Tensor x = tensors.Random([Rows, Hidden], 1, type), y = tensors.Zeros([Rows, Hidden], type),
            dy = tensors.Random([Rows, Hidden], 1, type);
        return backward
            ? new Op(() => tensors.Ops.ActivationDropoutBackward(dy, x, y, relu: true, HalfDropped), ("gradient of x", y))
            : new Op(() => tensors.Ops.ActivationDropoutForward(x, y, relu: true, HalfDropped), ("y", y));
    }

    private Op Attention(OpTensors tensors, DType type, bool backward)
    {
        Tensor x = tensors.Random([batch, time, Hidden], 1, type), weight = tensors.Random([1, Hidden], 0.2f);
        Tensor y = tensors.Zeros([batch, Hidden], type), attention = tensors.Zeros([batch, time]);
        if (!backward)
        {
            return new Op(Forward, ("y", y), ("attention", attention));
        }

        Forward();
        Tensor dy = tensors.Random([batch, Hidden], 1, type), dx = tensors.Zeros(x.Shape, type), dWeight = tensors.Zeros([1, Hidden]);
        return new Op(
            () => tensors.Ops.AttentionPoolBackward(dy, x, weight, attention, dx, dWeight), ("gradient of x", dx),
                ("gradient of the weight", dWeight));

        void Forward() => tensors.Ops.AttentionPoolForward(x, weight, y, attention);
    }

    private Op TimeStatistics(OpTensors tensors, DType type, bool backward)
    {
        Tensor x = tensors.Random([batch, time, inputs], 1, type), y = tensors.Zeros([batch, 3 * inputs]);
        if (!backward)
        {
            return new Op(Forward, ("y", y));
        }

        Forward();
        Tensor dy = tensors.Random(y.Shape), dx = tensors.Zeros(x.Shape, type);
        return new Op(() => tensors.Ops.TimeStatisticsBackward(dy, x, y, dx), ("gradient of x", dx));

        void Forward() => tensors.Ops.TimeStatisticsForward(x, y);
    }

    private Op TimeDifferences(OpTensors tensors, DType type, bool backward)
    {
        Tensor x = tensors.Random([batch, time, inputs], 1, type), y = tensors.Random([batch, time, 2 * inputs], 1, type);
        return backward
            ? new Op(() => tensors.Ops.TimeDifferencesBackward(y, x), ("gradient of x", x))
            : new Op(() => tensors.Ops.TimeDifferencesForward(x, y), ("y", y));
    }

    private Op Loss(OpTensors tensors, DType type)
    {
        Shape shape = [batch, Classifier.Classes];
        Tensor logits = tensors.Random(shape, 3, type), labels = tensors.From([.. Enumerable.Range(0, batch).Select(i => i * 7 % 3 % 2)]);
        Tensor classWeights = tensors.From([0.8f, 1.3f], [2]), alpha = tensors.From([0.25f, 0.75f], [2]);
        Tensor losses = tensors.Zeros([batch]), probabilities = tensors.Zeros(shape), dLogits = tensors.Zeros(shape, type),
            state = tensors.State().Tensor;
        var options = new LossOptions(Focal: true, Gamma: 2, Smoothing: 0.1f);
        return new Op(
            () => tensors.Ops.SoftmaxFocalLoss(logits, labels, classWeights, alpha, losses, probabilities, dLogits, state, 1f / batch,
                options),
            ("losses", losses), ("probabilities", probabilities), ("gradient of the logits", dLogits));
    }

    private Op ColumnSum(OpTensors tensors, DType type)
    {
        Tensor x = tensors.Random([Rows, 4 * Hidden], 1, type), sums = tensors.Zeros([4 * Hidden]);
        return new Op(() => tensors.Ops.AddColumnSums(x, sums), ("sums", sums));
    }

    private Op Accumulate(OpTensors tensors, DType type)
    {
        Tensor x = tensors.Random([Rows, Hidden], 1, type), y = tensors.Random([Rows, Hidden], 1, type);
        return new Op(() => tensors.Ops.Accumulate(x, y), ("y", y));
    }

    private Op Copy(OpTensors tensors, DType type)
    {
        Tensor x = tensors.Random([Rows, Hidden], 1, type), y = tensors.Zeros([Rows, 2 * Hidden], type);
        return new Op(() => tensors.Ops.CopyRows(x, 0, Hidden, y, Hidden, 2 * Hidden, Rows, Hidden), ("y", y));
    }

    private Op Cast(OpTensors tensors, DType from, DType to)
    {
        Tensor x = tensors.Random([Rows, inputs], 1, from), y = tensors.Zeros([Rows, inputs], to);
        return new Op(() => tensors.Ops.Cast(x, y), ("y", y));
    }

    private static Op Unscale(OpTensors tensors, long[] bounds)
    {
        Tensor gradients = tensors.Random([(int)bounds[^1]]), segments = tensors.From(bounds), norms = tensors.Zeros([bounds.Length - 1]);
        StepStateTensor state = tensors.State();

        // Any other scale makes the gradients denormal or infinite after some runs.
        state.Write(new StepState { LossScale = 1 });
        return new Op(() => tensors.Ops.UnscaleAndCheckFinite(gradients, segments, norms, state.Tensor), ("gradients", gradients),
            ("norms", norms));
    }

    private static Op AdamStep(OpTensors tensors, long[] bounds, bool withHalves)
    {
        Shape shape = [(int)bounds[^1]];
        Tensor parameters = tensors.Random(shape, 0.1f), gradients = tensors.Random(shape, 0.01f), first = tensors.Zeros(shape),
            second = tensors.Zeros(shape);
        Tensor segments = tensors.From(bounds), norms = tensors.Zeros([bounds.Length - 1]),
            decays = tensors.Zeros([bounds.Length - 1]);
        Tensor? halves = withHalves ? tensors.Zeros(shape, DType.Float16) : null;
        StepStateTensor state = tensors.State();
        state.Write(new StepState { LearningRate = 1e-3f, LossScale = 1, GradientNorm = 3 });
        (string, Tensor)[] outputs = [("parameters", parameters), ("first moments", first), ("second moments", second)];
        return new Op(
            () => tensors.Ops.AdamStep(parameters, gradients, first, second, segments, norms, decays, halves, state.Tensor,
                new AdamOptions()),
            halves is null ? outputs : [.. outputs, ("half copies", halves)]);
    }

    /// <summary>Where each parameter of the default classifier begins, and their number.</summary>
    private long[] ParameterBounds()
    {
        long end = 0;
        return [0, .. Classifiers.Create("lstm-attention", new ClassifierOptions(inputs))
            .Parameters.Select(parameter => end += parameter.Shape.Count)];
    }
}
