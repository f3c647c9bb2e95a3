using System.Reflection;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

/// <summary>The operands of a fused op, and how each spreads over the output.</summary>
public readonly struct FusedOperands
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

    /// <exception cref="TensorMismatchException">An operand fits none of the four ways to spread, or lies on another device.</exception>
    public static FusedOperands Of(string op, Tensor a, Tensor? b, Tensor? c, Tensor? d)
    {
        Tensor whole = Larger(Larger(Larger(a, b), c), d);
        Operands<OperandSpread> spreads = default;
        spreads.A = SpreadOf(op, 0, a, whole);
        spreads.B = SpreadOf(op, 1, b, whole);
        spreads.C = SpreadOf(op, 2, c, whole);
        spreads.D = SpreadOf(op, 3, d, whole);
        int columns = IsMatrix(spreads.A) || IsMatrix(spreads.B) || IsMatrix(spreads.C) || IsMatrix(spreads.D)
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

public partial interface IOps
{
    /// <summary>y = f(operands), element by element.</summary>
    /// <param name="y">The shape of <see cref="FusedOperands.Whole"/>.</param>
    void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, Tensor y)
        where TFusion : unmanaged, IFusion;

    /// <summary>The gradients of the operands that have one.</summary>
    /// <param name="gradients">Of the operands' shapes.</param>
    void FusedBackward<TFusion>(TFusion fusion, Tensor dy, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion;
}

/// <summary>Where the gradients of a fused op's operands go.</summary>
public readonly struct FusedGradients
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

    /// <summary>As the others, of as many operands as the formula has.</summary>
    public static Tensor Apply<TFusion>(Tape tape, TFusion fusion, ReadOnlySpan<Tensor> operands)
        where TFusion : unmanaged, IFusion
        => operands.Length == TFusion.Count
            ? Record(tape, fusion, operands[0], At(operands, 1), At(operands, 2), At(operands, 3))
            : throw new ArgumentException($"{TFusion.Formula.Name} has {TFusion.Count} operands, not {operands.Length}.", nameof(operands));

    private static Tensor? At(ReadOnlySpan<Tensor> operands, int index) => index < operands.Length ? operands[index] : null;

    /// <summary>By the slopes that the author wrote, if any.</summary>
    private static Tensor Apply<TFusion, TFormula>(
        Tape tape, TFusion fusion, TFormula formula, Tensor a, Tensor? b, Tensor? c, Tensor? d)
        where TFusion : unmanaged, IFusion
        where TFormula : unmanaged
        => Slopes<TFusion, TFormula>.Apply is { } apply ? apply(tape, fusion, formula, a, b, c, d) : Record(tape, fusion, a, b, c, d);

    private static Tensor ApplyByHand<TFusion, TFormula>(
        Tape tape, TFusion fusion, TFormula formula, Tensor a, Tensor? b, Tensor? c, Tensor? d)
        where TFusion : unmanaged, IFusion
        where TFormula : unmanaged, IFormulaSlopes
        => Record(tape, new ByHand<TFusion, TFormula>(fusion, formula), a, b, c, d);

    private static Tensor Record<TFusion>(Tape tape, TFusion fusion, Tensor a, Tensor? b, Tensor? c, Tensor? d)
        where TFusion : unmanaged, IFusion
    {
        FusedOperands operands = FusedOperands.Of(TFusion.Formula.Name, a, b, c, d);
        Tensor y = tape.Allocate(operands.Whole.Shape, operands.Whole.DType);
        tape.Ops.FusedForward(fusion, operands, y);
        if (tape.Records(a, b, c, d))
        {
            tape.Record(new FusedFunction<TFusion>(fusion, operands, y), y);
        }

        return y;
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
public readonly struct FusedFunction<TFusion> : IFunction
    where TFusion : unmanaged, IFusion
{
    private readonly TFusion _fusion;
    private readonly FusedOperands _operands;
    private readonly Tensor _y;

    internal FusedFunction(TFusion fusion, in FusedOperands operands, Tensor y) => (_fusion, _operands, _y) = (fusion, operands, y);

    public void Backward(Tape tape)
    {
        var gradients = new FusedGradients(tape, _operands);
        tape.Ops.FusedBackward(_fusion, _y.Gradient!, _operands, gradients);
        gradients.Complete(tape);
    }
}

public sealed unsafe partial class CpuOps
{
    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, Tensor y)
        where TFusion : unmanaged, IFusion
        => Cpu.FusedKernels.Forward(team, fusion, operands.Shape, FusedKernelOperands.Of(operands), FusedKernelOperands.Of(y));

    public void FusedBackward<TFusion>(TFusion fusion, Tensor dy, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
        => Cpu.FusedKernels.Backward(team, fusion, operands.Shape, FusedKernelOperands.Of(dy), FusedKernelOperands.Of(operands),
            FusedKernelOperands.Of(gradients, operands.Spreads));
}

public sealed unsafe partial class ReferenceOps
{
    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, Tensor y)
        where TFusion : unmanaged, IFusion
    {
        var source = new ReferenceOperands(operands);
        double[] values = new double[y.Count];
        for (int i = 0; i < values.Length; i++)
        {
            Operands<double> x = source.At(i);
            values[i] = fusion.Forward<Real<DoubleMath, double>>(new(x.A), new(x.B), new(x.C), new(x.D)).Value;
        }

        Store(y, values);
    }

    public void FusedBackward<TFusion>(TFusion fusion, Tensor dy, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
    {
        var source = new ReferenceOperands(operands);
        double[] gradient = Load(dy);
        Differentiate(0, gradients.A, gradients.AddsA, operands.Spreads.A);
        Differentiate(1, gradients.B, gradients.AddsB, operands.Spreads.B);
        Differentiate(2, gradients.C, gradients.AddsC, operands.Spreads.C);
        Differentiate(3, gradients.D, gradients.AddsD, operands.Spreads.D);

        void Differentiate(int operand, Tensor? to, bool adds, OperandSpread spread)
        {
            if (to is null)
            {
                return;
            }

            double[] sum = adds ? Load(to) : new double[to.Count];
            for (int i = 0; i < gradient.Length; i++)
            {
                Operands<double> x = source.At(i);
                sum[source.IndexOf(spread, i)] += gradient[i] * fusion.Slope<DoubleMath, double>(x.A, x.B, x.C, x.D, operand);
            }

            Store(to, sum);
        }
    }

    /// <summary>The operands in double precision.</summary>
    private sealed class ReferenceOperands(FusedOperands operands)
    {
        private readonly int _columns = operands.Shape.Columns;
        private readonly Operands<OperandSpread> _spreads = operands.Spreads;
        private readonly double[] _a = Load(operands.A), _b = LoadOrZero(operands.B), _c = LoadOrZero(operands.C),
            _d = LoadOrZero(operands.D);

        public Operands<double> At(int i) => Operands<double>.Of(
            _a[IndexOf(_spreads.A, i)], _b[IndexOf(_spreads.B, i)], _c[IndexOf(_spreads.C, i)], _d[IndexOf(_spreads.D, i)]);

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
    public static FusedOperand Of(Tensor tensor) => Of(tensor, OperandSpread.Whole);

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

public sealed partial class CudaOps
{
    private readonly Dictionary<Type, object> _fused = [];

    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, Tensor y)
        where TFusion : unmanaged, IFusion
        => FusedKernels<TFusion>().Forward(
            _stream, fusion, operands.Shape, FusedKernelOperands.Of(operands), FusedKernelOperands.Of(y));

    public void FusedBackward<TFusion>(TFusion fusion, Tensor dy, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
    {
        Operands<FusedOperand> wanted = FusedKernelOperands.Of(gradients, operands.Spreads);
        nint rowSums = Gpu.FusedKernels<TFusion>.Has(wanted, OperandSpread.Scalar)
            ? _workspace.Take(CudaWorkspace.Use.RowSums, (long)operands.Shape.Rows * Operands<float>.Most * sizeof(float))
            : 0;
        FusedKernels<TFusion>().Backward(_stream, fusion, operands.Shape, FusedKernelOperands.Of(dy), FusedKernelOperands.Of(operands),
            wanted, rowSums);
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
