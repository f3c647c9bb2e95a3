using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Parallel;
using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

public partial interface IOps
{
    /// <summary>
    /// y = dropout(relu(γ·(x−μ)/√(σ²+ε) + β)) over all but the last dimension (Ioffe and Szegedy 2015, arXiv:1502.03167), ReLU and dropout
    /// as asked. In training μ, σ² are the batch's (population variance), which also move the running ones: r ← momentum·r +
    /// (1−momentum)·batch.
    /// </summary>
    /// <param name="x">[rows, channels].</param>
    /// <param name="scale">γ [channels].</param>
    /// <param name="shift">β [channels].</param>
    /// <param name="savedMean">[channels], written in training only.</param>
    /// <param name="savedInverseStd">[channels], written in training only.</param>
    void BatchNormForward(
        Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean,
        Tensor savedInverseStd, in BatchNormOptions options);

    /// <summary>The gradients of <see cref="BatchNormForward"/> in training.</summary>
    void BatchNormBackward(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift,
        in BatchNormOptions options);

    // BatchNormForward and BatchNormBackward in training, cut where the replicas put their sums together. A part is [2·channels + 1]: two
    // numbers of each channel, then how many rows they are of, exact below 2²⁴. Parts are of the type of the parameters.

    /// <summary>This replica's part of the statistics of <paramref name="x"/>.</summary>
    /// <param name="x">[rows, channels], rows ≥ 1.</param>
    /// <param name="moments">Output [2·channels + 1]: mean, Σ(x − mean)², rows.</param>
    void BatchNormMoments(Tensor x, Tensor moments);

    /// <summary>
    /// Statistics over the rows of all parts, and the running ones moved as by <see cref="BatchNormForward"/>. Parts are put together in
    /// their order by the pairwise update of Chan, Golub and LeVeque (1983): the same bits on every replica whose device is of the same
    /// kind.
    /// </summary>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="BatchNormMoments"/>.</param>
    /// <param name="savedMean">Output [channels].</param>
    /// <param name="savedInverseStd">Output [channels].</param>
    void BatchNormCombine(
        Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options);

    /// <summary>y = dropout(relu(γ·(x−μ)/√(σ²+ε) + β)), ReLU and dropout as asked.</summary>
    /// <param name="x">[rows, channels].</param>
    /// <param name="savedMean">[channels] from <see cref="BatchNormCombine"/>.</param>
    /// <param name="savedInverseStd">[channels] from <see cref="BatchNormCombine"/>.</param>
    /// <param name="y">Output [rows, channels], not <paramref name="x"/>.</param>
    void BatchNormNormalize(
        Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options);

    /// <summary>
    /// This replica's part of the gradient's sums, with g = dy behind dropout and ReLU, and its share of the gradients of γ and β.
    /// </summary>
    /// <param name="dx">[rows, channels], not <paramref name="dy"/>: the device's own until <see cref="BatchNormInputGradient"/> is given
    /// it.</param>
    /// <param name="sums">Output [2·channels + 1]: Σg, Σ g·x̂, rows.</param>
    /// <param name="dScale">[channels], Σ g·x̂ of this replica's rows is added.</param>
    /// <param name="dShift">[channels], Σg of this replica's rows is added.</param>
    void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale,
        Tensor dShift, in BatchNormOptions options);

    /// <summary>dx = γ/√(σ²+ε)·(g − Σg/R − x̂·Σ(g·x̂)/R), sums and R over the rows of all parts.</summary>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="BatchNormGradientSums"/>.</param>
    /// <param name="dx">What <see cref="BatchNormGradientSums"/> was given. Output [rows, channels].</param>
    void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx,
        in BatchNormOptions options);
}

public readonly record struct BatchNormOptions(
    bool Training, bool Relu, LayerDropout Dropout, float Momentum = 0.99f, float Epsilon = 1e-3f);

