using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Allocation;
using CudaTrainer.Engine.Tests.Cuda;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Engine.Tests;

/// <summary>What the operands of a formula may be, beyond the cases of <see cref="OpCases"/>.</summary>
[Collection(WholeProcess.Name)]
public sealed class FusedTests
{
    public static TheoryData<string> Devices => ["cpu", "cuda"];

    [Fact]
    public void Formulas_that_come_with_the_engine_are_right_on_the_processor() => Check("cpu");

    [Fact]
    [Trait("Category", "Slow")]
    public void Formulas_that_come_with_the_engine_are_right_on_GPUs() => Check("cuda");

    /// <summary>Rows longer than a tile, and halves that begin in the middle of one.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Operands_of_both_types_mix(string name)
    {
        using IDevice device = Open(name);
        DType[] types = [DType.Float32, DType.Float16];
        foreach ((DType x, DType s, DType t) in from x in types from s in types from t in types select (x, s, t))
        {
            OpCase op = Case("mixed", [3, 2049], ([2049], s), ([3, 1], t), x);
            GradientCheckRow row = GradientCheck.AgainstReference(op, device);
            bool rounds = x == DType.Float16 || s == DType.Float16 || t == DType.Float16;
            row.ForwardError.ShouldBeLessThan(x == DType.Float16 ? GradientCheck.HalfTolerance : GradientCheck.ForwardTolerance);
            row.GradientError.ShouldBeLessThan(
                rounds ? GradientCheck.HalfTolerance : GradientCheck.BackwardTolerance, $"{x} {s} {t} {row}");
        }
    }

    /// <summary>Each use adds to the gradient, also within one op.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void One_tensor_may_be_several_operands(string name)
    {
        using IDevice device = Open(name);
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.From(device, [2, 3], [1f, -2, 3, 0.5f, 2, -1]);
        x.RequiresGradient = true;
        Tensor y = Fused.Apply<ScaleShiftRelu>(tape, x, x, x);
        Tensor twice = Fused.Apply<ScaleShiftRelu>(tape, y, x, x);
        twice.Gradient = tape.Allocate(twice.Shape);
        twice.Gradient.Write([1f, 1, 1, 1, 1, 1]);
        tape.Backward();

        // y = x² + x and z = y·x + x where that is positive: dz/dx = y'·x + y + 1 there, else 0.
        x.Gradient!.Read<float>().ShouldBe([(3 * 1) + 2 + 1, 0, (7 * 3) + 12 + 1, (2 * 0.5f) + 0.75f + 1, (5 * 2) + 6 + 1, 0], 1e-5);
        twice.Read<float>().ShouldBe([3, 0, 39, 0.875f, 14, 0], 1e-5);
    }

