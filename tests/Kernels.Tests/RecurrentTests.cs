using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

/// <summary><see cref="Lstm"/> and <see cref="Gru"/>, which share their interface.</summary>
public sealed unsafe class RecurrentTests
{
    /// <summary>
    /// What half-precision activations cost: they are rounded by up to 2⁻¹¹, and single elements meet several of the worst together.
    /// </summary>
    private static void CheckAgreement(SimdLevel level, Inputs inputs)
    {
        RecurrentShape shape = inputs.Shape;
        double[] y = inputs.ReferenceOutput();
        RecurrentGradients gradients = inputs.ReferenceGradients();
        void Check(float[] actual, double[] expected, string what) => actual.ShouldAgreeWith(
            expected,
            shape.HalfReserve ? HalfTolerance : Agreement.Backward,
            what,
            shape.HalfReserve ? HalfElementTolerance : null);
        OpTest.Run(
            level,
            (team, buffers) => inputs.Run(team, buffers),
            outputs =>
            {
                outputs[0].ShouldAgreeWith(y, Agreement.Forward, "y");
                Check(outputs[1], gradients.X, "dx");
                Check(outputs[2], gradients.InputWeights, "dW_ih");
                Check(outputs[3], gradients.HiddenWeights, "dW_hh");
                Check(outputs[4], gradients.Bias, "db");
                Check(outputs[5], gradients.HiddenBias, "db_hh");
            });
    }

    private const double HalfTolerance = 2e-3;
    private const double HalfElementTolerance = 1e-2;

    public enum Layer
    {
        Lstm,
        Gru,
    }

    private static readonly RecurrentShape[] Shapes =
    [
        new(1, 1, 1, 1),
        new(2, 3, 5, 4),
        new(4, 5, 9, 17, Reverse: true),
        new(7, 4, 3, 33),
        new(5, 6, 20, 64, Reverse: true),
        new(11, 3, 40, 81),
        new(3, 7, 30, 31, HalfReserve: true),
        new(4, 5, 10, 48, Reverse: true, HalfReserve: true),
    ];

    public static TheoryData<SimdLevel, Layer, int> Cases
    {
        get
        {
            var data = new TheoryData<SimdLevel, Layer, int>();
            foreach (SimdLevel level in SimdSelection.Available)
            {
                foreach (Layer layer in Enum.GetValues<Layer>())
                {
                    data.AddRange(Enumerable.Range(0, Shapes.Length).Select(shape => (level, layer, shape)).ToArray());
                }
            }

            return data;
        }
    }