/// <summary>
/// Batch normalisation, then ReLU and dropout where asked, as one op; in training with <see cref="Tape.Statistics"/>, over the samples of
/// all replicas.
/// </summary>
public readonly struct BatchNormFunction : IFunction
{
    private readonly Tensor _x;
    private readonly Tensor _scale;
    private readonly Tensor _shift;
    private readonly Tensor _mean;
    private readonly Tensor _inverseStd;
    private readonly Tensor _y;
    private readonly BatchNormOptions _options;

    private BatchNormFunction(Tensor x, Tensor scale, Tensor shift, Tensor mean, Tensor inverseStd, Tensor y, BatchNormOptions options)
    {
        _x = x;
        _scale = scale;
        _shift = shift;
        _mean = mean;
        _inverseStd = inverseStd;
        _y = y;
        _options = options;
    }

    /// <inheritdoc cref="IOps.BatchNormForward"/>
    public static Tensor Apply(
        Tape tape, Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, bool relu, LayerDropout dropout)
    {
        int channels = x.Shape[-1];
        Check.Shape("BatchNorm", "weight", scale, [channels]);
        Check.Shape("BatchNorm", "bias", shift, [channels]);
        Check.Shape("BatchNorm", "running_mean", runningMean, [channels]);
        Check.Shape("BatchNorm", "running_var", runningVariance, [channels]);
        Check.Operands("BatchNorm", x, scale, shift, runningMean, runningVariance);
        var options = new BatchNormOptions(tape.Training, relu, tape.Training ? dropout.For(x) : LayerDropout.None);
        if (tape is { Training: true, Statistics: { } statistics })
        {
            return SyncBatchNormFunction.Apply(tape, statistics, x, scale, shift, runningMean, runningVariance, options);
        }

        if (!tape.Training)
        {
            tape.BatchNormObserver?.Observe(tape, x, runningMean);
        }

        Tensor y = tape.Allocate(x.Shape, x.DType);
        Tensor mean = tape.Allocate([channels], scale.DType);
        Tensor inverseStd = tape.Allocate([channels], scale.DType);
        tape.Ops.BatchNormForward(x, scale, shift, runningMean, runningVariance, y, mean, inverseStd, options);
        if (tape.Records(x, scale, shift))
        {
            tape.Record(new BatchNormFunction(x, scale, shift, mean, inverseStd, y, options), y);
        }

        // At inference the op takes no dropout.
        return tape.Training ? y : ActivationDropoutFunction.Apply(tape, y, relu: false, dropout);
    }

    public void Backward(Tape tape)
    {
        // BatchNorm always stands behind a layer with parameters, so its input's gradient is always wanted; the op needs no null case.
        Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
        tape.Ops.BatchNormBackward(
            _y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, dx, tape.ParameterGradient(_scale)!, tape.ParameterGradient(_shift)!,
            _options);
        if (_x.RequiresGradient)
        {
            tape.EndGradient(_x, dx);
        }
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("BatchNorm", Inputs(draw, [9, 5]), (tape, t) => ApplyTo(tape, t, relu: false, LayerDropout.None)),
        new("BatchNorm + dropout", Inputs(draw, [4, 3, 17]), (tape, t) => ApplyTo(tape, t, relu: false, OpCases.Half(tape))),
        new("BatchNorm + ReLU + dropout", Inputs(draw, [31, 33]), (tape, t) => ApplyTo(tape, t, relu: true, OpCases.Half(tape))),
        new("BatchNorm + ReLU + dropout, second replica", Inputs(draw, [13, 9]), (tape, t) =>
        {
            tape.Statistics = new SecondReplica();
            return ApplyTo(tape, t, relu: true, OpCases.Half(tape));
        }),
    ];

    private static OpInput[] Inputs(InputDrawer draw, Shape x) =>
    [
        draw.Normal("x", x),
        draw.Parameter("weight", [x[-1]]),
        draw.Parameter("bias", [x[-1]]),
        draw.Parameter("running_mean", [x[-1]], differentiable: false),
        draw.Parameter("running_var", [x[-1]], differentiable: false),
    ];

    private static Tensor ApplyTo(Tape tape, IReadOnlyList<Tensor> t, bool relu, LayerDropout dropout) =>
        Apply(tape, t[0], t[1], t[2], t[3], t[4], relu, dropout);

    /// <summary>
    /// The exchange of a second replica whose loss is looked at: the first has samples, which count in the statistics, but no loss, hence
    /// no gradient.
    /// </summary>
    private sealed class SecondReplica : IStatisticsExchange
    {
        private const int OtherRows = 4;

        private bool _statisticsAreOut;

        public int Parts => 2;

        public void AllGather(Tensor part, Tensor gathered)
        {
            double[] other = new double[part.Count];
            for (int i = 0; i < other.Length - 1 && !_statisticsAreOut; i++)
            {
                // Means between −½ and ½, and sums of squares between 1 and 3.
                other[i] = i < other.Length / 2 ? 0.5 * Math.Cos(i) : 2 + Math.Sin(i);
            }

            other[^1] = OtherRows;
            gathered.Write([.. other, .. part.ToDoubles()]);
            _statisticsAreOut = true;
        }
    }
}

