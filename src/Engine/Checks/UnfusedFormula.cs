using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Engine.Checks;

/// <summary>
/// A formula taken apart: an op for each operation in it, with every intermediate result in memory, as by a library that cannot fuse. What
/// the fused op is compared with, in its numbers and in its time.
/// </summary>
internal sealed class UnfusedFormula : IDisposable
{
    private readonly List<Step> _steps;
    private readonly Tensor?[] _constants;
    private readonly int _operands;
    private readonly int _outputs;

    private UnfusedFormula(List<Step> steps, int operands, int outputs, IDevice device)
    {
        (_steps, _operands, _outputs) = (steps, operands, outputs);
        _constants = [.. steps.Select(step => step.Constant is { } value ? Tensor.From(device, [1], [value], name: "constant") : null)];
    }

    /// <param name="columns">Elements of a row.</param>
    public static UnfusedFormula Of<TFusion>(TFusion fusion, IDevice device, int columns)
        where TFusion : unmanaged, IFusion
    {
        Traced.Steps = [];
        try
        {
            Traced[] x = [.. Enumerable.Range(0, Operands<float>.Most).Select(_ => Traced.Add(new Step(null, null)))];
            Row<Traced> row = default;
            if (TFusion.Sums > 0)
            {
                row.Count = columns;
                row.Maximum = TFusion.NeedsMaximum ? Traced.OfRow<RowMaximum>(x[0]) : 0;
                row.First = Sum(1);
                row.Second = TFusion.Sums > 1 ? Sum(2) : 0;
                row.Third = TFusion.Sums > 2 ? Sum(3) : 0;
            }

            Traced[] outputs = [.. Enumerable.Range(0, TFusion.Outputs).Select(Part)];

            // A formula may give back an operand or an earlier result.
            foreach (Traced output in outputs)
            {
                _ = Traced.Add(new Step((tape, t) => t[output.Index], null));
            }

            return new UnfusedFormula(Traced.Steps, TFusion.Count, TFusion.Outputs, device);

            Traced Sum(int part) =>
                fusion.Value(IFusion.Finished + part, Traced.OfRow<RowSum>(Part(part)), x[1], x[2], x[3], row);

            Traced Part(int part) => fusion.Value(part, x[0], x[1], x[2], x[3], row);
        }
        finally
        {
            Traced.Steps = null;
        }
    }

    /// <returns>The outputs.</returns>
    /// <exception cref="TensorMismatchException">Operands meet that do not spread over each other.</exception>
    public Tensor[] Apply(Tape tape, IReadOnlyList<Tensor> operands)
    {
        Tensor[] results = new Tensor[_steps.Count];
        for (int i = 0; i < results.Length; i++)
        {
            results[i] = i < _operands ? operands[i]
                : _constants[i] ?? _steps[i].Apply?.Invoke(tape, results)
                ?? operands[0];
        }

        return results[^_outputs..];
    }

    public void Dispose()
    {
        foreach (Tensor? constant in _constants)
        {
            constant?.Dispose();
        }
    }

    /// <summary>One operation on earlier results, or a constant; neither for an operand.</summary>
    private sealed record Step(Func<Tape, Tensor[], Tensor>? Apply, float? Constant);

    /// <summary>A number that writes down what is done with it.</summary>
    private readonly struct Traced : IReal<Traced>
    {
        [ThreadStatic]
        private static List<Step>? _steps;

        private Traced(int index) => Index = index;

        public static List<Step>? Steps
        {
            get => _steps;
            set => _steps = value;
        }

        /// <summary>The step that computes it.</summary>
        public int Index { get; }

        public static Traced Add(Step step)
        {
            _steps!.Add(step);
            return new Traced(_steps.Count - 1);
        }

        public static implicit operator Traced(float constant) => Add(new Step(null, constant));

        public static Traced operator +(Traced left, Traced right) => Two<Sum>(left, right);

        public static Traced operator -(Traced left, Traced right) => Two<Difference>(left, right);

        public static Traced operator -(Traced value) => One<Negative>(value);

        public static Traced operator *(Traced left, Traced right) => Two<Product>(left, right);

        public static Traced operator /(Traced left, Traced right) => Two<Quotient>(left, right);

        public static Traced Max(Traced a, Traced b) => Two<Larger>(a, b);

        public static Traced Min(Traced a, Traced b) => Two<Smaller>(a, b);

        public static Traced SelectGreater(Traced a, Traced b, Traced whenGreater, Traced otherwise) => Add(new Step((tape, t) =>
            Fused.Apply<Selected>(tape, t[a.Index], t[b.Index], t[whenGreater.Index], t[otherwise.Index]), null));

        public static Traced Relu(Traced x) => One<Rectified>(x);

        public static Traced Abs(Traced x) => One<Absolute>(x);

        public static Traced Sqrt(Traced x) => One<Root>(x);

        public static Traced ReciprocalSqrt(Traced x) => One<ReciprocalRoot>(x);

        public static Traced Exp(Traced x) => One<Exponential>(x);

        public static Traced Log(Traced x) => One<Logarithm>(x);

        public static Traced Log1p(Traced x) => One<LogarithmOfMore>(x);

        public static Traced Pow(Traced x, Traced y) => Two<Power>(x, y);

        public static Traced Tanh(Traced x) => One<Tangent>(x);

        public static Traced Sigmoid(Traced x) => One<Logistic>(x);

        public static Traced Erf(Traced x) => One<ErrorFunction>(x);

        public static Traced OfRow<TFormula>(Traced x)
            where TFormula : unmanaged, IRowFormula
            => Add(new Step((tape, t) => Fused.ApplyRows<TFormula>(tape, default, Whole(t[x.Index])), null));

        /// <exception cref="TensorMismatchException">What is the same for the whole row cannot be added up over it.</exception>
        private static Tensor Whole(Tensor x) => x.Shape.Rank > 1 && x.Shape[-1] > 1
            ? x
            : throw new TensorMismatchException("RowSum", "a term", $"has shape {x.Shape}, which is no row.");

        private static Traced One<TFormula>(Traced x)
            where TFormula : unmanaged, IFormula1
            => Add(new Step((tape, t) => Fused.Apply<TFormula>(tape, t[x.Index]), null));

        private static Traced Two<TFormula>(Traced a, Traced b)
            where TFormula : unmanaged, IFormula2
            => Add(new Step((tape, t) => Fused.Apply<TFormula>(tape, t[a.Index], t[b.Index]), null));
    }
}
