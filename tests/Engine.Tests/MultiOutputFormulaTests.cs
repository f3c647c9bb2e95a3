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

/// <summary>Formulas of several outputs.</summary>
[Collection(CudaCollection.Name)]
public sealed class MultiOutputFormulaTests
{
    private const int Draws = 300;

    public static TheoryData<SimdLevel> Levels => [.. SimdSelection.Available];

    public static TheoryData<string> Devices => ["reference", "cpu", "cuda"];

    [Theory]
    [MemberData(nameof(Levels))]
    public void Drawn_formulas_are_right_at_every_level(SimdLevel level)
    {
        using var device = new CpuDevice(2, level: level);
        ShouldBeRight(device, Draws);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void Drawn_formulas_are_right_on_GPUs()
    {
        using IDevice device = CudaSimulator.Open();
        ShouldBeRight(device, Draws);
    }

    [Fact]
    public void Derivatives_of_drawn_formulas_are_the_limits_of_differences()
    {
        Random random = new(4);
        GradientCheckRow[] rows = [.. Enumerable.Range(0, 100).Select(_ =>
            GradientCheck.AgainstFiniteDifferences(Draw(random, [2, 5], [true, true, true])))];
        rows.Where(row => !row.Passed && row.Kinks == 0).ShouldBeEmpty();
    }

    /// <summary>Rows longer than a tile, in half precision too: each output has a tile of its own there.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Pairs_are_turned_and_turned_back(string name)
    {
        using IDevice device = Open(name);
        foreach (DType type in (DType[])[DType.Float32, DType.Float16])
        {
            using var tape = new Tape(device) { Training = true };
            double[] numbers = [.. Enumerable.Range(0, 2 * 1500).Select(i => (double)(Half)Math.Sin(i))];
            using Tensor x = Tensor.From(device, [2, 1500], numbers, type),
                y = Tensor.From(device, [2, 1500], [.. numbers.Reverse()], type),
                cos = Tensor.From(device, [1], [0.6f]), sin = Tensor.From(device, [1], [0.8f]), back = Tensor.From(device, [1], [-0.8f]);
            (x.RequiresGradient, y.RequiresGradient) = (true, true);
            (Tensor u, Tensor v) = Fused.ApplyMultiOutput<Rotary>(tape, default, x, y, cos, sin);
            (Tensor p, Tensor q) = Fused.ApplyMultiOutput<Rotary>(tape, default, u, v, cos, back);
            (p.Gradient, q.Gradient) = (x, y);
            tape.Backward();

            // There and back is the identity, of gradients too.
            double tolerance = type == DType.Float16 ? GradientCheck.HalfTolerance : GradientCheck.ForwardTolerance;
            double[] turned = [.. numbers.Select((number, i) => (0.6 * number) - (0.8 * numbers[^(i + 1)]))];
            GradientCheck.RelativeError(u.ToDoubles(), turned).ShouldBeLessThan(tolerance);
            GradientCheck.RelativeError(p.ToDoubles(), x.ToDoubles()).ShouldBeLessThan(tolerance);
            GradientCheck.RelativeError(q.ToDoubles(), y.ToDoubles()).ShouldBeLessThan(tolerance);
            GradientCheck.RelativeError(x.Gradient!.ToDoubles(), x.ToDoubles()).ShouldBeLessThan(tolerance);
            GradientCheck.RelativeError(y.Gradient!.ToDoubles(), y.ToDoubles()).ShouldBeLessThan(tolerance);
        }
    }

    /// <summary>Whichever output is used, the others pass nothing back, also where their slopes are not finite.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Outputs_that_nothing_depends_on_pass_nothing_back(string name)
    {
        using IDevice device = Open(name);
        double[][] expected = [[3, 3, 3], [0, 2, 8], [double.PositiveInfinity, 0.5, 0.25]];
        for (int used = 0; used < 3; used++)
        {
            using var tape = new Tape(device) { Training = true };
            using Tensor x = Tensor.From(device, [3], [0f, 1, 4]);
            x.RequiresGradient = true;
            FusedOutputs y = Fused.ApplyMultiOutput<TripleSquareRoot>(tape, default, x);
            Tensor output = used == 0 ? y.A : used == 1 ? y.B! : y.C!;
            output.Gradient = tape.Allocate(output.Shape);
            output.Gradient.Write([1f, 1, 1]);
            tape.Backward();
            x.Gradient!.ToDoubles().ShouldBe(expected[used]);
        }
    }

    /// <summary>An operand that an output does not depend on gets nothing of it, even of an infinite gradient.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Infinite_gradients_reach_only_what_the_output_depends_on(string name)
    {
        using IDevice device = Open(name);
        using var tape = new Tape(device) { Training = true };
        using Tensor a = Tensor.From(device, [2], [1f, 2]), b = Tensor.From(device, [2], [3f, 4]);
        (a.RequiresGradient, b.RequiresGradient) = (true, true);
        (Tensor y, Tensor z) = Fused.ApplyMultiOutput<Apart>(tape, default, a, b);
        (y.Gradient, z.Gradient) = (tape.Allocate(y.Shape), tape.Allocate(z.Shape));
        y.Gradient.Write([float.PositiveInfinity, 1]);
        z.Gradient.Write([1f, float.NegativeInfinity]);
        tape.Backward();

        a.Gradient!.ToDoubles().ShouldBe([double.PositiveInfinity, 2]);
        b.Gradient!.ToDoubles().ShouldBe([3, double.NegativeInfinity]);
    }

    [Fact]
    public void What_they_must_not_do_is_refused_with_the_rule()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device);
        using Tensor x = Tensor.Zeros(device, [2, 3]);
        Should.Throw<ArgumentException>(() => Fused.ApplyMultiOutput<FiveOutputs>(tape, default, x))
            .Message.ShouldContain("has 5 outputs; it can have 1 to 4");
        Should.Throw<ArgumentException>(() => Fused.ApplyMultiOutput<Unannounced>(tape, default, x))
            .Message.ShouldContain("uses operand 2 in Forward of output 1, and has 1");
        Should.Throw<ArgumentException>(() => Fused.ApplyMultiOutput<Rotary>(tape, default, x, x))
            .Message.ShouldContain("has 4 operands, not 2");
    }

    private static void ShouldBeRight(IDevice device, int draws)
    {
        Random random = new(7);
        int compared = 0;
        for (int draw = 0; draw < draws; draw++)
        {
            bool[] used = [.. Enumerable.Range(0, 3).Select(output => output == draw % 3 || random.Next(2) == 0)];
            GradientCheckRow row = GradientCheck.AgainstReference(Draw(random, [5, 21], used), device);

            // Where a number meets a kink, single and double precision may be on different sides of it.
            compared += row.Passed ? 1 : 0;
            (row.ForwardError < 0.05 || double.IsNaN(row.ForwardError)).ShouldBeTrue($"{row}");
        }

        compared.ShouldBeGreaterThan(draws * 97 / 100);
    }

    /// <summary>Operands that are whole, by channel and by row; the outputs that are used side by side.</summary>
    private static OpCase Draw(Random random, Shape shape, bool[] used)
    {
        var formula = new ThreeDrawn(DrawnFormula.Draw(random), DrawnFormula.Draw(random), DrawnFormula.Draw(random));
        Shape[] shapes = [shape, [shape[-1]], [shape[0], 1]];
        return new OpCase(
            $"{formula} {string.Join(' ', used)}",
            [.. shapes.Select((own, operand) => new OpInput($"{(char)('a' + operand)}", own,
                [.. Enumerable.Range(0, (int)own.Count).Select(_ => (double)(float)((2 * random.NextDouble()) - 1))]))],
            (tape, t) =>
            {
                FusedOutputs outputs = Fused.ApplyMultiOutput(tape, formula, t[0], t[1], t[2]);
                return new[] { outputs.A, outputs.B!, outputs.C! }.Where((_, output) => used[output])
                    .Aggregate((left, right) => ConcatFunction.Apply(tape, left, right));
            });
    }

    private static IDevice Open(string name) =>
        name == "cpu" ? new CpuDevice(2) : name == "cuda" ? CudaSimulator.Open() : new ReferenceDevice();

    private readonly record struct ThreeDrawn(DrawnFormula First, DrawnFormula Second, DrawnFormula Third) : IMultiOutputFormula
    {
        public static int Operands => 3;

        public static int Outputs => 3;

        public T Forward<T>(int output, Operands<T> x)
            where T : unmanaged, IReal<T>
            => (output == 0 ? First : output == 1 ? Second : Third).Forward(x.A, x.B, x.C);
    }

    private readonly struct TripleSquareRoot : IMultiOutputFormula
    {
        public static int Operands => 1;

        public static int Outputs => 3;

        public T Forward<T>(int output, Operands<T> x)
            where T : unmanaged, IReal<T>
            => output == 0 ? 3f * x.A : output == 1 ? x.A * x.A : T.Sqrt(x.A);
    }

    private readonly struct Apart : IMultiOutputFormula
    {
        public static int Operands => 2;

        public static int Outputs => 2;

        public T Forward<T>(int output, Operands<T> x)
            where T : unmanaged, IReal<T>
            => output == 0 ? 2f * x.A : 3f * x.B;
    }

    private readonly struct FiveOutputs : IMultiOutputFormula
    {
        public static int Operands => 1;

        public static int Outputs => 5;

        public T Forward<T>(int output, Operands<T> x)
            where T : unmanaged, IReal<T>
            => x.A;
    }

    private readonly struct Unannounced : IMultiOutputFormula
    {
        public static int Operands => 1;

        public static int Outputs => 2;

        public T Forward<T>(int output, Operands<T> x)
            where T : unmanaged, IReal<T>
            => output == 0 ? x.A : x.A * x.B;
    }
}
