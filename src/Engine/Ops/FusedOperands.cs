using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

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
