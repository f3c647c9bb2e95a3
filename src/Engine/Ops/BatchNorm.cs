using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
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
/// Batch normalisation, then ReLU and dropout where asked, as one op. In training with <see cref="Tape.Statistics"/> the statistics are
/// those of all replicas' samples, by one exchange in the forward pass and one in the backward pass; gradients of γ and β are of this
/// replica's samples only, like those of every other parameter.
/// </summary>
public readonly struct BatchNormFunction : IFunction
{
    private readonly IStatisticsExchange? _statistics;
    private readonly Tensor _x;
    private readonly Tensor _scale;
    private readonly Tensor _shift;
    private readonly Tensor _mean;
    private readonly Tensor _inverseStd;
    private readonly Tensor _y;
    private readonly BatchNormOptions _options;

    private BatchNormFunction(
        IStatisticsExchange? statistics, Tensor x, Tensor scale, Tensor shift, Tensor mean, Tensor inverseStd, Tensor y,
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
        IStatisticsExchange? statistics = tape.Training ? tape.Statistics : null;
        if (!tape.Training)
        {
            tape.BatchNormObserver?.Observe(tape, x, runningMean);
        }

        Tensor y = tape.Allocate(x.Shape, x.DType);
        Tensor mean = tape.Allocate([channels], scale.DType);
        Tensor inverseStd = tape.Allocate([channels], scale.DType);
        if (statistics is null)
        {
            tape.Ops.BatchNormForward(x, scale, shift, runningMean, runningVariance, y, mean, inverseStd, options);
        }
        else
        {
            Tensor moments = AllocatePart(tape, scale);
            tape.Ops.BatchNormMoments(x, moments);
            tape.Ops.BatchNormCombine(Gather(tape, statistics, moments), runningMean, runningVariance, mean, inverseStd, options);
            tape.Ops.BatchNormNormalize(x, scale, shift, mean, inverseStd, y, options);
        }

        if (tape.Records(x, scale, shift))
        {
            tape.Record(new BatchNormFunction(statistics, x, scale, shift, mean, inverseStd, y, options), y);
        }

        // At inference the op takes no dropout.
        return tape.Training ? y : ActivationDropoutFunction.Apply(tape, y, relu: false, dropout);
    }

    public void Backward(Tape tape)
    {
        // BatchNorm always stands behind a layer with parameters, so its input's gradient is always wanted; the op needs no null case.
        Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
        Tensor dScale = tape.ParameterGradient(_scale)!, dShift = tape.ParameterGradient(_shift)!;
        if (_statistics is null)
        {
            tape.Ops.BatchNormBackward(_y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, dx, dScale, dShift, _options);
        }
        else
        {
            Tensor sums = AllocatePart(tape, _scale);
            tape.Ops.BatchNormGradientSums(_y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, dx, sums, dScale, dShift, _options);
            Tensor gathered = Gather(tape, _statistics, sums);
            tape.Ops.BatchNormInputGradient(_y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, gathered, dx, _options);
        }

        if (_x.RequiresGradient)
        {
            tape.EndGradient(_x, dx);
        }
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("BatchNorm", Inputs(draw, [9, 5]), (tape, t) => ApplyTo(tape, t, relu: false, LayerDropout.None)),
        new("BatchNorm + dropout", Inputs(draw, [4, 3, 17]), (tape, t) => ApplyTo(tape, t, relu: false, LayerDropout.Half(tape))),
        new("BatchNorm + ReLU + dropout", Inputs(draw, [31, 33]), (tape, t) => ApplyTo(tape, t, relu: true, LayerDropout.Half(tape))),
        new("BatchNorm + ReLU + dropout, second replica", Inputs(draw, [13, 9]), (tape, t) =>
        {
            tape.Statistics = new SecondReplica();
            return ApplyTo(tape, t, relu: true, LayerDropout.Half(tape));
        }),
    ];

    private static Tensor AllocatePart(Tape tape, Tensor scale) => tape.Allocate([(2 * scale.Shape[0]) + 1], scale.DType);

    private static Tensor Gather(Tape tape, IStatisticsExchange statistics, Tensor part)
    {
        Tensor gathered = tape.Allocate([statistics.Parts, part.Shape[0]], part.DType);
        statistics.AllGather(part, gathered);
        return gathered;
    }

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

internal sealed unsafe partial class CpuOps
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
        Cpu.BatchNorm.Moments(team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(moments));

    public void BatchNormCombine(
        Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd,
        in BatchNormOptions options) =>
        Cpu.BatchNorm.Combine(
            gathered.Shape[0], savedMean.Shape[0], Floats(gathered), Floats(runningMean), Floats(runningVariance), Floats(savedMean),
            Floats(savedInverseStd), options.Momentum, options.Epsilon);

    public void BatchNormNormalize(
        Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options) =>
        Cpu.BatchNorm.Normalize(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd), Floats(y),
            options.Relu, Mask(options.Dropout));

    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale,
        Tensor dShift, in BatchNormOptions options) =>
        Cpu.BatchNorm.GradientSums(
            team, x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(shift), Floats(savedMean), Floats(savedInverseStd),
            Floats(dy), Floats(dx), Floats(sums), Floats(dScale), Floats(dShift), options.Relu, Mask(options.Dropout));

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx,
        in BatchNormOptions options) =>
        Cpu.BatchNorm.InputGradient(
            team, gathered.Shape[0], x.Shape.Rows, x.Shape[-1], Floats(x), Floats(scale), Floats(savedMean), Floats(savedInverseStd),
            Floats(gathered), Floats(dy), Floats(dx), options.Relu, Mask(options.Dropout));
}