/// <summary>
/// <see cref="BatchNormFunction"/> in training with the statistics of all replicas' samples: one exchange in the forward pass and one in
/// the backward pass. Gradients of γ and β are of this replica's samples only, like those of every other parameter.
/// </summary>
internal readonly struct SyncBatchNormFunction : IFunction
{
    private readonly IStatisticsExchange _statistics;
    private readonly Tensor _x;
    private readonly Tensor _scale;
    private readonly Tensor _shift;
    private readonly Tensor _mean;
    private readonly Tensor _inverseStd;
    private readonly Tensor _y;
    private readonly BatchNormOptions _options;

    private SyncBatchNormFunction(
        IStatisticsExchange statistics, Tensor x, Tensor scale, Tensor shift, Tensor mean, Tensor inverseStd, Tensor y,
        BatchNormOptions options)
    {
        _statistics = statistics;
        _x = x;
        _scale = scale;
        _shift = shift;
        _mean = mean;
        _inverseStd = inverseStd;
        _y = y;
        _options = options;
    }

    /// <summary>Arguments that <see cref="BatchNormFunction.Apply"/> has checked.</summary>
    public static Tensor Apply(
        Tape tape, IStatisticsExchange statistics, Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance,
        in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        Tensor moments = AllocatePart(tape, scale);
        tape.Ops.BatchNormMoments(x, moments);
        Tensor mean = tape.Allocate([channels], scale.DType);
        Tensor inverseStd = tape.Allocate([channels], scale.DType);
        tape.Ops.BatchNormCombine(Gather(tape, statistics, moments), runningMean, runningVariance, mean, inverseStd, options);
        Tensor y = tape.Allocate(x.Shape, x.DType);
        tape.Ops.BatchNormNormalize(x, scale, shift, mean, inverseStd, y, options);
        if (tape.Records(x, scale, shift))
        {
            tape.Record(new SyncBatchNormFunction(statistics, x, scale, shift, mean, inverseStd, y, options), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
        Tensor sums = AllocatePart(tape, _scale);
        tape.Ops.BatchNormGradientSums(
            _y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, dx, sums, tape.ParameterGradient(_scale)!,
            tape.ParameterGradient(_shift)!, _options);
        Tensor gathered = Gather(tape, _statistics, sums);
        tape.Ops.BatchNormInputGradient(_y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, gathered, dx, _options);
        if (_x.RequiresGradient)
        {
            tape.EndGradient(_x, dx);
        }
    }

    private static Tensor AllocatePart(Tape tape, Tensor scale) => tape.Allocate([(2 * scale.Shape[0]) + 1], scale.DType);

    private static Tensor Gather(Tape tape, IStatisticsExchange statistics, Tensor part)
    {
        Tensor gathered = tape.Allocate([statistics.Parts, part.Shape[0]], part.DType);
        statistics.AllGather(part, gathered);
        return gathered;
    }
}

public sealed unsafe partial class CpuOps
{
    public void BatchNormForward(
        Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean,
        Tensor savedInverseStd, in BatchNormOptions options)
    {
        if (options.Training)
        {
            Cpu.BatchNorm.ForwardTraining(
                team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(runningMean), Floats(runningVariance),
                Floats(y), Floats(savedMean), Floats(savedInverseStd), options.Relu, Mask(options.Dropout), options.Momentum,
                options.Epsilon);
        }
        else
        {
            Cpu.BatchNorm.ForwardInference(
                team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(runningMean), Floats(runningVariance),
                Floats(y), options.Relu, options.Epsilon);
        }
    }

    public void BatchNormBackward(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift,
        in BatchNormOptions options) =>
        Cpu.BatchNorm.Backward(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd),
            Floats(dy), Floats(dx), Floats(dScale), Floats(dShift), options.Relu, Mask(options.Dropout));

    public void BatchNormMoments(Tensor x, Tensor moments) =>
        Cpu.SyncBatchNorm.Moments(team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(moments));

    public void BatchNormCombine(
        Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd,
        in BatchNormOptions options) =>
        Cpu.SyncBatchNorm.Combine(
            gathered.Shape[0], savedMean.Shape[0], Floats(gathered), Floats(runningMean), Floats(runningVariance), Floats(savedMean),
            Floats(savedInverseStd), options.Momentum, options.Epsilon);

    public void BatchNormNormalize(
        Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options) =>
        Cpu.SyncBatchNorm.Normalize(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd), Floats(y),
            options.Relu, Mask(options.Dropout));

    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale,
        Tensor dShift, in BatchNormOptions options) =>
        Cpu.SyncBatchNorm.GradientSums(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd),
            Floats(dy), Floats(dx), Floats(sums), Floats(dScale), Floats(dShift), options.Relu, Mask(options.Dropout));

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx,
        in BatchNormOptions options) =>
        Cpu.SyncBatchNorm.InputGradient(
            team, gathered.Shape[0], x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(savedMean), Floats(savedInverseStd),
            Floats(gathered), Floats(dy), Floats(dx), options.Relu, Mask(options.Dropout));
}

