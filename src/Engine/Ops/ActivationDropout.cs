using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>y = dropout(relu(x)), each where asked.</summary>
    void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout);

    /// <summary>dx = dy where x passed, 0 elsewhere.</summary>
    void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout);
}

/// <summary>ReLU and dropout as one elementwise op.</summary>
public readonly struct ActivationDropoutFunction : IFunction
{
    private readonly Tensor _x;
    private readonly Tensor _y;
    private readonly bool _relu;
    private readonly LayerDropout _dropout;

    private ActivationDropoutFunction(Tensor x, Tensor y, bool relu, LayerDropout dropout)
    {
        _x = x;
        _y = y;
        _relu = relu;
        _dropout = dropout;
    }

    /// <returns>x's shape; x itself when there is nothing to do.</returns>
    public static Tensor Apply(Tape tape, Tensor x, bool relu, LayerDropout dropout)
    {
        LayerDropout effective = tape.DropsOut ? dropout.For(x) : LayerDropout.None;
        if (!relu && !effective.Enabled)
        {
            return x;
        }

        Tensor y = tape.Allocate(x.Shape, x.DType);
        tape.Ops.ActivationDropoutForward(x, y, relu, effective);
        if (tape.Records(x))
        {
            tape.Record(new ActivationDropoutFunction(x, y, relu, effective), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        Tensor dx = tape.BeginGradient(_x)!;
        tape.Ops.ActivationDropoutBackward(_y.Gradient!, _x, dx, _relu, _dropout);
        tape.EndGradient(_x, dx);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("ReLU + dropout", [draw.AwayFromZero("x", [7, 41])], (tape, t) => Apply(tape, t[0], relu: true, LayerDropout.Half(tape))),
        new("Dropout", [draw.Normal("x", [3, 5, 19])], (tape, t) => Apply(tape, t[0], relu: false, LayerDropout.Half(tape))),
    ];
}

internal sealed unsafe partial class CpuOps
{
    public void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout) =>
        Cpu.ActivationDropout.Forward(team, x.Count, Floats(x), Floats(y), relu, Mask(dropout));

    public void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout) =>
        Cpu.ActivationDropout.Backward(team, x.Count, Floats(x), Floats(dy), Floats(dx), relu, Mask(dropout));
}

internal sealed partial class CudaOps
{
    private Gpu.ActivationDropout ActivationDropoutKernels => field ??= new Gpu.ActivationDropout(_kernels);

    public void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout) =>
        ActivationDropoutKernels.Forward(_stream, x.Count, x.Data, y.Data, relu, Mask(dropout), TypeOf(x));

    public void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout) =>
        ActivationDropoutKernels.Backward(_stream, x.Count, dy.Data, x.Data, dx.Data, relu, Mask(dropout), TypeOf(x));
}

internal sealed partial class ReferenceOps
{
    public void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout)
    {
        double[] values = Load(x);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (relu ? Math.Max(values[i], 0) : values[i]) * DropoutFactor(dropout, i);
        }

        Store(y, values);
    }

    public void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout)
    {
        double[] gradient = Load(dy), values = Load(x);
        for (int i = 0; i < values.Length; i++)
        {
            gradient[i] *= (relu && values[i] <= 0 ? 0 : 1) * DropoutFactor(dropout, i);
        }

        Store(dx, gradient);
    }
}
