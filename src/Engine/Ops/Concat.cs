using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Ops;

/// <summary>Joins two tensors along the last dimension.</summary>
public readonly struct ConcatFunction : IFunction
{
    private readonly Tensor _a;
    private readonly Tensor _b;
    private readonly Tensor _y;

    private ConcatFunction(Tensor a, Tensor b, Tensor y)
    {
        _a = a;
        _b = b;
        _y = y;
    }

    /// <param name="a">[…, p].</param>
    /// <param name="b">[…, q], the other dimensions as those of a.</param>
    /// <returns>[…, p + q].</returns>
    public static Tensor Apply(Tape tape, Tensor a, Tensor b)
    {
        Check.Shape("Concat", "b", b, a.Shape.With(-1, b.Shape[-1]));
        Check.SamePlace("Concat", a, b);
        int p = a.Shape[-1], q = b.Shape[-1], rows = a.Shape.Rows;
        Tensor y = tape.Allocate(a.Shape.With(-1, p + q), a.DType);
        tape.Ops.CopyRows(a, 0, p, y, 0, p + q, rows, p);
        tape.Ops.CopyRows(b, 0, q, y, p, p + q, rows, q);
        if (tape.Records(a, b))
        {
            tape.Record(new ConcatFunction(a, b, y), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        Part(tape, _a, 0);
        Part(tape, _b, _a.Shape[-1]);
    }

    private void Part(Tape tape, Tensor input, int offset)
    {
        Tensor? gradient = tape.BeginGradient(input);
        if (gradient is not null)
        {
            int columns = input.Shape[-1];
            tape.Ops.CopyRows(_y.Gradient!, offset, _y.Shape[-1], gradient, 0, columns, input.Shape.Rows, columns);
        }

        tape.EndGradient(input, gradient);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("Concat", [draw.Normal("a", [3, 2, 5]), draw.Normal("b", [3, 2, 18])], (tape, t) => Apply(tape, t[0], t[1])),
    ];
}
