using System.Diagnostics;
using System.Reflection;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Engine.Checks;

/// <param name="Megabytes">Of an array of the output's size, in single precision.</param>
/// <param name="Pass"><c>forward</c>, or <c>forward and backward</c> with the gradients of all operands.</param>
/// <param name="Seconds">Median of the rounds.</param>
/// <param name="OfCopy">The operands and results that must move at least, by the time; as a share of the rate of a copy in the same
/// rounds.</param>
/// <param name="TimesUnfused">The time of the same with an op for each operation; null where its operands do not spread.</param>
internal sealed record FormulaTiming(
    string Formula, int Megabytes, string Pass, double Seconds, double OfCopy, double? TimesUnfused, double CopyBytesPerSecond)
{
    /// <summary>The time of the same in another engine; null where there is none.</summary>
    internal double? TimesPeer { get; init; }
}

/// <summary>Another engine that knows some of the formulas.</summary>
internal interface IFormulaPeer
{
    /// <summary>Takes the operands of a formula.</summary>
    /// <param name="gradient">∂L along the output.</param>
    /// <returns>The norms of its output and of the operands' gradients; null if it does not know the formula.</returns>
    double[]? Load(string formula, IReadOnlyList<Tensor> operands, Tensor gradient);

    /// <summary>Seconds of one pass over what was loaded last.</summary>
    double Seconds(bool backward, int calls);
}

/// <summary>What fusing is worth: formulas against a copy of as many bytes, and against themselves taken apart.</summary>
internal static class FormulaBenchmark
{
    private const int Rounds = 7;

    /// <summary>Rounds that do not count: the runtime still compiles what it has found to be busy.</summary>
    private const int WarmUp = 10;

    /// <summary>Seconds after which no further round is left out: what takes so long is compiled.</summary>
    private const double LongestWarmUp = 5;
    private const int Columns = 1024;
    private const double SecondsOfRound = 0.02;

    /// <summary>Results are compared before anything is timed.</summary>
    /// <param name="formulas">As <see cref="FormulaTypes.In"/> has them. Of two operands both are whole; of more the first, others go by
    /// channel.</param>
    /// <exception cref="WrongFormulaException">The fused op and the formula taken apart differ.</exception>
    public static IEnumerable<FormulaTiming> Run(IEnumerable<Type> formulas, IDevice device, int megabytes) =>
        Run(formulas, device, megabytes, peer: null);

    /// <exception cref="WrongFormulaException">The peer's results differ, too.</exception>
    /// <inheritdoc cref="Run(IEnumerable{Type}, IDevice, int)"/>
    internal static IEnumerable<FormulaTiming> Run(IEnumerable<Type> formulas, IDevice device, int megabytes, IFormulaPeer? peer) =>
        formulas.SelectMany(formula => Measure(formula, device, megabytes, peer));