public sealed partial class CudaOps
{
    private Gpu.BatchNorm BatchNormKernels => field ??= new Gpu.BatchNorm(_kernels);

    public void BatchNormForward(
        Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean,
        Tensor savedInverseStd, in BatchNormOptions options)
    {
        if (options.Training)
        {
            BatchNormKernels.ForwardTraining(
                _stream, x.Shape.Rows, x.Shape[-1], x.Data, scale.Data, shift.Data, runningMean.Data, runningVariance.Data, y.Data,
                savedMean.Data, savedInverseStd.Data, options.Relu, Mask(options.Dropout), options.Momentum, options.Epsilon, TypeOf(x));
        }
        else
        {
            BatchNormKernels.ForwardInference(
                _stream, x.Shape.Rows, x.Shape[-1], x.Data, scale.Data, shift.Data, runningMean.Data, runningVariance.Data, y.Data,
                options.Relu, options.Epsilon, TypeOf(x));
        }
    }

    public void BatchNormBackward(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift,
        in BatchNormOptions options) =>
        BatchNormKernels.Backward(
            _stream, x.Shape.Rows, x.Shape[-1], dy.Data, x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, dx.Data,
            dScale.Data, dShift.Data, options.Relu, Mask(options.Dropout), TypeOf(x));

    public void BatchNormMoments(Tensor x, Tensor moments) =>
        BatchNormKernels.Moments(_stream, x.Shape.Rows, x.Shape[-1], x.Data, moments.Data, TypeOf(x));

