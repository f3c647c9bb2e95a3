using CudaTrainer.Engine.Autograd.Functions;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Parallel;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Autograd;

/// <summary>One argument of an op under test.</summary>
/// <param name="Differentiable">Whether its gradient is checked.</param>
/// <param name="Type">Its type, where that is not the type of the check.</param>
/// <param name="IsParameter">A parameter or statistic, which stays in single precision when activations are in half.</param>
public sealed record OpInput(string Name, Shape Shape, double[] Values, bool Differentiable = true, DType? Type = null, bool IsParameter = false);

/// <summary>
/// A differentiable function with concrete inputs: what the gradient check, the comparison of backends and <c>cudatrainer gradcheck</c> run.
/// </summary>
/// <param name="Apply">Runs the function on tensors made of <see cref="Inputs"/>, in their order.</param>
/// <param name="SeedsItself">The function computes its own gradient of the sum of its outputs (the loss).</param>
public sealed record OpCase(string Name, IReadOnlyList<OpInput> Inputs, Func<Tape, IReadOnlyList<Tensor>, Tensor> Apply, bool SeedsItself = false);

/// <summary>The registry of differentiable functions: an op is tested on every backend once it has a line in <see cref="All"/>.</summary>
public static class OpCases
{
    private const ulong DropoutSeed = 7;

    public static IEnumerable<OpCase> All()
    {
        var draw = new InputDrawer(new Random(12345));
        yield return new OpCase("Linear", [draw.Normal("x", [5, 7]), draw.Parameter("weight", [3, 7]), draw.Parameter("bias", [3])], (tape, t) => LinearFunction.Apply(tape, t[0], t[1], t[2]));
        yield return new OpCase("Linear sequence", [draw.Normal("x", [2, 3, 33]), draw.Parameter("weight", [65, 33])], (tape, t) => LinearFunction.Apply(tape, t[0], t[1], null));
        yield return new OpCase("Lstm", draw.Lstm(3, 4, 6, 5), (tape, t) => LstmFunction.Apply(tape, t[0], t[1], t[2], t[3]));
        yield return new OpCase("Lstm reverse", draw.Lstm(2, 5, 9, 16), (tape, t) => LstmFunction.Apply(tape, t[0], t[1], t[2], t[3], new RecurrentOptions(Reverse: true)));
        yield return new OpCase("Lstm one step", draw.Lstm(1, 1, 17, 33), (tape, t) => LstmFunction.Apply(tape, t[0], t[1], t[2], t[3]));
        yield return new OpCase("Lstm half features", draw.Lstm(3, 4, 24, 16, DType.Float16), (tape, t) => LstmFunction.Apply(tape, t[0], t[1], t[2], t[3]));
        yield return new OpCase("Gru", draw.Gru(3, 4, 6, 5), (tape, t) => GruFunction.Apply(tape, t[0], t[1], t[2], t[3], t[4]));
        yield return new OpCase("Gru reverse", draw.Gru(2, 5, 9, 16), (tape, t) => GruFunction.Apply(tape, t[0], t[1], t[2], t[3], t[4], new RecurrentOptions(Reverse: true)));
        yield return new OpCase("BatchNorm", draw.BatchNorm([9, 5]), (tape, t) => BatchNormFunction.Apply(tape, t[0], t[1], t[2], t[3], t[4], relu: false, LayerDropout.None));
        yield return new OpCase("BatchNorm + dropout", draw.BatchNorm([4, 3, 17]), (tape, t) => BatchNormFunction.Apply(tape, t[0], t[1], t[2], t[3], t[4], relu: false, Half(tape)));
        yield return new OpCase("BatchNorm + ReLU + dropout", draw.BatchNorm([31, 33]), (tape, t) => BatchNormFunction.Apply(tape, t[0], t[1], t[2], t[3], t[4], relu: true, Half(tape)));
        yield return new OpCase("BatchNorm + ReLU + dropout, second replica", draw.BatchNorm([13, 9]), (tape, t) =>
        {
            tape.Statistics = new SecondReplica();
            return BatchNormFunction.Apply(tape, t[0], t[1], t[2], t[3], t[4], relu: true, Half(tape));
        });
        yield return new OpCase("ReLU + dropout", [draw.AwayFromZero("x", [7, 41])], (tape, t) => ActivationDropoutFunction.Apply(tape, t[0], relu: true, Half(tape)));
        yield return new OpCase("Dropout", [draw.Normal("x", [3, 5, 19])], (tape, t) => ActivationDropoutFunction.Apply(tape, t[0], relu: false, Half(tape)));
        yield return new OpCase("AttentionPool", [draw.Normal("x", [3, 6, 21]), draw.Parameter("weight", [1, 21])], (tape, t) => AttentionPoolFunction.Apply(tape, t[0], t[1]).Pooled);
        yield return new OpCase("Concat", [draw.Normal("a", [3, 2, 5]), draw.Normal("b", [3, 2, 18])], (tape, t) => ConcatFunction.Apply(tape, t[0], t[1]));
        yield return new OpCase("LastStep", [draw.Normal("x", [3, 4, 19])], (tape, t) => LastStepFunction.Apply(tape, t[0]));
        yield return draw.Loss("Focal loss", new LossOptions(true, 2, 0.1f), 6);
        yield return draw.Loss("Focal loss, gamma 0.5", new LossOptions(true, 0.5f, 0), 3);
        yield return draw.Loss("Focal loss, gamma 0", new LossOptions(true, 0, 0.1f), 19);
        yield return draw.Loss("Cross-entropy", new LossOptions(false, 2, 0.1f), 5);
        yield return new OpCase(
            "Tensor used twice",
            [draw.Normal("x", [4, 6]), draw.Parameter("weight", [6, 6])],
            (tape, t) =>
            {
                Tensor y = LinearFunction.Apply(tape, t[0], t[1], null);
                return ConcatFunction.Apply(tape, LinearFunction.Apply(tape, y, t[1], null), y);
            });
    }

