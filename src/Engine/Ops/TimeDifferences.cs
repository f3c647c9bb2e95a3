using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Features of each frame, and beside them the differences to the frame before; zeros for the first frame.</summary>
    /// <param name="x">[batch, time, channels].</param>
    /// <param name="y">[batch, time, 2·channels] of the type of <paramref name="x"/>: features, then differences.</param>
    void TimeDifferencesForward(Tensor x, Tensor y);

    /// <summary>The gradient of <see cref="TimeDifferencesForward"/>.</summary>
    /// <param name="dy">[batch, time, 2·channels].</param>
    /// <param name="dx">[batch, time, channels] of the type of <paramref name="dy"/>; overwritten.</param>
    void TimeDifferencesBackward(Tensor dy, Tensor dx);
}

/// <summary>Features with their differences to the frame before.</summary>
public readonly struct TimeDifferencesFunction : IFunction
{
    private readonly Tensor _x;
    private readonly Tensor _y;

    private TimeDifferencesFunction(Tensor x, Tensor y)
    {
        _x = x;
        _y = y;
    }

    /// <inheritdoc cref="IOps.TimeDifferencesForward"/>
    /// <returns>y.</returns>
    public static Tensor Apply(Tape tape, Tensor x)
    {
        Check.Rank("TimeDifferences", "x", x, 3);
        Tensor y = tape.Allocate([x.Shape[0], x.Shape[1], 2 * x.Shape[2]], x.DType);
        tape.Ops.TimeDifferencesForward(x, y);
        if (tape.Records(x))
        {
            tape.Record(new TimeDifferencesFunction(x, y), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        Tensor dx = tape.BeginGradient(_x)!;
        tape.Ops.TimeDifferencesBackward(_y.Gradient!, dx);
        tape.EndGradient(_x, dx);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("TimeDifferences", [draw.Normal("x", [3, 6, 21])], (tape, t) => Apply(tape, t[0])),
        new("TimeDifferences of whole groups", [draw.Normal("x", [2, 5, 32])], (tape, t) => Apply(tape, t[0])),
        new("TimeDifferences of one frame", [draw.Normal("x", [4, 1, 19])], (tape, t) => Apply(tape, t[0])),
    ];
}

internal sealed unsafe partial class CpuOps
{
    public void TimeDifferencesForward(Tensor x, Tensor y)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        if (x.DType == DType.Float16)
        {
            Cpu.TimeDifferences.Forward(team, batch, time, channels, (Half*)x.Data, (Half*)y.Data);
        }
        else
        {
            Cpu.TimeDifferences.Forward(team, batch, time, channels, Floats(x), Floats(y));
        }
    }

    public void TimeDifferencesBackward(Tensor dy, Tensor dx)
    {
        int batch = dx.Shape[0], time = dx.Shape[1], channels = dx.Shape[2];
        if (dx.DType == DType.Float16)
        {
            Cpu.TimeDifferences.Backward(team, batch, time, channels, (Half*)dy.Data, (Half*)dx.Data);
        }
        else
        {
            Cpu.TimeDifferences.Backward(team, batch, time, channels, Floats(dy), Floats(dx));
        }
    }
}

internal sealed partial class CudaOps
{
    private Gpu.TimeDifferences TimeDifferencesKernels => field ??= new Gpu.TimeDifferences(_kernels);

    public void TimeDifferencesForward(Tensor x, Tensor y) =>
        TimeDifferencesKernels.Forward(_stream, x.Shape[0], x.Shape[1], x.Shape[2], x.Data, y.Data, TypeOf(x));

    public void TimeDifferencesBackward(Tensor dy, Tensor dx) =>
        TimeDifferencesKernels.Backward(_stream, dx.Shape[0], dx.Shape[1], dx.Shape[2], dy.Data, dx.Data, TypeOf(dx));
}

internal sealed partial class ReferenceOps
{
    public void TimeDifferencesForward(Tensor x, Tensor y)
    {
        int time = x.Shape[1], channels = x.Shape[2], rows = x.Shape[0] * time;
        double[] values = Load(x), wide = new double[2 * values.Length];
        for (int row = 0; row < rows; row++)
        {
            for (int c = 0; c < channels; c++)
            {
                double now = values[(row * channels) + c];
                wide[(2 * row * channels) + c] = now;
                wide[(((2 * row) + 1) * channels) + c] = row % time == 0 ? 0 : now - values[((row - 1) * channels) + c];
            }
        }

        Store(y, wide);
    }

    public void TimeDifferencesBackward(Tensor dy, Tensor dx)
    {
        int time = dx.Shape[1], channels = dx.Shape[2], rows = dx.Shape[0] * time;
        double[] upstream = Load(dy), gradient = new double[rows * channels];
        for (int row = 0; row < rows; row++)
        {
            for (int c = 0; c < channels; c++)
            {
                gradient[(row * channels) + c] += upstream[(2 * row * channels) + c];
                if (row % time > 0)
                {
                    double difference = upstream[(((2 * row) + 1) * channels) + c];
                    gradient[(row * channels) + c] += difference;
                    gradient[((row - 1) * channels) + c] -= difference;
                }
            }
        }

        Store(dx, gradient);
    }
}