    public void BatchNormCombine(
        Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd,
        in BatchNormOptions options) =>
        BatchNormKernels.Combine(
            _stream, gathered.Shape[0], savedMean.Shape[0], gathered.Data, runningMean.Data, runningVariance.Data, savedMean.Data,
            savedInverseStd.Data, options.Momentum, options.Epsilon);

    public void BatchNormNormalize(
        Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options) =>
        BatchNormKernels.Normalize(
            _stream, x.Shape.Rows, x.Shape[-1], x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, y.Data, options.Relu,
            Mask(options.Dropout), TypeOf(x));

    /// <summary>Leaves dx alone: g is worked out twice, since half precision would round it.</summary>
    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale,
        Tensor dShift, in BatchNormOptions options) =>
        BatchNormKernels.GradientSums(
            _stream, x.Shape.Rows, x.Shape[-1], dy.Data, x.Data, scale.Data, shift.Data, savedMean.Data, savedInverseStd.Data, sums.Data,
            dScale.Data, dShift.Data, options.Relu, Mask(options.Dropout), TypeOf(x));

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx,
        in BatchNormOptions options) =>
        BatchNormKernels.InputGradient(
            _stream, gathered.Shape[0], x.Shape.Rows, x.Shape[-1], dy.Data, x.Data, scale.Data, shift.Data, savedMean.Data,
            savedInverseStd.Data, gathered.Data, dx.Data, options.Relu, Mask(options.Dropout), TypeOf(x));
}

public sealed partial class ReferenceOps
{
    public void BatchNormForward(
        Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean,
        Tensor savedInverseStd, in BatchNormOptions options)
    {
        int rows = x.Shape.Rows, channels = x.Shape[-1];
        double[] values = Load(x), gamma = Load(scale), beta = Load(shift), mean = Load(runningMean), variance = Load(runningVariance);
        if (options.Training)
        {
            double[] batchMean = new double[channels], batchVariance = new double[channels];
            for (int i = 0; i < values.Length; i++)
            {
                batchMean[i % channels] += values[i] / rows;
            }

            for (int i = 0; i < values.Length; i++)
            {
                double distance = values[i] - batchMean[i % channels];
                batchVariance[i % channels] += distance * distance / rows;
            }

            for (int c = 0; c < channels; c++)
            {
                mean[c] = (options.Momentum * mean[c]) + ((1 - (double)options.Momentum) * batchMean[c]);
                variance[c] = (options.Momentum * variance[c]) + ((1 - (double)options.Momentum) * batchVariance[c]);
            }

            Store(runningMean, mean);
            Store(runningVariance, variance);
            (mean, variance) = (batchMean, batchVariance);
            Store(savedMean, mean);
            float epsilon = options.Epsilon;
            Store(savedInverseStd, [.. variance.Select(v => 1 / Math.Sqrt(v + epsilon))]);
        }

        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            double z = (gamma[c] * (values[i] - mean[c]) / Math.Sqrt(variance[c] + options.Epsilon)) + beta[c];
            values[i] = (options.Relu ? Math.Max(z, 0) : z) * DropoutFactor(options.Dropout, i);
        }

