using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Tests;

/// <summary>Batch normalisation of a batch that is spread over replicas against that of the whole batch on one.</summary>
/// <param name="Rows">Rows of each replica.</param>
/// <param name="Offset">Added to all inputs.</param>
/// <param name="Dropout">Probability.</param>
internal sealed record SyncBatchNormCheck(int[] Rows, int Channels, double Offset, bool Relu, float Dropout)
{
    private const ulong Seed = 7;

    /// <summary>Layers have different masks, and so have replicas here.</summary>
    private const int FirstLayer = 3;

    public static IEnumerable<SyncBatchNormCheck> All { get; } =
    [
        new([5, 1], 5, 0, false, 0),
        new([7, 8, 1], 17, 0, true, 0),
        new([7, 8, 1], 17, 0, true, 0.5f),
        new([66, 3], 40, 0, false, 0.5f),
        new([12], 9, 0, true, 0.5f),
        new([40, 23, 1], 33, 1_000, false, 0),
        new([40, 23, 1], 33, 1_000, true, 0.5f),
    ];

    /// <summary>
    /// Fails unless output, gradients and running statistics are within these of the whole batch's, relative to their norm.
    /// </summary>
    /// <param name="open">Makes a device for one replica.</param>
    /// <param name="activations">Type of x, y and their gradients.</param>
    /// <param name="parameters">Type of everything else.</param>
    /// <param name="tolerance">For what the inputs' offset of 0 leaves exact; more is allowed in proportion to the offset, which is in
    /// deviations.</param>
    /// <param name="statisticsTolerance">For the running statistics, likewise.</param>
    public void Run(Func<IDevice> open, DType activations, DType parameters, double tolerance, double statisticsTolerance)
    {
        int count = Rows.Sum() * Channels;
        double[] x = Draw(1, count, activations, Offset), dy = Draw(2, count, activations), gamma = Draw(3, Channels, parameters),
            beta = Draw(4, Channels, parameters);
        double[] running = Draw(5, Channels, parameters);

        // Behind the ReLU a mask is a factor: the whole batch has y·mask without dropout, and the gradients that dy·mask has.
        double[] mask = [.. Rows.SelectMany((rows, replica) =>
        {
            var dropout = new Dropout(Dropout, Seed, Layer(replica).Subsequence(0));
            return Enumerable.Range(0, rows * Channels).Select(i => Dropout == 0 ? 1.0 : dropout.Factor(i));
        })];
        using IDevice single = open();
        Outcome whole = Step(single, x, Multiplied(dy, mask), gamma, beta, running, LayerDropout.None, null, activations, parameters);
        Outcome[] parts = Replicas.Run(Rows.Length, (replica, exchange) =>
        {
            using IDevice device = open();
            return Step(device, Part(x, replica), Part(dy, replica), gamma, beta, running, Layer(replica), exchange, activations,
                parameters);
        });

        double scale = 1 + Math.Abs(Offset);
        ShouldBeNear([.. parts.SelectMany(part => part.Y)], Multiplied(whole.Y, mask), tolerance * scale, "y");
        ShouldBeNear([.. parts.SelectMany(part => part.Dx)], whole.Dx, tolerance * scale, "dx");
        ShouldBeNear([.. Enumerable.Range(0, Channels).Select(c => parts.Sum(part => part.DScale[c]))], whole.DScale,
            statisticsTolerance * scale, "dγ");
        ShouldBeNear([.. Enumerable.Range(0, Channels).Select(c => parts.Sum(part => part.DShift[c]))], whole.DShift,
            statisticsTolerance * scale, "dβ");
        foreach (Outcome part in parts)
        {
            part.RunningMean.ShouldBe(parts[0].RunningMean, "the same bits on every replica");
            part.RunningVariance.ShouldBe(parts[0].RunningVariance, "the same bits on every replica");
        }

        ShouldBeNear(parts[0].RunningMean, whole.RunningMean, statisticsTolerance, "running mean");
        ShouldBeNear(parts[0].RunningVariance, whole.RunningVariance, statisticsTolerance * scale, "running variance");
    }

    public override string ToString() => $"{string.Join("+", Rows)} × {Channels}, offset {Offset}, ReLU {Relu}, dropout {Dropout}";

    private LayerDropout Layer(int replica) => Dropout == 0
        ? LayerDropout.None
        : new LayerDropout(Dropout, Seed, FirstLayer + replica, null);

    private Outcome Step(
        IDevice device, double[] x, double[] dy, double[] gamma, double[] beta, double[] running, LayerDropout dropout,
        IStatisticsExchange? exchange, DType activations, DType parameters)
    {
        using var tape = new Tape(device) { Training = true, Statistics = exchange };
        Shape shape = [x.Length / Channels, Channels];
        using var input = Tensor.From(device, shape, x, activations, "x");
        using var scale = Tensor.From(device, [Channels], gamma, parameters, "weight");
        using var shift = Tensor.From(device, [Channels], beta, parameters, "bias");
        using var mean = Tensor.From(device, [Channels], running, parameters, "running_mean");
        using var variance = Tensor.From(device, [Channels], running, parameters, "running_var");
        input.RequiresGradient = scale.RequiresGradient = shift.RequiresGradient = true;
        Tensor y = BatchNormFunction.Apply(tape, input, scale, shift, mean, variance, Relu, dropout);
        y.Gradient = tape.Allocate(y.Shape, y.DType);
        y.Gradient.Write(dy);
        tape.Backward();
        return new Outcome(
            y.ToDoubles(), input.Gradient!.ToDoubles(), scale.Gradient!.ToDoubles(), shift.Gradient!.ToDoubles(), mean.ToDoubles(),
                variance.ToDoubles());
    }

    private double[] Part(double[] all, int replica)
    {
        int first = Rows[..replica].Sum();
        return all[(first * Channels)..((first + Rows[replica]) * Channels)];
    }

    /// <summary>Numbers with a deviation of about 0.6 that the type holds exactly.</summary>
    private static double[] Draw(int seed, int count, DType type, double offset = 0)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => offset + (2 * random.NextDouble()) - 1).Select(value => type switch
        {
            DType.Float16 => (double)(Half)value,
            DType.Float32 => (float)value,
            _ => value,
        })];
    }

    private static double[] Multiplied(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x * y)];

    private void ShouldBeNear(double[] actual, double[] expected, double tolerance, string what)
    {
        double error = GradientCheck.RelativeError(actual, expected);
        (error <= tolerance).ShouldBeTrue($"{this}: {what} is off by {error:g3}, more than {tolerance:g3}");
    }

    private sealed record Outcome(double[] Y, double[] Dx, double[] DScale, double[] DShift, double[] RunningMean,
        double[] RunningVariance);
}
