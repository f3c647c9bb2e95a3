using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Ops;

/// <summary>Takes the last time step of a sequence.</summary>
public readonly struct LastStepFunction : IFunction
{
    private readonly Tensor _x;
    private readonly Tensor _y;

    private LastStepFunction(Tensor x, Tensor y)
    {
        _x = x;
        _y = y;
    }

    /// <param name="x">[batch, time, channels].</param>
    /// <returns>[batch, channels].</returns>
    public static Tensor Apply(Tape tape, Tensor x)
    {
        Check.Rank("LastStep", "x", x, 3);
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        Tensor y = tape.Allocate([batch, channels], x.DType);
        tape.Ops.CopyRows(x, (long)(time - 1) * channels, time * channels, y, 0, channels, batch, channels);
        if (tape.Records(x))
        {
            tape.Record(new LastStepFunction(x, y), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        int batch = _x.Shape[0], time = _x.Shape[1], channels = _x.Shape[2];
        Tensor dx = tape.BeginGradient(_x)!;
        tape.Device.Fill(dx.Data, 0, dx.Bytes);
        tape.Ops.CopyRows(_y.Gradient!, 0, channels, dx, (long)(time - 1) * channels, time * channels, batch, channels);
        tape.EndGradient(_x, dx);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("LastStep", [draw.Normal("x", [3, 4, 19])], (tape, t) => Apply(tape, t[0])),
    ];
}