    [Theory]
    [InlineData(new[] { 3 }, "b has shape [3]; beside [2, 4] of a it must have the same, [4] for one number per channel")]
    [InlineData(new[] { 2 }, "b has shape [2]; beside [2, 4] of a")]
    [InlineData(new[] { 1, 4 }, "[2, 1] for one per row, or [1].")]
    public void What_does_not_spread_is_named_with_its_shapes(int[] shape, string expected)
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device);
        using Tensor a = Tensor.Zeros(device, [2, 4], name: "a"), b = Tensor.Zeros(device, Shape.Create(shape), name: "b");
        Should.Throw<TensorMismatchException>(() => Fused.Apply<SwiGlu>(tape, a, b)).Message.ShouldContain(expected);
    }

    [Fact]
    public void Integers_and_other_devices_are_refused()
    {
        using CpuDevice device = new(1), other = new(1);
        using var tape = new Tape(device);
        using Tensor a = Tensor.Zeros(device, [2, 4]), labels = Tensor.Zeros(device, [2, 4], DType.Int32);
        using Tensor far = Tensor.Zeros(other, [2, 4]);
        Should.Throw<TensorMismatchException>(() => Fused.Apply<SwiGlu>(tape, a, labels))
            .Message.ShouldContain("takes floating-point numbers");
        Should.Throw<TensorMismatchException>(() => Fused.Apply<SwiGlu>(tape, a, far));
    }

    /// <summary>They need not be right to be seen: these are not.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Slopes_of_the_author_are_used(string name)
    {
        using IDevice device = Open(name);
        using var tape = new Tape(device) { Training = true };
        using Tensor a = Tensor.From(device, [3], [1f, 2, 3]), b = Tensor.From(device, [3], [4f, 5, 6]);
        (a.RequiresGradient, b.RequiresGradient) = (true, true);
        Tensor y = Fused.Apply<ProductWithOddSlopes>(tape, a, b);
        y.Gradient = tape.Allocate(y.Shape);
        y.Gradient.Write([1f, 10, 100]);
        tape.Backward();

        y.Read<float>().ShouldBe([4, 10, 18]);
        a.Gradient!.Read<float>().ShouldBe([7, 70, 700]);
        b.Gradient!.Read<float>().ShouldBe([2, 40, 600]);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Of_no_rows_gradients_are_zero(string name)
    {
        using IDevice device = Open(name);
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.Zeros(device, [0, 3]), s = Tensor.Zeros(device, [3]), t = Tensor.Zeros(device, [0, 1]);
        (x.RequiresGradient, s.RequiresGradient, t.RequiresGradient) = (true, true, true);
        Tensor y = Fused.Apply<ScaleShiftRelu>(tape, x, s, t);
        y.Gradient = tape.Allocate(y.Shape);
        tape.Backward();

        y.Shape.ShouldBe(x.Shape);
        s.Gradient!.Read<float>().ShouldBe([0, 0, 0]);
    }

    [Fact]
    public void A_missing_operand_is_refused()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device);
        using Tensor x = Tensor.Zeros(device, [4]);
        Should.Throw<ArgumentException>(() => Fused.Apply<SwiGlu>(tape, x, null!)).Message.ShouldContain("SwiGlu needs 2 operands");
        Should.Throw<ArgumentException>(() => Fused.Apply<Gelu>(tape, null!)).Message.ShouldContain("Gelu needs 1 operands");
    }

    [Fact]
    public void Double_precision_is_for_the_reference()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device);
        using Tensor x = Tensor.Zeros(device, [4], DType.Float64);
        Should.Throw<NotSupportedException>(() => Fused.Apply<Gelu>(tape, x)).Message.ShouldContain("not of Float64");
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_step_allocates_nothing(string name)
    {
        using IDevice device = Open(name);
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.Zeros(device, [64, 100]), s = Tensor.Zeros(device, [100]), t = Tensor.Zeros(device, [64, 1]);
        foreach (Tensor operand in (Tensor[])[x, s, t])
        {
            operand.RequiresGradient = true;
        }

        var meter = new AllocationMeter(warmUp: 100, window: 50);
        for (int step = 0; step < meter.MaxSteps && !meter.IsDone; step++)
        {
            Tensor y = Fused.ApplyRows(tape, new LayerNorm(1e-5f), Fused.Apply<ScaleShiftRelu>(tape, x, s, t), s, s);
            y.Gradient = y;
            tape.Backward();
            (x.Gradient, s.Gradient, t.Gradient) = (null, null, null);
            tape.Reset();
            meter.Step();
        }

        meter.ShouldHaveSeenNothing();
    }

    /// <summary>The first step loads the kernels, which a capture must not.</summary>
    [Fact]
    public void A_captured_graph_repeats_a_step_bit_by_bit()
    {
        using CudaDevice device = CudaSimulator.Open();
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.From(device, [2, 3], [1f, -2, 3, 0.5f, 2, -1]), s = Tensor.From(device, [3], [2f, 1, -1]),
            t = Tensor.From(device, [3], [0.5f, 0, 1]), seed = Tensor.From(device, [2, 3], [1f, 2, 3, 4, 5, 6]);
        foreach (Tensor operand in (Tensor[])[x, s, t])
        {
            operand.RequiresGradient = true;
            operand.Gradient = Tensor.Zeros(device, operand.Shape);
        }

        Step();
        float[][] first = [.. Gradients()];
        using IDeviceGraph graph = device.Capture(Step);
        graph.Launch();
        float[][] second = [.. Gradients()];

        // One launch each forward and one backward; one more for what repeats along columns beside the sums of rows.
        graph.Nodes.ShouldBe(5);
        first[0].ShouldContain(value => value != 0);
        second.Zip(first).ShouldAllBe(pair => pair.First.Zip(pair.Second, (twice, once) => twice == once + once).All(same => same));
        foreach (Tensor operand in (Tensor[])[x, s, t])
        {
            operand.Gradient!.Dispose();
        }

        void Step()
        {
            Tensor y = Fused.ApplyRows(tape, new LayerNorm(0.1f), Fused.Apply<ScaleShiftRelu>(tape, x, s, t), s, t);
            y.Gradient = seed;
            tape.Backward();
            tape.Reset();
        }

        IEnumerable<float[]> Gradients() => new[] { x, s, t }.Select(operand => operand.Gradient!.Read<float>());
    }

    private static void Check(string name)
    {
        using IDevice device = Open(name);
        GradientCheckRow[] rows = [.. GradientCheckSuite.Run(OpCases.Of(typeof(IFusion).Assembly), device)];
        rows.Select(row => row.Op).ShouldContain("Huber per row");
        rows.Select(row => row.Op).ShouldContain("LayerNorm per channel, tall");
        rows.ShouldAllBe(row => row.Passed);
    }

    private readonly struct ProductWithOddSlopes : IFormula2, IFormulaSlopes
    {
        public T Forward<T>(T a, T b)
            where T : unmanaged, IReal<T>
            => a * b;

        public Operands<T> Slopes<T>(T a, T b, T c, T d)
            where T : unmanaged, IReal<T>
            => Operands<T>.Of(7f, 2f * a, d, d);
    }

    private static IDevice Open(string name) => name == "cpu" ? new CpuDevice(2) : CudaSimulator.Open();

    private static OpCase Case(string name, Shape x, (Shape Shape, DType Type) s, (Shape Shape, DType Type) t, DType type)
    {
        Random random = new(3);
        return new OpCase(name, [Input("x", x, type), Input("s", s.Shape, s.Type), Input("t", t.Shape, t.Type)],
            (tape, inputs) => Fused.Apply<ScaleShiftRelu>(tape, inputs[0], inputs[1], inputs[2]));

        OpInput Input(string input, Shape shape, DType own) => new(
            input, shape, [.. Enumerable.Range(0, (int)shape.Count).Select(_ => (double)(Half)((2 * random.NextDouble()) - 1))], Type: own);
    }
}
