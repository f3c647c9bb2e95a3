using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Attention pooling over time: a = softmax_t(x_t·w), y = Σ_t a_t x_t.</summary>
    /// <param name="x">[batch, time, channels].</param>
    /// <param name="weight">[1, channels].</param>
    /// <param name="y">[batch, channels].</param>
    /// <param name="attention">a [batch, time], kept for the backward pass and for people to look at.</param>
    void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention);

    /// <summary>The gradients of <see cref="AttentionPoolForward"/>.</summary>
    void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight);
}

/// <summary>Weighted mean over time with learnt weights.</summary>
public readonly struct AttentionPoolFunction : IFunction
{
    private readonly Tensor _x;
    private readonly Tensor _weight;
    private readonly Tensor _y;
    private readonly Tensor _attention;

    private AttentionPoolFunction(Tensor x, Tensor weight, Tensor y, Tensor attention)
    {
        _x = x;
        _weight = weight;
        _y = y;
        _attention = attention;
    }

    /// <inheritdoc cref="IOps.AttentionPoolForward"/>
    /// <remarks>Of a weight that is no parameter the gradient is not kept.</remarks>
    public static (Tensor Pooled, Tensor Attention) Apply(Tape tape, Tensor x, Tensor weight)
    {
        Check.Rank("AttentionPool", "x", x, 3);
        Check.Shape("AttentionPool", "weight", weight, [1, x.Shape[2]]);
        Check.Operands("AttentionPool", x, weight);
        Tensor y = tape.Allocate([x.Shape[0], x.Shape[2]], x.DType);
        Tensor attention = tape.Allocate([x.Shape[0], x.Shape[1]], weight.DType);
        tape.Ops.AttentionPoolForward(x, weight, y, attention);
        if (tape.Records(x, weight))
        {
            tape.Record(new AttentionPoolFunction(x, weight, y, attention), y);
        }

        return (y, attention);
    }

    public void Backward(Tape tape)
    {
        Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
        tape.Ops.AttentionPoolBackward(
            _y.Gradient!, _x, _weight, _attention, dx, tape.ParameterGradient(_weight) ?? tape.Allocate(_weight.Shape, _weight.DType));
        if (_x.RequiresGradient)
        {
            tape.EndGradient(_x, dx);
        }
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new(
            "AttentionPool", [draw.Normal("x", [3, 6, 21]), draw.Parameter("weight", [1, 21])],
            (tape, t) => Apply(tape, t[0], t[1]).Pooled),
    ];
}

internal sealed unsafe partial class CpuOps
{
    public void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention) =>
        Cpu.AttentionPool.Forward(team, x.Shape[0], x.Shape[1], x.Shape[2], Floats(x), Floats(weight), Floats(y), Floats(attention));

    public void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight) =>
        Cpu.AttentionPool.Backward(
            team, x.Shape[0], x.Shape[1], x.Shape[2], Floats(x), Floats(weight), Floats(attention), Floats(dy), Floats(dx),
            Floats(dWeight));
}

internal sealed partial class CudaOps
{
    private Gpu.AttentionPool AttentionPoolKernels => field ??= new Gpu.AttentionPool(_kernels);

    public void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention) =>
        AttentionPoolKernels.Forward(_stream, x.Shape[0], x.Shape[1], x.Shape[2], x.Data, weight.Data, y.Data, attention.Data, TypeOf(x));

    public void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        nint sums = _workspace.Take(CudaWorkspace.Use.Sums, Gpu.AttentionPool.WorkspaceBytes(batch, time, channels));
        AttentionPoolKernels.Backward(
            _stream, batch, time, channels, dy.Data, x.Data, weight.Data, attention.Data, dx.Data, dWeight.Data, sums, TypeOf(x));
    }
}

internal sealed partial class ReferenceOps
{
    public void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        double[] values = Load(x), w = Load(weight), pooled = new double[batch * channels], weights = new double[batch * time];
        for (int n = 0; n < batch; n++)
        {
            double[] scores = new double[time];
            for (int t = 0; t < time; t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    scores[t] += values[(((n * time) + t) * channels) + c] * w[c];
                }
            }

            double[] a = Softmax(scores);
            for (int t = 0; t < time; t++)
            {
                weights[(n * time) + t] = a[t];
                for (int c = 0; c < channels; c++)
                {
                    pooled[(n * channels) + c] += a[t] * values[(((n * time) + t) * channels) + c];
                }
            }
        }

        Store(y, pooled);
        Store(attention, weights);
    }

    public void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        double[] values = Load(x), w = Load(weight), a = Load(attention), upstream = Load(dy);
        double[] gradient = new double[values.Length], dw = new double[channels];
        for (int n = 0; n < batch; n++)
        {
            // da_t = dy·x_t; through the softmax ds_t = a_t (da_t − Σ_u a_u da_u); s_t = x_t·w.
            double[] da = new double[time];
            double mean = 0;
            for (int t = 0; t < time; t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    da[t] += upstream[(n * channels) + c] * values[(((n * time) + t) * channels) + c];
                }

                mean += a[(n * time) + t] * da[t];
            }

            for (int t = 0; t < time; t++)
            {
                double ds = a[(n * time) + t] * (da[t] - mean);
                for (int c = 0; c < channels; c++)
                {
                    int at = (((n * time) + t) * channels) + c;
                    gradient[at] = (a[(n * time) + t] * upstream[(n * channels) + c]) + (ds * w[c]);
                    dw[c] += ds * values[at];
                }
            }
        }

        Store(dx, gradient);
        Add(dWeight, dw);
    }
}
