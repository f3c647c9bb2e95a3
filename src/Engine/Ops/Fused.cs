using System.Reflection;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

/// <summary>The operands of a fused op, and how each spreads over the output.</summary>
internal readonly struct FusedOperands
{
    private FusedOperands(FusedShape shape, Tensor a, Tensor? b, Tensor? c, Tensor? d, Operands<OperandSpread> spreads) =>
        (Shape, A, B, C, D, Spreads) = (shape, a, b, c, d, spreads);

    public FusedShape Shape { get; }

    public Tensor A { get; }

    public Tensor? B { get; }

    public Tensor? C { get; }

    public Tensor? D { get; }

    public Operands<OperandSpread> Spreads { get; }

    /// <summary>The first operand that has an element for each of the output's: the output has its shape.</summary>
    public Tensor Whole => Spreads.A == OperandSpread.Whole ? A
        : Spreads.B == OperandSpread.Whole ? B!
        : Spreads.C == OperandSpread.Whole ? C!
        : D!;

    /// <param name="ofRows">Whether the rows matter to the formula itself.</param>
    /// <exception cref="TensorMismatchException">An operand fits none of the four ways to spread, or lies on another device; a formula of
    /// rows has none.</exception>
    public static FusedOperands Of(string op, bool ofRows, Tensor a, Tensor? b, Tensor? c, Tensor? d)
    {
        Tensor whole = Larger(Larger(Larger(a, b), c), d);
        Operands<OperandSpread> spreads = default;
        spreads.A = SpreadOf(op, 0, a, whole);
        spreads.B = SpreadOf(op, 1, b, whole);
        spreads.C = SpreadOf(op, 2, c, whole);
        spreads.D = SpreadOf(op, 3, d, whole);
        if (ofRows && (whole.Shape.Rank == 0 || whole.Shape[-1] == 0))
        {
            throw new TensorMismatchException(
                op, NameOf(whole, 0), $"has shape {whole.Shape}; its last axis must have elements to sum over.");
        }

        int columns = ofRows || IsMatrix(spreads.A) || IsMatrix(spreads.B) || IsMatrix(spreads.C) || IsMatrix(spreads.D)
            ? whole.Shape[-1]
            : FusedShape.FlatColumns;
        return new FusedOperands(new FusedShape(whole.Count, columns), a, b, c, d, spreads);
    }

    /// <summary>The one that the other could be spread over; shapes rather than counts decide, since there may be no rows.</summary>
    private static Tensor Larger(Tensor a, Tensor? b) => b is not null && Extent(b.Shape).CompareTo(Extent(a.Shape)) > 0 ? b : a;

    private static (bool IsMore, int Rank, long Count, int Channels) Extent(Shape shape) =>
        (shape.Count != 1, shape.Rank, shape.Count, shape.Rank == 0 ? 1 : shape[-1]);

    private static bool IsMatrix(OperandSpread spread) => spread is OperandSpread.Column or OperandSpread.Row;

    private static OperandSpread SpreadOf(string op, int index, Tensor? operand, Tensor whole)
    {
        if (operand is null)
        {
            return OperandSpread.Scalar;
        }

        Check.Device(op, operand, whole.Device);
        if (operand.DType is not (DType.Float32 or DType.Float16 or DType.Float64))
        {
            throw new TensorMismatchException(op, NameOf(operand, index), $"is {operand.DType}; a formula takes floating-point numbers.");
        }

        Shape shape = operand.Shape, full = whole.Shape;
        if (shape == full)
        {
            return OperandSpread.Whole;
        }

        if (operand.Count == 1)
        {
            return OperandSpread.Scalar;
        }

        if (shape.Rank == 1 && shape[0] == full[-1])
        {
            return OperandSpread.Column;
        }

        return shape == full.With(-1, 1) ? OperandSpread.Row : throw new TensorMismatchException(op, NameOf(operand, index),
            $"has shape {shape}; beside {full} of {whole.Name ?? "the largest operand"} it must have the same, [{full[-1]}] for one " +
            $"number per channel (the last axis), {full.With(-1, 1)} for one per row, or [1].");
    }

    private static string NameOf(Tensor operand, int index) => operand.Name ?? $"operand {index + 1}";
}