internal sealed partial class CudaOps
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

internal sealed partial class ReferenceOps
{
    /// <remarks>In training one part is all there is.</remarks>
    public void BatchNormForward(
        Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean,
        Tensor savedInverseStd, in BatchNormOptions options)
    {
        float epsilon = options.Epsilon;
        double[] mean = Load(runningMean), inverse = [.. Load(runningVariance).Select(variance => 1 / Math.Sqrt(variance + epsilon))];
        if (options.Training)
        {
            (mean, inverse) = CombineMoments(Moments(x), parts: 1, runningMean, runningVariance, options);
            Store(savedMean, mean);
            Store(savedInverseStd, inverse);
        }

        Normalize(x, scale, shift, mean, inverse, y, options);
    }

    public void BatchNormBackward(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift,
        in BatchNormOptions options)
    {
        (double[] gradient, double[] normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        Store(dx, InputGradient(GradientSums(gradient, normalized, dScale, dShift), gradient, normalized, scale, savedInverseStd));
    }

    public void BatchNormMoments(Tensor x, Tensor moments) => Store(moments, Moments(x));

    public void BatchNormCombine(
        Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        (double[] mean, double[] inverse) = CombineMoments(Load(gathered), gathered.Shape[0], runningMean, runningVariance, options);
        Store(savedMean, mean);
        Store(savedInverseStd, inverse);
    }

    public void BatchNormNormalize(
        Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options) =>
        Normalize(x, scale, shift, Load(savedMean), Load(savedInverseStd), y, options);

    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale,
        Tensor dShift, in BatchNormOptions options)
    {
        (double[] gradient, double[] normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        Store(sums, GradientSums(gradient, normalized, dScale, dShift));
    }

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx,
        in BatchNormOptions options)
    {
        (double[] gradient, double[] normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        Store(dx, InputGradient(Load(gathered), gradient, normalized, scale, savedInverseStd));
    }

    private static double[] Moments(Tensor x)
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
        return part;
    }

    private static (double[] Mean, double[] Inverse) CombineMoments(
        double[] all, int parts, Tensor runningMean, Tensor runningVariance, in BatchNormOptions options)
    {
        int length = all.Length / parts, channels = length / 2;
        double[] movedMean = Load(runningMean), movedVariance = Load(runningVariance), mean = new double[channels],
            inverse = new double[channels];
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
        return (mean, inverse);
    }

    private static void Normalize(
        Tensor x, Tensor scale, Tensor shift, double[] mean, double[] inverse, Tensor y, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        double[] values = Load(x), gamma = Load(scale), beta = Load(shift);
        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            double z = (gamma[c] * (values[i] - mean[c]) * inverse[c]) + beta[c];
            values[i] = (options.Relu ? Math.Max(z, 0) : z) * DropoutFactor(options.Dropout, i);
        }

        Store(y, values);
    }

    private static double[] GradientSums(double[] gradient, double[] normalized, Tensor dScale, Tensor dShift)
    {
        int channels = dScale.Shape[0];
        double[] dGamma = new double[channels], dBeta = new double[channels];
        for (int i = 0; i < gradient.Length; i++)
        {
            dGamma[i % channels] += gradient[i] * normalized[i];
            dBeta[i % channels] += gradient[i];
        }

        Add(dScale, dGamma);
        Add(dShift, dBeta);
        return [.. dBeta, .. dGamma, gradient.Length / channels];
    }

    private static double[] InputGradient(double[] all, double[] gradient, double[] normalized, Tensor scale, Tensor savedInverseStd)
    {
        int channels = scale.Shape[0], length = (2 * channels) + 1;
        double[] totals = new double[length], gamma = Load(scale), inverse = Load(savedInverseStd);
        for (int i = 0; i < all.Length; i++)
        {
            totals[i % length] += all[i];
        }

        double rows = totals[2 * channels];
        return
        [
            .. gradient.Select((g, i) =>
            {
                int c = i % channels;
                return gamma[c] * inverse[c] * (g - (totals[c] / rows) - (normalized[i] * totals[channels + c] / rows));
            }),
        ];
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