    private static IReadOnlyList<FormulaTiming> Measure(Type formula, IDevice device, int megabytes, IFormulaPeer? peer)
    {
        MethodInfo measure = typeof(FormulaBenchmark).GetMethod(nameof(MeasureFusion), BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(FormulaTypes.FusionOf(formula));
        object fusion = FormulaTypes.NewFusion(formula);
        return (IReadOnlyList<FormulaTiming>)measure.Invoke(
            null, BindingFlags.DoNotWrapExceptions, null, [fusion, formula, device, megabytes, peer], null)!;
    }

    private static IReadOnlyList<FormulaTiming> MeasureFusion<TFusion>(
        TFusion fusion, Type formula, IDevice device, int megabytes, IFormulaPeer? peer)
        where TFusion : unmanaged, IFusion
    {
        int rows = checked((int)((long)megabytes * (1 << 20) / sizeof(float) / Columns)), count = TFusion.Count;
        using var tensors = new OwnedTensors();
        Shape whole = [rows, Columns], channels = [Columns];
        Tensor[] operands = [.. Enumerable.Range(0, count).Select(operand =>
            tensors.Own(Draw(device, operand == 0 || count < 3 ? whole : channels,
                FormulaTypes.RangeOf(formula, operand) ?? new BetweenAttribute(-1, 1), operand)))];
        Shape outputs = TFusion.IsPerRow ? [rows, 1] : whole;
        Tensor copied = tensors.Own(Tensor.Zeros(device, whole));
        Tensor[] seeds = [.. Enumerable.Range(Operands<float>.Most, TFusion.Outputs).Select(
            number => tensors.Own(Draw(device, outputs, new BetweenAttribute(-1, 1), number)))];
        using var unfused = UnfusedFormula.Of(fusion, device, Columns);
        using var tape = new Tape(device);
        Func<Tensor[]> fused = () => OutputsOf(Fused.Apply(tape, fusion, operands)), apart = () => unfused.Apply(tape, operands);
        bool spreads = Compare(formula.Name, tape, fused, apart), hasPeer = false;
        if (peer?.Load(formula.Name, operands, seeds[0]) is { } norms)
        {
            hasPeer = true;
            RequireSame(formula.Name, norms, NormsOf());
        }

        int wholes = operands.Count(operand => operand.Shape == whole), written = TFusion.IsPerRow ? 0 : TFusion.Outputs;
        double bytes = (double)sizeof(float) * rows * Columns;
        List<double> copy = [], forward = [], both = [], forwardApart = [], bothApart = [], forwardPeer = [], bothPeer = [];
        long began = Stopwatch.GetTimestamp();
        for (int round = -WarmUp; round < Rounds; round++)
        {
            round = Stopwatch.GetElapsedTime(began).TotalSeconds > LongestWarmUp ? Math.Max(round, 0) : round;
            if (round == 0)
            {
                List<List<double>> all = [copy, forward, both, forwardApart, bothApart, forwardPeer, bothPeer];
                all.ForEach(times => times.Clear());
            }

            copy.Add(Time(device, () => device.Ops.CopyRows(operands[0], 0, Columns, copied, 0, Columns, rows, Columns)));
            forward.Add(Time(device, () => Pass(fused, backward: false)));
            both.Add(Time(device, () => Pass(fused, backward: true)));
            if (spreads)
            {
                forwardApart.Add(Time(device, () => Pass(apart, backward: false)));
                bothApart.Add(Time(device, () => Pass(apart, backward: true)));
            }

            if (hasPeer)
            {
                forwardPeer.Add(peer!.Seconds(backward: false, Calls(forward[^1])));
                bothPeer.Add(peer.Seconds(backward: true, Calls(both[^1])));
            }
        }

        double rate = 2 * bytes / Median(copy);
        return
        [
            Timing("forward", forward, forwardApart, forwardPeer, wholes + written),
            Timing("forward and backward", both, bothApart, bothPeer, wholes + written + (2 * wholes) + written),
        ];

        FormulaTiming Timing(string pass, List<double> seconds, List<double> apart, List<double> peers, int arrays) => new(
            formula.Name, megabytes, pass, Median(seconds), arrays * bytes / Median(seconds) / rate,
            spreads ? Median(apart) / Median(seconds) : null, rate)
        {
            TimesPeer = hasPeer ? Median(peers) / Median(seconds) : null,
        };

        double[] NormsOf()
        {
            double[] norms = [];
            Pass(fused, backward: true, y => norms = [Norm(y[0]), .. operands.Select(operand => Norm(operand.Gradient!))]);
            return norms;
        }

        void Pass(Func<Tensor[]> apply, bool backward, Action<Tensor[]>? look = null)
        {
            tape.Training = backward;
            foreach (Tensor operand in operands)
            {
                operand.RequiresGradient = backward;
            }

            Tensor[] y = apply();
            if (backward)
            {
                foreach ((Tensor output, Tensor seed) in y.Zip(seeds))
                {
                    output.Gradient = seed;
                }

                tape.Backward();
                look?.Invoke(y);
                foreach (Tensor operand in operands)
                {
                    operand.Gradient = null;
                }
            }

            tape.Reset();
        }
    }

    private static Tensor[] OutputsOf(FusedOutputs outputs) => outputs.B is null
        ? [outputs.A]
        : [.. new[] { outputs.A, outputs.B, outputs.C, outputs.D }.OfType<Tensor>()];

    /// <returns>Whether the formula can be taken apart: operands may meet in it that do not spread over each other.</returns>
    private static bool Compare(string name, Tape tape, Func<Tensor[]> fused, Func<Tensor[]> apart)
    {
        double[] expected;
        try
        {
            expected = [.. apart().SelectMany(output => output.ToDoubles())];
        }
        catch (TensorMismatchException)
        {
            tape.Reset();
            return false;
        }

        double error = GradientCheck.RelativeError([.. fused().SelectMany(output => output.ToDoubles())], expected);
        tape.Reset();
        return error <= GradientCheck.ForwardTolerance ? true : throw new WrongFormulaException(
            $"{name}: the fused op differs from its operations one by one by {error:0.0e+0}.");
    }

    private static Tensor Draw(IDevice device, Shape shape, BetweenAttribute range, int number)
    {
        Random random = new(number + 1);
        float[] values = new float[shape.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = range.Least + ((range.Most - range.Least) * random.NextSingle());
        }

        return Tensor.From(device, shape, (ReadOnlySpan<float>)values);
    }

    /// <summary>Seconds of one call, of as many as take a while.</summary>
    private static double Time(IDevice device, Action action)
    {
        double once = Time(device, action, 1);
        int calls = Calls(once);
        return Time(device, action, calls) / calls;
    }

    private static int Calls(double once) => (int)Math.Clamp(SecondsOfRound / once, 1, 1000);

    private static double Norm(Tensor tensor) => Math.Sqrt(tensor.ToDoubles().Sum(value => value * value));

    private static void RequireSame(string name, double[] theirs, double[] ours)
    {
        double error = theirs.Zip(ours, (a, b) => Math.Abs(a - b) / Math.Max(Math.Abs(a), 1e-3)).Max();
        if (!(error <= GradientCheck.BackwardTolerance))
        {
            throw new WrongFormulaException($"{name}: the norms of output and gradients differ from the other engine's by {error:0.0e+0}.");
        }
    }

    private static double Time(IDevice device, Action action, int calls)
    {
        long start = Stopwatch.GetTimestamp();
        for (int call = 0; call < calls; call++)
        {
            action();
        }

        device.Synchronize();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private sealed class OwnedTensors : IDisposable
    {
        private readonly List<Tensor> _tensors = [];

        public Tensor Own(Tensor tensor)
        {
            _tensors.Add(tensor);
            return tensor;
        }

        public void Dispose() => _tensors.ForEach(tensor => tensor.Dispose());
    }
}

/// <summary>Two ways to compute a formula differ.</summary>
internal sealed class WrongFormulaException(string message) : Exception(message);