    private static LayerDropout Half(Tape tape) => new(0.5f, DropoutSeed, 3, tape.State);

    /// <summary>The exchange of a second replica whose loss is looked at: the first has samples, which count in the statistics, but no loss, hence no gradient.</summary>
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

    /// <summary>Draws inputs that single precision holds exactly, so that all backends see the same numbers.</summary>
    private sealed class InputDrawer(Random random)
    {
        public OpInput Normal(string name, Shape shape, double scale = 1, DType? type = null, bool differentiable = true) =>
            new(name, shape, Fill(shape, () => type == DType.Float16 ? (double)(Half)(scale * Gauss()) : (float)(scale * Gauss())), differentiable, type);

        /// <summary>A parameter (of layers in half precision, a master weight).</summary>
        public OpInput Parameter(string name, Shape shape, double scale = 1, bool differentiable = true) => Normal(name, shape, scale, differentiable: differentiable) with { IsParameter = true };

        /// <summary>Magnitudes of at least 0.1, so that finite differences do not step over the kink of ReLU.</summary>
        public OpInput AwayFromZero(string name, Shape shape) => new(name, shape, Fill(shape, () =>
        {
            double value = Gauss();
            return (float)(value + (0.1 * Math.Sign(value)));
        }));

        public IReadOnlyList<OpInput> Lstm(int batch, int time, int inputs, int hidden, DType? type = null) =>
        [
            Normal("x", [batch, time, inputs], 1, type, differentiable: type is null),
            Parameter("weight_ih", [4 * hidden, inputs], 0.4),
            Parameter("weight_hh", [4 * hidden, hidden], 0.4),
            Parameter("bias", [4 * hidden], 0.4),
        ];

        public IReadOnlyList<OpInput> Gru(int batch, int time, int inputs, int hidden) =>
        [
            Normal("x", [batch, time, inputs]),
            Parameter("weight_ih", [3 * hidden, inputs], 0.4),
            Parameter("weight_hh", [3 * hidden, hidden], 0.4),
            Parameter("bias_ih", [3 * hidden], 0.4),
            Parameter("bias_hh", [3 * hidden], 0.4),
        ];

        public IReadOnlyList<OpInput> BatchNorm(Shape x) =>
        [
            Normal("x", x),
            Parameter("weight", [x[-1]]),
            Parameter("bias", [x[-1]]),
            Parameter("running_mean", [x[-1]], differentiable: false),
            Parameter("running_var", [x[-1]], differentiable: false),
        ];

        public OpCase Loss(string name, LossOptions options, int batch) => new(
            name,
            [
                Normal("logits", [batch, 2], 2),
                new OpInput("labels", [batch], Fill([batch], () => random.Next(2)), false, DType.Int32),
                new OpInput("class weights", [2], [0.75, 1.5], false, IsParameter: true),
                new OpInput("alpha", [2], [0.25, 0.625], false, IsParameter: true),
            ],
            (tape, t) => SoftmaxFocalLossFunction.Apply(tape, t[0], t[1], t[2], t[3], 1f / batch, options).Losses,
            SeedsItself: true);

        private static double[] Fill(Shape shape, Func<double> next)
        {
            double[] values = new double[shape.Count];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = next();
            }

            return values;
        }

        private double Gauss() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }
}
