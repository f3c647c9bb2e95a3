using System.Reflection;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

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
