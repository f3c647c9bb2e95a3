using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Cuda;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;
using CudaTrainer.Kernels.Tests;

namespace CudaTrainer.Engine.Tests;

/// <summary>Formulas that sum over rows first.</summary>
[Collection(CudaCollection.Name)]
public sealed class RowFormulaTests
{
    private const int Draws = 1000;

    public static TheoryData<SimdLevel> Levels => [.. SimdSelection.Available];

    public static TheoryData<string> Devices => ["cpu", "cuda"];

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_thousand_drawn_formulas_are_right_at_every_level(SimdLevel level)
    {
        using var device = new CpuDevice(2, level: level);
        ShouldBeRight(device, Draws);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void A_thousand_drawn_formulas_are_right_on_GPUs()
    {
        using IDevice device = CudaSimulator.Open();
        ShouldBeRight(device, Draws);
    }

    /// <summary>Kinks are left out; a formula that has one may still jump where a sum meets it in every element at once.</summary>
    [Fact]
    public void Derivatives_of_drawn_formulas_are_the_limits_of_differences()
    {
        Random random = new(9);
        GradientCheckRow[] rows = [.. Enumerable.Range(0, 300).Select(_ => GradientCheck.AgainstFiniteDifferences(Draw(random, [2, 5])))];

        rows.Count(row => row.Kinks > 0).ShouldBeLessThan(rows.Length / 4);
        rows.Where(row => !row.Passed && row.Kinks == 0).ShouldBeEmpty();
    }

    /// <summary>Sizes around vectors, tiles and blocks, one class among them.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Rows_of_every_length_are_covered(string name)
    {
        using IDevice device = name == "cpu" ? new CpuDevice(2) : CudaSimulator.Open();
        foreach (int columns in (int[])[1, 2, 7, 16, 17, 1024, 1025, 2100])
        {
            OpCase norm = Case("norm", [[3, columns], [columns], [columns]],
                (tape, t) => Fused.ApplyRows(tape, new LayerNorm(0.1f), t[0], t[1], t[2]));
            GradientCheckRow row = GradientCheck.AgainstReference(norm, device);
            row.Passed.ShouldBeTrue($"{row}, {columns} columns");
            OpCase loss = Case("loss", [[2, 2, columns], [2, 2, columns]],
                (tape, t) => Fused.ApplyRows<SoftmaxCrossEntropy>(tape, default, t[0], t[1]));
            row = GradientCheck.AgainstReference(loss, device);
            row.Passed.ShouldBeTrue($"{row}, {columns} columns");
        }
    }

    /// <summary>Without the maximum e¹⁰⁰⁰ would be infinite.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Large_numbers_are_in_reach(string name)
    {
        using IDevice device = name == "cpu" ? new CpuDevice(1) : CudaSimulator.Open();
        using var tape = new Tape(device);
        using Tensor x = Tensor.From(device, [2, 3], [1000f, 1000, -1000, -2000, -2001, -2000]);
        float tail = MathF.Exp(-1);
        Fused.ApplyRows<Softmax>(tape, default, x).Read<float>().ShouldBe(
            [0.5f, 0.5f, 0, 1 / (2 + tail), tail / (2 + tail), 1 / (2 + tail)], 1e-6);
    }

    [Fact]
    public void The_same_bits_for_any_number_of_threads()
    {
        float[][] results = [.. new[] { 1, 2, 3 }.Select(threads =>
        {
            using var device = new CpuDevice(threads);
            OpCase op = Case("norm", [[301, 33], [33], [33]], (tape, t) => Fused.ApplyRows(tape, new LayerNorm(0.1f), t[0], t[1], t[2]));
            OpResult result = GradientCheck.Run(op, device, DType.Float32);
            return result.Gradients.Values.SelectMany(values => values).Concat(result.Output).Select(value => (float)value).ToArray();
        })];
        results[1].ShouldBe(results[0]);
        results[2].ShouldBe(results[0]);
    }

    [Fact]
    public void Rows_without_elements_are_refused_by_name()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device);
        using Tensor x = Tensor.Zeros(device, [3, 0], name: "logits");
        TensorMismatchException refused = Should.Throw<TensorMismatchException>(() => Fused.ApplyRows<Softmax>(tape, default, x));
        refused.Message.ShouldContain("logits");
        refused.Message.ShouldContain("last axis must have elements");
    }

    /// <summary>A class that is all but certain: its probability rounds to 1, or to 0.</summary>
    [Theory]
    [InlineData(0f)]
    [InlineData(0.5f)]
    [InlineData(2f)]
    public void The_focal_loss_of_certain_answers_has_gradients(float gamma)
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.From(device, [3, 2], [18f, 0, 90, 0, 200, 0]), t = Tensor.From(device, [3, 2], [1f, 0, 0, 1, 0, 1]);
        x.RequiresGradient = true;
        Tensor losses = Fused.ApplyRows(tape, new SoftmaxFocal(gamma), x, t);
        losses.Gradient = tape.Allocate(losses.Shape);
        losses.Gradient.Write([1f, 1, 1]);
        tape.Backward();

        losses.Read<float>().ShouldBe([0, 90, 200], 1e-4);
        x.Gradient!.Read<float>().ShouldBe([0, 0, 1, -1, 1, -1], 1e-4);
    }

    [Fact]
    public void What_formulas_of_rows_must_not_do_is_refused_with_the_rule()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device);
        using Tensor x = Tensor.Zeros(device, [2, 3]);
        Refused<Wrong<Sums4>>("has 4 sums; it can have 1 to 3");
        Refused<Wrong<PerRowOperand>>("Forward must not use the operands");
        Refused<Wrong<SecondOperand>>("uses operand 2 in Forward, and has 1");
        Refused<Wrong<LateSum>>("uses sum 0 in Term of sum 0, where there is none yet");
        Refused<Wrong<UnaskedMaximum>>("uses the maximum in Forward, and does not say NeedsMaximum");

        void Refused<TFormula>(string expected)
            where TFormula : unmanaged, IRowFormula
            => Should.Throw<ArgumentException>(() => Fused.ApplyRows<TFormula>(tape, default, x)).Message.ShouldContain(expected);
    }

    /// <summary>What the maximum being a constant asks of formulas, and what says so when they break it.</summary>
    [Fact]
    public void A_formula_that_depends_on_the_maximum_is_found()
    {
        OpCase op = Case("wrong", [[3, 5], [3, 5]], (tape, t) => Fused.ApplyRows<LargestPlus>(tape, default, t[0], t[1]));
        GradientCheckRow row = GradientCheck.AgainstFiniteDifferences(op);
        row.Passed.ShouldBeFalse();
        row.WorstInput.ShouldBe("a");
    }

    private static void ShouldBeRight(IDevice device, int draws)
    {
        Random random = new(10);
        int compared = 0;
        for (int draw = 0; draw < draws; draw++)
        {
            OpCase op = Draw(random, [5, 21]);
            GradientCheckRow row = GradientCheck.AgainstReference(op, device);

            // Where a number meets a kink, single and double precision may be on different sides of it.
            compared += row.Passed ? 1 : 0;
            (row.ForwardError < 0.05 || double.IsNaN(row.ForwardError)).ShouldBeTrue($"{row}");
        }

        compared.ShouldBeGreaterThan(draws * 97 / 100);
    }

    private static OpCase Draw(Random random, Shape shape)
    {
        var formula = new DrawnRows(DrawnFormula.Draw(random), DrawnFormula.Draw(random));
        return Case($"{formula}", [shape, [shape[-1]]], (tape, t) => Fused.ApplyRows(tape, formula, t[0], t[1]), random.Next());
    }

    private static OpCase Case(string name, Shape[] shapes, Func<Tape, IReadOnlyList<Tensor>, Tensor> apply, int seed = 5)
    {
        Random random = new(seed);
        return new OpCase(name, [.. shapes.Select((shape, operand) => Input($"{(char)('a' + operand)}", shape))], apply);

        OpInput Input(string input, Shape shape) => new(
            input, shape, [.. Enumerable.Range(0, (int)shape.Count).Select(_ => (double)(float)((2 * random.NextDouble()) - 1))]);
    }

    /// <summary>Terms and output are formulas that are data.</summary>
    private readonly record struct DrawnRows(DrawnFormula Terms, DrawnFormula Output) : IRowFormula
    {
        public static int Operands => 2;

        public static int Sums => 2;

        public static bool NeedsMaximum => false;

        public static bool IsPerRow => false;

        public T Term<T>(int sum, Operands<T> x, Row<T> row)
            where T : unmanaged, IReal<T>
            => sum == 0 ? Terms.Forward<T>(x.A, x.B, 0.5f) : Terms.Forward(x.B, row.First, x.A);

        public T Finish<T>(int sum, T total, T count)
            where T : unmanaged, IReal<T>
            => sum == 0 ? T.Tanh(total / count) : total / count;

        public T Forward<T>(Operands<T> x, Row<T> row)
            where T : unmanaged, IReal<T>
            => Output.Forward(x.A, row.First, row.Second) * x.B;
    }

    private interface IFault;

    private readonly struct Sums4 : IFault;

    private readonly struct PerRowOperand : IFault;

    private readonly struct SecondOperand : IFault;

    private readonly struct LateSum : IFault;

    private readonly struct UnaskedMaximum : IFault;

    /// <summary>The sum of the row, but for one fault.</summary>
    private readonly struct Wrong<TFault> : IRowFormula
        where TFault : struct, IFault
    {
        public static int Operands => 1;

        public static int Sums => typeof(TFault) == typeof(Sums4) ? 4 : 1;

        public static bool NeedsMaximum => false;

        public static bool IsPerRow => typeof(TFault) == typeof(PerRowOperand);

        public T Term<T>(int sum, Operands<T> x, Row<T> row)
            where T : unmanaged, IReal<T>
            => typeof(TFault) == typeof(LateSum) ? x.A * row.First : x.A;

        public T Finish<T>(int sum, T total, T count)
            where T : unmanaged, IReal<T>
            => total;

        public T Forward<T>(Operands<T> x, Row<T> row)
            where T : unmanaged, IReal<T>
            => typeof(TFault) == typeof(SecondOperand) ? x.B + row.First
                : typeof(TFault) == typeof(UnaskedMaximum) ? row.Maximum + row.First
                : typeof(TFault) == typeof(PerRowOperand) ? x.A + row.First
                : row.First;
    }

    private readonly struct LargestPlus : IRowFormula
    {
        public static int Operands => 2;

        public static int Sums => 1;

        public static bool NeedsMaximum => true;

        public static bool IsPerRow => false;

        public T Term<T>(int sum, Operands<T> x, Row<T> row)
            where T : unmanaged, IReal<T>
            => x.B;

        public T Finish<T>(int sum, T total, T count)
            where T : unmanaged, IReal<T>
            => total;

        public T Forward<T>(Operands<T> x, Row<T> row)
            where T : unmanaged, IReal<T>
            => row.Maximum + row.First + x.A;
    }
}