/// <summary>The outputs of a fused op.</summary>
public readonly struct FusedOutputs
{
    internal FusedOutputs(Tensor a, Tensor? b, Tensor? c, Tensor? d) => (A, B, C, D) = (a, b, c, d);

    public Tensor A { get; }

    /// <summary>Null where the formula has no second output.</summary>
    public Tensor? B { get; }

    public Tensor? C { get; }

    public Tensor? D { get; }

    public void Deconstruct(out Tensor a, out Tensor b) => (a, b) = (A, B!);

    public void Deconstruct(out Tensor a, out Tensor b, out Tensor c) => (a, b, c) = (A, B!, C!);

    public void Deconstruct(out Tensor a, out Tensor b, out Tensor c, out Tensor d) => (a, b, c, d) = (A, B!, C!, D!);
}

internal partial interface IOps
{
    /// <summary>y = f(operands), element by element.</summary>
    /// <param name="outputs">Of the shape of <see cref="FusedOperands.Whole"/>; one number a row where the formula gives that.</param>
    void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion;

    /// <summary>The gradients of the operands that have one, by those of the outputs.</summary>
    /// <param name="outputs">One of them has a gradient; those of the others are 0.</param>
    /// <param name="gradients">Of the operands' shapes.</param>
    void FusedBackward<TFusion>(
        TFusion fusion, in FusedOutputs outputs, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion;
}

/// <summary>Where the gradients of a fused op's operands go.</summary>
internal readonly struct FusedGradients
{
    private readonly FusedOperands _operands;

    /// <summary>
    /// Lays out those that are missing: they are overwritten, the others added to. A tensor that is more than one operand gets a gradient
    /// for each, which <see cref="Complete(Tape)"/> adds up.
    /// </summary>
    internal FusedGradients(Tape tape, in FusedOperands operands)
    {
        _operands = operands;
        (A, AddsA) = Of(tape, operands.A, isRepeated: false);
        (B, AddsB) = Of(tape, operands.B, operands.B == operands.A);
        (C, AddsC) = Of(tape, operands.C, operands.C == operands.A || operands.C == operands.B);
        (D, AddsD) = Of(tape, operands.D, operands.D == operands.A || operands.D == operands.B || operands.D == operands.C);
    }

    /// <summary>Null where none is wanted.</summary>
    public Tensor? A { get; }

    public Tensor? B { get; }

    public Tensor? C { get; }

    public Tensor? D { get; }

    /// <summary>Whether the gradient is added to what is there.</summary>
    public bool AddsA { get; }

    public bool AddsB { get; }

    public bool AddsC { get; }

    public bool AddsD { get; }

    /// <summary>To be called when they have been written.</summary>
    internal void Complete(Tape tape)
    {
        tape.EndGradient(_operands.A, A);
        Complete(tape, _operands.B, B);
        Complete(tape, _operands.C, C);
        Complete(tape, _operands.D, D);
    }

    private static void Complete(Tape tape, Tensor? operand, Tensor? gradient)
    {
        if (operand is not null)
        {
            tape.EndGradient(operand, gradient);
        }
    }

    private static (Tensor? Gradient, bool Adds) Of(Tape tape, Tensor? operand, bool isRepeated)
    {
        if (operand is not { RequiresGradient: true })
        {
            return (null, false);
        }

        if (isRepeated)
        {
            return (tape.Allocate(operand.Shape, operand.DType), false);
        }

        bool adds = operand.Gradient is not null;
        operand.Gradient ??= tape.Allocate(operand.Shape, operand.DType);
        return (operand.Gradient, adds);
    }
}

/// <summary>Formulas as differentiable functions.</summary>
public static class Fused
{
    /// <summary>y = f(x).</summary>
    /// <returns>Of x's shape and type.</returns>
    /// <exception cref="TensorMismatchException">The operands do not fit together.</exception>
    public static Tensor Apply<TFormula>(Tape tape, Tensor x, TFormula formula = default)
        where TFormula : unmanaged, IFormula1
        => Apply(tape, new Fusion1<TFormula>(formula), formula, x, null, null, null);

