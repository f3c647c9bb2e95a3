using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>
    /// What each feature of a clip does over time: its mean, its population standard deviation, exactly 0 for one that does not change, and
    /// the mean absolute difference between successive frames, 0 for a single frame.
    /// </summary>
    /// <param name="x">[batch, time, channels], time ≥ 1.</param>
    /// <param name="y">
    /// [batch, 3·channels]: all means, then all deviations, then all differences; in single precision also where x is in half.
    /// </param>
    void TimeStatisticsForward(Tensor x, Tensor y);

    /// <summary>
    /// The gradient of <see cref="TimeStatisticsForward"/>, where a deviation and the size of a difference have the slope 0 at 0.
    /// </summary>
    /// <param name="dx">[batch, time, channels], of the type of <paramref name="x"/>; overwritten.</param>
    void TimeStatisticsBackward(Tensor dy, Tensor x, Tensor y, Tensor dx);
}

/// <summary>Mean, deviation and mean absolute difference over time.</summary>
public readonly struct TimeStatisticsFunction : IFunction
{
    /// <summary>How many numbers become of a feature.</summary>
    public const int Statistics = 3;

    private readonly Tensor _x;
    private readonly Tensor _y;

    private TimeStatisticsFunction(Tensor x, Tensor y)
    {
        _x = x;
        _y = y;
    }

    /// <inheritdoc cref="IOps.TimeStatisticsForward"/>
    /// <returns>y.</returns>
    public static Tensor Apply(Tape tape, Tensor x)
    {
        Check.Rank("TimeStatistics", "x", x, 3);
        if (x.Shape[1] == 0)
        {
            throw new TensorMismatchException("TimeStatistics", "x", $"has shape {x.Shape}, expected at least one step.");
        }

        Tensor y = tape.Allocate([x.Shape[0], Statistics * x.Shape[2]], x.DType == DType.Float16 ? DType.Float32 : x.DType);
        tape.Ops.TimeStatisticsForward(x, y);
        if (tape.Records(x))
        {
            tape.Record(new TimeStatisticsFunction(x, y), y);
        }

        return y;
    }

    public void Backward(Tape tape)
    {
        Tensor dx = tape.BeginGradient(_x)!;
        tape.Ops.TimeStatisticsBackward(_y.Gradient!, _x, _y, dx);
        tape.EndGradient(_x, dx);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("TimeStatistics", [draw.Normal("x", [3, 6, 21])], (tape, t) => Apply(tape, t[0])),
        new("TimeStatistics of whole groups", [draw.Normal("x", [2, 5, 32])], (tape, t) => Apply(tape, t[0])),
        new("TimeStatistics of one frame", [draw.Normal("x", [4, 1, 19])], (tape, t) => Apply(tape, t[0])),

        // Central differences at a kink give the slope 0, as the op does.
        new("TimeStatistics of features that do not change",
            [new OpInput("x", [2, 4, 5], [.. Enumerable.Range(0, 40).Select(i => i % 5 == 3 ? 0.375 * i : 1.25 - (i % 5))])],
            (tape, t) => Apply(tape, t[0])),
    ];
}

internal sealed unsafe partial class CpuOps
{
    public void TimeStatisticsForward(Tensor x, Tensor y)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        if (x.DType == DType.Float16)
        {
            Cpu.TimeStatistics.Forward(team, batch, time, channels, (Half*)x.Data, Floats(y));
        }
        else
        {
            Cpu.TimeStatistics.Forward(team, batch, time, channels, Floats(x), Floats(y));
        }
    }

    public void TimeStatisticsBackward(Tensor dy, Tensor x, Tensor y, Tensor dx)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        if (x.DType == DType.Float16)
        {
            Cpu.TimeStatistics.Backward(team, batch, time, channels, (Half*)x.Data, Floats(y), Floats(dy), (Half*)dx.Data);
        }
        else
        {
            Cpu.TimeStatistics.Backward(team, batch, time, channels, Floats(x), Floats(y), Floats(dy), Floats(dx));
        }
    }
}

internal sealed partial class CudaOps
{
    private Gpu.TimeStatistics TimeStatisticsKernels => field ??= new Gpu.TimeStatistics(_kernels);

    public void TimeStatisticsForward(Tensor x, Tensor y) =>
        TimeStatisticsKernels.Forward(_stream, x.Shape[0], x.Shape[1], x.Shape[2], x.Data, y.Data, TypeOf(x));

    public void TimeStatisticsBackward(Tensor dy, Tensor x, Tensor y, Tensor dx) =>
        TimeStatisticsKernels.Backward(
            _stream, x.Shape[0], x.Shape[1], x.Shape[2], x.Data, y.Data, dy.Data, dx.Data, TypeOf(x));
}

internal sealed partial class ReferenceOps
{
    public void TimeStatisticsForward(Tensor x, Tensor y)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        double[] values = Load(x), statistics = new double[batch * 3 * channels];
        for (int n = 0; n < batch; n++)
        {
            for (int c = 0; c < channels; c++)
            {
                double[] series = Series(values, n, time, channels, c);
                double mean = series[0] + series.Average(value => value - series[0]);
                int place = (n * 3 * channels) + c;
                statistics[place] = mean;
                statistics[place + channels] = Math.Sqrt(series.Average(value => (value - mean) * (value - mean)));
                statistics[place + (2 * channels)] =
                    series.Skip(1).Zip(series, (later, earlier) => Math.Abs(later - earlier)).DefaultIfEmpty(0).Average();
            }
        }

        Store(y, statistics);
    }

    public void TimeStatisticsBackward(Tensor dy, Tensor x, Tensor y, Tensor dx)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        double[] values = Load(x), statistics = Load(y), upstream = Load(dy), gradient = new double[values.Length];
        for (int n = 0; n < batch; n++)
        {
            for (int c = 0; c < channels; c++)
            {
                double[] series = Series(values, n, time, channels, c);
                int place = (n * 3 * channels) + c;
                double mean = statistics[place], deviation = statistics[place + channels];
                for (int t = 0; t < time; t++)
                {
                    // A frame is the later one of the step to it and the earlier one of the step from it.
                    int to = t > 0 ? Direction(series[t - 1], series[t]) : 0, from = t + 1 < time ? Direction(series[t], series[t + 1]) : 0;
                    gradient[(((n * time) + t) * channels) + c] = (upstream[place] / time)
                        + (deviation > 0 ? upstream[place + channels] * (series[t] - mean) / (time * deviation) : 0)
                        + (upstream[place + (2 * channels)] * (to - from) / Math.Max(1, time - 1));
                }
            }
        }

        Store(dx, gradient);
    }

    private static int Direction(double from, double to) => to > from ? 1 : to < from ? -1 : 0;

    /// <summary>A channel of a sequence.</summary>
    private static double[] Series(double[] values, int n, int time, int channels, int c) =>
        [.. Enumerable.Range(0, time).Select(t => values[(((n * time) + t) * channels) + c])];
}
