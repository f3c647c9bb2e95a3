using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Ops;

/// <summary>y = x·Wᵀ + b over the last dimension.</summary>
public readonly struct LinearFunction : IFunction
{
    private readonly Tensor _x;
    private readonly Tensor _weight;
    private readonly Tensor? _bias;
    private readonly Tensor _y;

    private LinearFunction(Tensor x, Tensor weight, Tensor? bias, Tensor y)
    {
        _x = x;
        _weight = weight;
        _bias = bias;
        _y = y;
    }

    /// <param name="x">[…, in].</param>
    /// <param name="weight">[out, in].</param>
    /// <param name="bias">[out] or null.</param>
    /// <returns>[…, out].</returns>
    public static Tensor Apply(Tape tape, Tensor x, Tensor weight, Tensor? bias)
    {
        Check.Rank("Linear", "weight", weight, 2);
        Check.Shape("Linear", "x", x, x.Shape.With(-1, weight.Shape[1]));
        if (bias is not null)
        {
            Check.Shape("Linear", "bias", bias, [weight.Shape[0]]);
        }

        Check.Operands("Linear", x, weight, bias);
        Tensor y = tape.Allocate(x.Shape.With(-1, weight.Shape[0]), x.DType);
        tape.Ops.Gemm(x, false, weight, true, y, bias);
        if (tape.Records(x, weight, bias))
        {
            tape.Record(new LinearFunction(x, weight, bias, y), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        Tensor dy = _y.Gradient!;
        if (tape.ParameterGradient(_weight) is { } weightGradient)
        {
            tape.Ops.Gemm(dy, true, _x, false, weightGradient, accumulate: true);
        }

        if (tape.ParameterGradient(_bias) is { } biasGradient)
        {
            tape.Ops.AddColumnSums(dy, biasGradient);
        }

        Tensor? dx = tape.BeginGradient(_x);
        if (dx is not null)
        {
            tape.Ops.Gemm(dy, false, _weight, false, dx);
        }

        tape.EndGradient(_x, dx);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new(
            "Linear",
            [draw.Normal("x", [5, 7]), draw.Parameter("weight", [3, 7]), draw.Parameter("bias", [3])],
            (tape, t) => Apply(tape, t[0], t[1], t[2])),
        new(
            "Linear sequence", [draw.Normal("x", [2, 3, 33]), draw.Parameter("weight", [65, 33])],
            (tape, t) => Apply(tape, t[0], t[1], null)),
    ];
}