    /// <summary>y = f(a, b), where operands spread as <see cref="OperandSpread"/> says.</summary>
    /// <returns>Of the shape and type of the first operand that is whole.</returns>
    /// <exception cref="TensorMismatchException">The operands do not fit together.</exception>
    public static Tensor Apply<TFormula>(Tape tape, Tensor a, Tensor b, TFormula formula = default)
        where TFormula : unmanaged, IFormula2
        => Apply(tape, new Fusion2<TFormula>(formula), formula, a, b, null, null);

    /// <inheritdoc cref="Apply{TFormula}(Tape, Tensor, Tensor, TFormula)"/>
    public static Tensor Apply<TFormula>(Tape tape, Tensor a, Tensor b, Tensor c, TFormula formula = default)
        where TFormula : unmanaged, IFormula3
        => Apply(tape, new Fusion3<TFormula>(formula), formula, a, b, c, null);

    /// <inheritdoc cref="Apply{TFormula}(Tape, Tensor, Tensor, TFormula)"/>
    public static Tensor Apply<TFormula>(Tape tape, Tensor a, Tensor b, Tensor c, Tensor d, TFormula formula = default)
        where TFormula : unmanaged, IFormula4
        => Apply(tape, new Fusion4<TFormula>(formula), formula, a, b, c, d);

    /// <summary>y = f(operands, sums of their row), where rows are along the last axis and operands spread as the others'.</summary>
    /// <param name="operands">As many as the formula has.</param>
    /// <returns>Of the shape and type of the first operand that is whole; if the formula gives one number a row, the last axis is
    /// 1.</returns>
    /// <exception cref="TensorMismatchException">The operands do not fit together, or the last axis is empty.</exception>
    public static Tensor ApplyRows<TFormula>(Tape tape, TFormula formula, params ReadOnlySpan<Tensor> operands)
        where TFormula : unmanaged, IRowFormula
        => Apply(tape, new RowFusion<TFormula>(formula), operands).A;

    /// <summary>y₀, y₁, … = f(operands), where operands spread as the others'.</summary>
    /// <param name="operands">As many as the formula has.</param>
    /// <returns>Each of the shape and type of the first operand that is whole.</returns>
    /// <exception cref="TensorMismatchException">The operands do not fit together.</exception>
    public static FusedOutputs ApplyMultiOutput<TFormula>(Tape tape, TFormula formula, params ReadOnlySpan<Tensor> operands)
        where TFormula : unmanaged, IMultiOutputFormula
        => Apply(tape, new MultiOutputFusion<TFormula>(formula), operands);

    /// <summary>As the others, of as many operands as the formula has.</summary>
    internal static FusedOutputs Apply<TFusion>(Tape tape, TFusion fusion, ReadOnlySpan<Tensor> operands)
        where TFusion : unmanaged, IFusion
        => operands.Length == TFusion.Count && TFusion.Count > 0
            ? Record(tape, fusion, At(operands, 0)!, At(operands, 1), At(operands, 2), At(operands, 3))
            : throw new ArgumentException($"{TFusion.Formula.Name} has {TFusion.Count} operands, not {operands.Length}.", nameof(operands));

    private static Tensor? At(ReadOnlySpan<Tensor> operands, int index) => index < operands.Length ? operands[index] : null;

    /// <summary>By the slopes that the author wrote, if any.</summary>
    private static Tensor Apply<TFusion, TFormula>(
        Tape tape, TFusion fusion, TFormula formula, Tensor a, Tensor? b, Tensor? c, Tensor? d)
        where TFusion : unmanaged, IFusion
        where TFormula : unmanaged
        => Slopes<TFusion, TFormula>.Apply is { } apply
            ? apply(tape, fusion, formula, a, b, c, d)
            : Record(tape, fusion, a, b, c, d).A;