        Store(y, values);
    }

    public void BatchNormBackward(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift,
        in BatchNormOptions options)
    {
        int rows = x.Shape.Rows, channels = x.Shape[-1];
        double[] gamma = Load(scale), inverse = Load(savedInverseStd), dGamma = new double[channels], dBeta = new double[channels];
        var (gradient, normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        for (int i = 0; i < gradient.Length; i++)
        {
            dGamma[i % channels] += gradient[i] * normalized[i];
            dBeta[i % channels] += gradient[i];
        }

        for (int i = 0; i < gradient.Length; i++)
        {
            int c = i % channels;
            gradient[i] = gamma[c] * inverse[c] * (gradient[i] - (dBeta[c] / rows) - (normalized[i] * dGamma[c] / rows));
        }

        Store(dx, gradient);
        Add(dScale, dGamma);
        Add(dShift, dBeta);
    }

    public void BatchNormMoments(Tensor x, Tensor moments)
    {
        int rows = x.Shape.Rows, channels = x.Shape[-1];
        double[] values = Load(x), part = new double[(2 * channels) + 1];
        for (int i = 0; i < values.Length; i++)
        {
            part[i % channels] += values[i] / rows;
        }

        for (int i = 0; i < values.Length; i++)
        {
            double distance = values[i] - part[i % channels];
            part[channels + (i % channels)] += distance * distance;
        }

        part[2 * channels] = rows;
        Store(moments, part);
    }

    public void BatchNormCombine(
        Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        int parts = gathered.Shape[0], channels = savedMean.Shape[0], length = (2 * channels) + 1;
        double[] all = Load(gathered), movedMean = Load(runningMean), movedVariance = Load(runningVariance),
            mean = new double[channels], inverse = new double[channels];
        for (int c = 0; c < channels; c++)
        {
            double rows = 0, squares = 0;
            for (int part = 0; part < parts; part++)
            {
                double more = all[(part * length) + (2 * channels)], distance = all[(part * length) + c] - mean[c];
                squares += all[(part * length) + channels + c] + (distance * distance * rows * more / (rows + more));
                mean[c] += distance * more / (rows + more);
                rows += more;
            }

            double variance = squares / rows;
            inverse[c] = 1 / Math.Sqrt(variance + options.Epsilon);
            movedMean[c] = (options.Momentum * movedMean[c]) + ((1 - (double)options.Momentum) * mean[c]);
            movedVariance[c] = (options.Momentum * movedVariance[c]) + ((1 - (double)options.Momentum) * variance);
        }

        Store(runningMean, movedMean);
        Store(runningVariance, movedVariance);
        Store(savedMean, mean);
        Store(savedInverseStd, inverse);
    }

    public void BatchNormNormalize(
        Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        double[] values = Load(x), gamma = Load(scale), beta = Load(shift), mean = Load(savedMean), inverse = Load(savedInverseStd);
        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            double z = (gamma[c] * (values[i] - mean[c]) * inverse[c]) + beta[c];
            values[i] = (options.Relu ? Math.Max(z, 0) : z) * DropoutFactor(options.Dropout, i);
        }

        Store(y, values);
    }

    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale,
        Tensor dShift, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        var (gradient, normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        double[] dGamma = new double[channels], dBeta = new double[channels];
        for (int i = 0; i < gradient.Length; i++)
        {
            dGamma[i % channels] += gradient[i] * normalized[i];
            dBeta[i % channels] += gradient[i];
        }

        Store(sums, [.. dBeta, .. dGamma, x.Shape.Rows]);
        Add(dScale, dGamma);
        Add(dShift, dBeta);
    }

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx,
        in BatchNormOptions options)
    {
        int channels = x.Shape[-1], length = (2 * channels) + 1;
        double[] all = Load(gathered), totals = new double[length], gamma = Load(scale), inverse = Load(savedInverseStd);
        for (int i = 0; i < all.Length; i++)
        {
            totals[i % length] += all[i];
        }

        var (gradient, normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        double rows = totals[2 * channels];
        for (int i = 0; i < gradient.Length; i++)
        {
            int c = i % channels;
            gradient[i] = gamma[c] * inverse[c] * (gradient[i] - (totals[c] / rows) - (normalized[i] * totals[channels + c] / rows));
        }

        Store(dx, gradient);
    }

    /// <summary>The gradient of the affine map's output, and x̂.</summary>
    private static (double[] Gradient, double[] Normalized) BatchNormGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        double[] values = Load(x), gradient = Load(dy), gamma = Load(scale), beta = Load(shift), mean = Load(savedMean),
            inverse = Load(savedInverseStd);
        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            values[i] = (values[i] - mean[c]) * inverse[c];
            bool passes = !options.Relu || (gamma[c] * values[i]) + beta[c] > 0;
            gradient[i] *= passes ? DropoutFactor(options.Dropout, i) : 0;
        }

        return (gradient, values);
    }
}