    public static TheoryData<SimdLevel, Layer> Layers
    {
        get
        {
            var data = new TheoryData<SimdLevel, Layer>();
            foreach (SimdLevel level in SimdSelection.Available)
            {
                data.Add(level, Layer.Lstm);
                data.Add(level, Layer.Gru);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_plain_loops(SimdLevel level, Layer layer, int shape) =>
        CheckAgreement(level, Inputs.Random(layer, Shapes[shape]));

    /// <summary>Large enough, and with zeros enough, for the sparse input product.</summary>
    [Theory]
    [MemberData(nameof(Layers))]
    public void A_large_input_of_mostly_zeros_agrees_with_plain_loops(SimdLevel level, Layer layer)
    {
        var inputs = Inputs.Random(layer, new(4, 9, 7500, 5));
        CheckAgreement(level, inputs with { X = [.. inputs.X.Select((v, i) => i * 7919 % 100 < 75 ? 0 : v)] });
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public void A_half_input_gives_the_bits_of_the_same_numbers_in_float(SimdLevel level, Layer layer)
    {
        var inputs = Inputs.Random(layer, new(4, 3, 50, 20));
        inputs = inputs with { X = [.. inputs.X.Select(v => (float)(Half)v)] };
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        float[][] single = inputs.Run(team, buffers);
        float[][] half = inputs.Run(team, buffers, halfInput: true);
        for (int i = 0; i < single.Length; i++)
        {
            half[i].ShouldBeTheSameBitsAs(single[i], $"output {i}");
        }
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public void A_half_reserve_does_not_change_the_output(SimdLevel level, Layer layer)
    {
        var inputs = Inputs.Random(layer, new(5, 9, 12, 37));
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        float[] single = inputs.Run(team, buffers)[0];
        (inputs with { Shape = inputs.Shape with { HalfReserve = true } }).Run(team, buffers)[0].ShouldBeTheSameBitsAs(single, "y");
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public void Parameter_gradients_are_added_and_the_input_gradient_may_be_skipped(SimdLevel level, Layer layer)
    {
        var inputs = Inputs.Random(layer, new(3, 4, 6, 18));
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        float[][] once = inputs.Run(team, buffers);
        float[][] skipped = inputs.Run(team, buffers, inputGradient: false, parameterGradientsBefore: 0.5f);
        skipped[1].ShouldAllBe(v => float.IsNaN(v));
        for (int i = 2; i < once.Length; i++)
        {
            skipped[i].ShouldAgreeWith([.. once[i].Select(v => v + 0.5)], 1e-6, $"output {i}");
        }
    }

    /// <summary>A sequence's result does not depend on its place in the batch: single predictions equal batched ones.</summary>
    [Theory]
    [MemberData(nameof(Layers))]
    public void A_sequence_has_the_same_bits_alone_and_in_a_batch(SimdLevel level, Layer layer)
    {
        var inputs = Inputs.Random(layer, new(7, 4, 10, 40));
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        float[] together = inputs.Run(team, buffers)[0];
        for (int sample = 0; sample < 7; sample++)
        {
            Inputs alone = inputs with
            {
                Shape = inputs.Shape with { Batch = 1 },
                X = inputs.X[(sample * 40)..((sample + 1) * 40)],
                OutputGradient = inputs.OutputGradient[..160],
            };
            alone.Run(team, buffers)[0].ShouldBeTheSameBitsAs(together[(sample * 160)..((sample + 1) * 160)], $"sequence {sample}");
        }
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public void Saturated_gates_stay_finite(SimdLevel level, Layer layer)
    {
        var inputs = Inputs.Random(layer, new(2, 30, 4, 16));
        inputs = inputs with { X = [.. inputs.X.Select(v => v * 1e6f)] };
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        inputs.Run(team, buffers).SelectMany(o => o).ShouldAllBe(v => float.IsFinite(v));
    }

    [Theory]
    [InlineData(Layer.Lstm, false)]
    [InlineData(Layer.Lstm, true)]
    [InlineData(Layer.Gru, false)]
    [InlineData(Layer.Gru, true)]
    public void The_reference_has_the_right_gradients(Layer layer, bool reverse)
    {
        var inputs = Inputs.Random(layer, new(2, 4, 3, 5, reverse));
        RecurrentGradients g = inputs.ReferenceGradients();
        double[][] at = [inputs.X.Widen(), inputs.InputWeights.Widen(), inputs.HiddenWeights.Widen(), inputs.Bias.Widen(),
            inputs.HiddenBias.Widen()];
        double[][] gradients = [g.X, g.InputWeights, g.HiddenWeights, g.Bias, g.HiddenBias];
        int count = layer == Layer.Gru ? 5 : 4;
        Agreement.GradientsShouldBeRight(
            v => Agreement.Dot(
                layer == Layer.Gru
                    ? inputs.Reference.Gru(v[0], v[1], v[2], v[3], v[4])
                    : inputs.Reference.Lstm(v[0], v[1], v[2], v[3]),
                inputs.OutputGradient.Widen()),
            at[..count],
            gradients[..count]);
    }

    private sealed record Inputs(
        Layer Layer, RecurrentShape Shape, float[] X, float[] InputWeights, float[] HiddenWeights, float[] Bias, float[] HiddenBias,
        float[] OutputGradient)
    {
        public RecurrentReference Reference => new(Shape.Batch, Shape.Time, Shape.Inputs, Shape.Hidden, Shape.Reverse);

        public static Inputs Random(Layer layer, RecurrentShape shape)
        {
            int gates = layer == Layer.Lstm ? 4 : 3;
            int rows = shape.Batch * shape.Time;
            return new(
                layer,
                shape,
                Numbers.Random(rows * shape.Inputs, 1, 2),
                Numbers.Random(gates * shape.Hidden * shape.Inputs, 2, 1.5f / MathF.Sqrt(shape.Inputs)),
                Numbers.Random(gates * shape.Hidden * shape.Hidden, 3, 1.5f / MathF.Sqrt(shape.Hidden)),
                Numbers.Random(gates * shape.Hidden, 4),
                layer == Layer.Lstm ? [] : Numbers.Random(gates * shape.Hidden, 5),
                Numbers.Random(rows * shape.Hidden, 6));
        }

        public double[] ReferenceOutput() => Layer == Layer.Lstm
            ? Reference.Lstm(X.Widen(), InputWeights.Widen(), HiddenWeights.Widen(), Bias.Widen())
            : Reference.Gru(X.Widen(), InputWeights.Widen(), HiddenWeights.Widen(), Bias.Widen(), HiddenBias.Widen());

        public RecurrentGradients ReferenceGradients() => Layer == Layer.Lstm
            ? Reference.LstmGradients(X.Widen(), InputWeights.Widen(), HiddenWeights.Widen(), Bias.Widen(), OutputGradient.Widen())
            : Reference.GruGradients(X.Widen(), InputWeights.Widen(), HiddenWeights.Widen(), Bias.Widen(), HiddenBias.Widen(),
                OutputGradient.Widen());

        /// <returns>y, dx, dW_ih, dW_hh, db, db_hh.</returns>
        public float[][] Run(ThreadTeam team, Buffers buffers, bool halfInput = false, bool inputGradient = true,
            float parameterGradientsBefore = 0)
        {
            GuardedBuffer<float> x = buffers.Of(X);
            GuardedBuffer<Half> halfX = buffers.Of<Half>([.. X.Select(v => (Half)v)]);
            GuardedBuffer<float> wi = buffers.Of(InputWeights);
            GuardedBuffer<float> wh = buffers.Of(HiddenWeights);
            GuardedBuffer<float> bias = buffers.Of(Bias);
            GuardedBuffer<float> hiddenBias = buffers.Of(HiddenBias);
            GuardedBuffer<float> y = buffers.Output(OutputGradient.Length);
            GuardedBuffer<float> dy = buffers.Of(OutputGradient);
            GuardedBuffer<float> dx = buffers.Output(X.Length);
            GuardedBuffer<float> dwi = buffers.Of(Numbers.Filled(InputWeights.Length, parameterGradientsBefore));
            GuardedBuffer<float> dwh = buffers.Of(Numbers.Filled(HiddenWeights.Length, parameterGradientsBefore));
            GuardedBuffer<float> db = buffers.Of(Numbers.Filled(Bias.Length, parameterGradientsBefore));
            GuardedBuffer<float> dbh = buffers.Of(Numbers.Filled(HiddenBias.Length, parameterGradientsBefore));
            float* dxOrNull = inputGradient ? dx : (float*)null;
            if (Layer == Layer.Lstm)
            {
                GuardedBuffer<byte> reserve = buffers.Uninitialised<byte>((int)Lstm.ReserveBytes(Shape));
                if (halfInput)
                {
                    Lstm.Forward(team, Shape, halfX.Pointer, wi, wh, bias, y, reserve.Pointer);
                    Lstm.Backward(team, Shape, halfX.Pointer, wi, wh, y, reserve.Pointer, dy, dxOrNull, dwi, dwh, db);
                }
                else
                {
                    Lstm.Forward(team, Shape, x.Pointer, wi, wh, bias, y, reserve.Pointer);
                    Lstm.Backward(team, Shape, x.Pointer, wi, wh, y, reserve.Pointer, dy, dxOrNull, dwi, dwh, db);
                }
            }
            else
            {
                GuardedBuffer<byte> reserve = buffers.Uninitialised<byte>((int)Gru.ReserveBytes(Shape));
                if (halfInput)
                {
                    Gru.Forward(team, Shape, halfX.Pointer, wi, wh, bias, hiddenBias, y, reserve.Pointer);
                    Gru.Backward(team, Shape, halfX.Pointer, wi, wh, y, reserve.Pointer, dy, dxOrNull, dwi, dwh, db, dbh);
                }
                else
                {
                    Gru.Forward(team, Shape, x.Pointer, wi, wh, bias, hiddenBias, y, reserve.Pointer);
                    Gru.Backward(team, Shape, x.Pointer, wi, wh, y, reserve.Pointer, dy, dxOrNull, dwi, dwh, db, dbh);
                }
            }

            return [y.Read(), dx.Read(), dwi.Read(), dwh.Read(), db.Read(), dbh.Read()];
        }
    }
}