    private static Tensor ApplyByHand<TFusion, TFormula>(
        Tape tape, TFusion fusion, TFormula formula, Tensor a, Tensor? b, Tensor? c, Tensor? d)
        where TFusion : unmanaged, IFusion
        where TFormula : unmanaged, IFormulaSlopes
        => Record(tape, new ByHand<TFusion, TFormula>(fusion, formula), a, b, c, d).A;

    private static FusedOutputs Record<TFusion>(Tape tape, TFusion fusion, Tensor a, Tensor? b, Tensor? c, Tensor? d)
        where TFusion : unmanaged, IFusion
    {
        ArgumentNullException.ThrowIfNull(tape);
        Rules<TFusion>.Require(fusion, a, b, c, d);
        FusedOperands operands = FusedOperands.Of(TFusion.Formula.Name, TFusion.Sums > 0, a, b, c, d);
        Shape shape = TFusion.IsPerRow ? operands.Whole.Shape.With(-1, 1) : operands.Whole.Shape;
        var outputs = new FusedOutputs(
            tape.Allocate(shape, operands.Whole.DType),
            TFusion.Outputs > 1 ? tape.Allocate(shape, operands.Whole.DType) : null,
            TFusion.Outputs > 2 ? tape.Allocate(shape, operands.Whole.DType) : null,
            TFusion.Outputs > 3 ? tape.Allocate(shape, operands.Whole.DType) : null);
        tape.Ops.FusedForward(fusion, operands, outputs);
        if (tape.Records(a, b, c, d))
        {
            tape.Record(
                new FusedFunction<TFusion>(fusion, operands, outputs),
                ((ReadOnlySpan<Tensor>)[outputs.A, outputs.B!, outputs.C!, outputs.D!])[..TFusion.Outputs]);
        }

        return outputs;
    }

    /// <summary>What a formula must keep to, looked at once.</summary>
    private static class Rules<TFusion>
        where TFusion : unmanaged, IFusion
    {
        private static bool _areKept;

        /// <exception cref="ArgumentException">An operand is missing, or the formula breaks a rule.</exception>
        public static void Require(TFusion fusion, Tensor? a, Tensor? b, Tensor? c, Tensor? d)
        {
            if (!_areKept && FormulaTypes.ProblemOf(fusion) is { } problem)
            {
                throw new ArgumentException($"{TFusion.Formula.Name} {problem}.");
            }

            _areKept = true;
            int given = d is not null ? 4 : c is not null ? 3 : b is not null ? 2 : a is not null ? 1 : 0;
            if (given != TFusion.Count || a is null || (given > 1 && b is null) || (given > 2 && c is null))
            {
                throw new ArgumentException($"{TFusion.Formula.Name} needs {TFusion.Count} operands, and one of them is null.");
            }
        }
    }

    /// <summary>What takes the slopes of a formula's author: only its type says that there are any.</summary>
    private static class Slopes<TFusion, TFormula>
        where TFusion : unmanaged, IFusion
        where TFormula : unmanaged
    {
        public delegate Tensor Applied(Tape tape, TFusion fusion, TFormula formula, Tensor a, Tensor? b, Tensor? c, Tensor? d);

        public static readonly Applied? Apply = typeof(IFormulaSlopes).IsAssignableFrom(typeof(TFormula))
            ? typeof(Fused).GetMethod(nameof(ApplyByHand), BindingFlags.NonPublic | BindingFlags.Static)!
                .MakeGenericMethod(typeof(TFusion), typeof(TFormula)).CreateDelegate<Applied>()
            : null;
    }
}

/// <summary>A formula on the tape: keeps its operands and nothing else.</summary>
internal readonly struct FusedFunction<TFusion> : IFunction
    where TFusion : unmanaged, IFusion
{
    private readonly TFusion _fusion;
    private readonly FusedOperands _operands;
    private readonly FusedOutputs _outputs;

    internal FusedFunction(TFusion fusion, in FusedOperands operands, in FusedOutputs outputs) =>
        (_fusion, _operands, _outputs) = (fusion, operands, outputs);

    public void Backward(Tape tape)
    {
        var gradients = new FusedGradients(tape, _operands);
        tape.Ops.FusedBackward(_fusion, _outputs, _operands, gradients);
        gradients.Complete(tape);
    }
}

internal sealed unsafe partial class CpuOps
{
    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion
        => Cpu.FusedKernels.Forward(team, fusion, operands.Shape, FusedKernelOperands.Of(operands),
            FusedKernelOperands.Of<TFusion>(outputs));

    public void FusedBackward<TFusion>(
        TFusion fusion, in FusedOutputs outputs, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
        => Cpu.FusedKernels.Backward(team, fusion, operands.Shape, FusedKernelOperands.OfGradients<TFusion>(outputs),
            FusedKernelOperands.Of(operands), FusedKernelOperands.Of(gradients, operands.Spreads));
}

internal sealed unsafe partial class ReferenceOps
{
    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion
    {
        var source = new ReferenceOperands(operands);
        foreach ((int output, Tensor y) in new[] { outputs.A, outputs.B, outputs.C, outputs.D }.OfType<Tensor>().Index())
        {
            double[] values = new double[y.Count];
            for (int row = 0; row < operands.Shape.Rows; row++)
            {
                Row<double> sums = SumsOf(fusion, source, row, out _);
                foreach (int i in source.PlacesOf(row, TFusion.IsPerRow))
                {
                    values[i] = ValueOf(fusion, output, TFusion.IsPerRow ? default : source.At(i), sums);
                }
            }

            Store(y, values);
        }
    }

    public void FusedBackward<TFusion>(
        TFusion fusion, in FusedOutputs outputs, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
    {
        var source = new ReferenceOperands(operands);
        double[][] to = [Begin(gradients.A, gradients.AddsA), Begin(gradients.B, gradients.AddsB), Begin(gradients.C, gradients.AddsC),
            Begin(gradients.D, gradients.AddsD)];
        OperandSpread[] spreads = [operands.Spreads.A, operands.Spreads.B, operands.Spreads.C, operands.Spreads.D];
        foreach ((int output, Tensor y) in new[] { outputs.A, outputs.B, outputs.C, outputs.D }.OfType<Tensor>().Index())
        {
            if (y.Gradient is { } gradient)
            {
                AddGradients(fusion, output, Load(gradient), source, spreads, operands.Shape.Rows, to);
            }
        }

        End(gradients.A, to[0]);
        End(gradients.B, to[1]);
        End(gradients.C, to[2]);
        End(gradients.D, to[3]);

        static double[] Begin(Tensor? tensor, bool adds) => tensor is null ? [] : adds ? Load(tensor) : new double[tensor.Count];

        static void End(Tensor? tensor, double[] values)
        {
            if (tensor is not null)
            {
                Store(tensor, values);
            }
        }
    }

    /// <summary>What one output passes back, added to the operands' gradients.</summary>
    private static void AddGradients<TFusion>(
        TFusion fusion, int output, double[] gradient, ReferenceOperands source, OperandSpread[] spreads, int rows, double[][] to)
        where TFusion : unmanaged, IFusion
    {
        for (int row = 0; row < rows; row++)
        {
            Row<double> sums = SumsOf(fusion, source, row, out Row<double> finished);
            double[] slopes = [0, finished.First, finished.Second, finished.Third];

            // Number 0 is the output, the others are the sums.
            double[] ofSums = [0, 0, 0, 0];
            for (int pass = 0; pass <= TFusion.Sums; pass++)
            {
                int from = pass == 0 ? 0 : TFusion.Sums + 1 - pass, part = from == 0 ? output : from;
                foreach (int i in source.PlacesOf(row, TFusion.IsPerRow && from == 0))
                {
                    Operands<double> x = TFusion.IsPerRow && from == 0 ? default : source.At(i);
                    double upstream = from == 0 ? gradient[i] : ofSums[from] * slopes[from];
                    for (int sum = 1; sum <= (from == 0 ? TFusion.Sums : from - 1); sum++)
                    {
                        ofSums[sum] += SlopeOf(fusion, part, x, sums, Operands<double>.Most + sum - 1).PassBack(upstream);
                    }

                    for (int operand = 0; operand < TFusion.Count && !(TFusion.IsPerRow && from == 0); operand++)
                    {
                        if (to[operand].Length > 0)
                        {
                            to[operand][source.IndexOf(spreads[operand], i)] += SlopeOf(fusion, part, x, sums, operand).PassBack(upstream);
                        }
                    }
                }
            }
        }
    }

    /// <param name="slopes">Of what has become of each sum along itself.</param>
    private static Row<double> SumsOf<TFusion>(TFusion fusion, ReferenceOperands source, int row, out Row<double> slopes)
        where TFusion : unmanaged, IFusion
    {
        Row<double> sums = default;
        slopes = default;
        if (TFusion.Sums == 0)
        {
            return sums;
        }

        IEnumerable<int> places = source.PlacesOf(row, isOne: false);
        sums.Count = places.Count();
        sums.Maximum = TFusion.NeedsMaximum ? places.Max(i => source.At(i).A) : 0;
        sums.First = Finished(1, out slopes.First);
        sums.Second = TFusion.Sums > 1 ? Finished(2, out slopes.Second) : 0;
        sums.Third = TFusion.Sums > 2 ? Finished(3, out slopes.Third) : 0;
        return sums;

        double Finished(int part, out double slope)
        {
            Operands<double> total = default;
            total.A = places.Sum(i => ValueOf(fusion, part, source.At(i), sums));
            slope = SlopeOf(fusion, IFusion.Finished + part, total, sums, 0).PassBack(1);
            return ValueOf(fusion, IFusion.Finished + part, total, sums);
        }
    }

    private static double ValueOf<TFusion>(TFusion fusion, int part, Operands<double> x, Row<double> row)
        where TFusion : unmanaged, IFusion
    {
        Row<Real<DoubleMath, double>> sums = default;
        sums.Maximum = new(row.Maximum);
        sums.First = new(row.First);
        sums.Second = new(row.Second);
        sums.Third = new(row.Third);
        sums.Count = new(row.Count);
        return fusion.Value<Real<DoubleMath, double>>(part, new(x.A), new(x.B), new(x.C), new(x.D), sums).Value;
    }

    private static Dual<DoubleMath, double> SlopeOf<TFusion>(TFusion fusion, int part, Operands<double> x, Row<double> row, int along)
        where TFusion : unmanaged, IFusion
        => fusion.Slope<DoubleMath, double>(part, x.A, x.B, x.C, x.D, row, along);

    /// <summary>The operands in double precision.</summary>
    private sealed class ReferenceOperands(FusedOperands operands)
    {
        private readonly int _columns = operands.Shape.Columns;
        private readonly Operands<OperandSpread> _spreads = operands.Spreads;
        private readonly double[] _a = Load(operands.A), _b = LoadOrZero(operands.B), _c = LoadOrZero(operands.C),
            _d = LoadOrZero(operands.D);

        public Operands<double> At(int i) => Operands<double>.Of(
            _a[IndexOf(_spreads.A, i)], _b[IndexOf(_spreads.B, i)], _c[IndexOf(_spreads.C, i)], _d[IndexOf(_spreads.D, i)]);

        /// <summary>The elements of a row, or the one output for it.</summary>
        public IEnumerable<int> PlacesOf(int row, bool isOne) =>
            isOne ? [row] : Enumerable.Range(row * _columns, operands.Shape.ColumnsOf(row));

        public int IndexOf(OperandSpread spread, int i) => spread switch
        {
            OperandSpread.Whole => i,
            OperandSpread.Column => i % _columns,
            OperandSpread.Row => i / _columns,
            _ => 0,
        };

        private static double[] LoadOrZero(Tensor? tensor) => tensor is null ? [0] : Load(tensor);
    }
}

/// <summary>Tensors as kernels see them.</summary>
file static class FusedKernelOperands
{
    public static Operands<FusedOperand> Of<TFusion>(in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion
        => Operands<FusedOperand>.Of(
            Of(outputs.A, SpreadOf<TFusion>()), Of(outputs.B, SpreadOf<TFusion>()), Of(outputs.C, SpreadOf<TFusion>()),
            Of(outputs.D, SpreadOf<TFusion>()));

    public static Operands<FusedOperand> OfGradients<TFusion>(in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion
        => Operands<FusedOperand>.Of(
            OfGradient<TFusion>(outputs.A), OfGradient<TFusion>(outputs.B), OfGradient<TFusion>(outputs.C),
            OfGradient<TFusion>(outputs.D));

    /// <summary>Of the output's type even where there is none.</summary>
    private static FusedOperand OfGradient<TFusion>(Tensor? output)
        where TFusion : unmanaged, IFusion
        => output?.Gradient is { } gradient
            ? Of(gradient, SpreadOf<TFusion>())
            : new FusedOperand(0, SpreadOf<TFusion>(), output is not null && IsHalf(output));

    private static OperandSpread SpreadOf<TFusion>()
        where TFusion : unmanaged, IFusion
        => TFusion.IsPerRow ? OperandSpread.Row : OperandSpread.Whole;

    public static Operands<FusedOperand> Of(in FusedOperands operands) => Operands<FusedOperand>.Of(
        Of(operands.A, operands.Spreads.A), Of(operands.B, operands.Spreads.B), Of(operands.C, operands.Spreads.C),
        Of(operands.D, operands.Spreads.D));

    public static Operands<FusedOperand> Of(in FusedGradients gradients, Operands<OperandSpread> spreads) => Operands<FusedOperand>.Of(
        Of(gradients.A, spreads.A, gradients.AddsA), Of(gradients.B, spreads.B, gradients.AddsB),
        Of(gradients.C, spreads.C, gradients.AddsC), Of(gradients.D, spreads.D, gradients.AddsD));

    private static FusedOperand Of(Tensor? tensor, OperandSpread spread, bool adds = false) =>
        tensor is null ? default : new FusedOperand(tensor.Data, spread, IsHalf(tensor), adds);

    private static bool IsHalf(Tensor tensor) => tensor.DType switch
    {
        DType.Float32 => false,
        DType.Float16 => true,
        _ => throw new NotSupportedException($"{tensor.Device.Name} computes formulas of Float32 and Float16, not of {tensor.DType}."),
    };
}

internal sealed partial class CudaOps
{
    private readonly Dictionary<Type, object> _fused = [];

    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion
        => FusedKernels<TFusion>().Forward(
            _stream, fusion, operands.Shape, FusedKernelOperands.Of(operands), FusedKernelOperands.Of<TFusion>(outputs));

    public void FusedBackward<TFusion>(
        TFusion fusion, in FusedOutputs outputs, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
    {
        Operands<FusedOperand> wanted = FusedKernelOperands.Of(gradients, operands.Spreads);
        long floats = Gpu.FusedKernels<TFusion>.MemoryOf(operands.Shape, wanted);
        nint memory = floats > 0 ? _workspace.Take(CudaWorkspace.Use.RowSums, floats * sizeof(float)) : 0;
        FusedKernels<TFusion>().Backward(_stream, fusion, operands.Shape, FusedKernelOperands.OfGradients<TFusion>(outputs),
            FusedKernelOperands.Of(operands), wanted, memory);
    }

    private Gpu.FusedKernels<TFusion> FusedKernels<TFusion>()
        where TFusion : unmanaged, IFusion
    {
        if (!_fused.TryGetValue(typeof(TFusion), out object? kernels))
        {
            _fused.Add(typeof(TFusion), kernels = new Gpu.FusedKernels<TFusion>(_kernels));
        }

        return (Gpu.FusedKernels<TFusion>)kernels;
    }
}
