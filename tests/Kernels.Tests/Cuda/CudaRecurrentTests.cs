using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// LSTM and GRU against plain loops in double. The input weights of the reference are the identity, so that its inputs are the kernels'
/// input products and its input gradients are the kernels' gate gradients.
/// </summary>
[Collection(CudaCollection.Name)]
public sealed class CudaRecurrentTests(CudaFixture fixture)
{
    /// <summary>What saved activations in half precision cost: single elements meet several of the worst roundings together.</summary>
    private const double HalfElementTolerance = 1e-2;

    public static TheoryData<CudaType, int, int, int, bool> Cases
    {
        get
        {
            // Hidden sizes on both sides of those at which the register kernels skip parts, vectors end, and the general kernels take over.
            var data = new TheoryData<CudaType, int, int, int, bool>();
            foreach (CudaType type in Enum.GetValues<CudaType>())
            {
                foreach ((int batch, int time, int hidden) in
                    ((int, int, int)[])[(1, 1, 1), (2, 3, 2), (3, 2, 3), (2, 4, 31), (1, 5, 32), (2, 3, 33), (2, 2, 64), (1, 3, 127),
                        (3, 5, 128), (1, 3, 129), (2, 2, 136), (1, 2, 257)])
                {
                    data.Add(type, batch, time, hidden, hidden % 2 == 0);
                }

                data.Add(type, 2, 4, 128, false);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Lstm_agrees_with_plain_loops(CudaType type, int batch, int time, int hidden, bool reverse)
    {
        int gates = 4 * hidden, count = batch * time * hidden;
        using var arrays = new DeviceArrays(fixture, type);
        float[] x = arrays.Rounded(Numbers.Random(4 * count, 1, 2)),
            w = arrays.Rounded(Numbers.Random(gates * hidden, 2, 1 / MathF.Sqrt(hidden)));
        float[] bias = Numbers.Random(gates, 3), dy = arrays.Rounded(Numbers.Random(count, 4));
        var reference = new RecurrentReference(batch, time, gates, hidden, reverse);
        double[] y = reference.Lstm(x.Widen(), Identity(gates), w.Widen(), bias.Widen());
        RecurrentGradients gradients = reference.LstmGradients(x.Widen(), Identity(gates), w.Widen(), bias.Widen(), dy.Widen());

        var op = new Cuda.Lstm(fixture.Library);
        DeviceArray inner = arrays.Updated(x), weights = arrays.Input(w), deviceY = arrays.Output(count),
            cells = arrays.OutputFloats(count), previous = arrays.Output(count);
        DeviceArray upstream = arrays.Input(dy), dz = arrays.Output(4 * count);
        op.Forward(fixture.Stream, batch, time, hidden, inner, arrays.Floats(bias), weights, deviceY, cells, reverse, type);
        op.Backward(fixture.Stream, batch, time, hidden, upstream, inner, cells, weights, dz, reverse, type);
        new Cuda.Recurrent(fixture.Library).PreviousStates(fixture.Stream, batch, time, hidden, deviceY, previous, reverse, type);

        deviceY.Read().ShouldAgreeWith(y, type.Forward(), "y");
        Check(type, dz.Read(), gradients.X, "dz");
        Check(type, Outer(dz.Read(), previous.Read(), gates, hidden), gradients.HiddenWeights, "dW_hh");

        // In place the same.
        float[] separate = dz.Read();
        op.Backward(fixture.Stream, batch, time, hidden, upstream, inner, cells, weights, inner, reverse, type);
        inner.Read().ShouldBeTheSameBitsAs(separate, "dz in place");
        arrays.Verify();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gru_agrees_with_plain_loops(CudaType type, int batch, int time, int hidden, bool reverse)
    {
        int gates = 3 * hidden, count = batch * time * hidden;
        using var arrays = new DeviceArrays(fixture, type);
        float[] x = arrays.Rounded(Numbers.Random(3 * count, 1, 2)),
            w = arrays.Rounded(Numbers.Random(gates * hidden, 2, 1 / MathF.Sqrt(hidden)));
        float[] bias = Numbers.Random(gates, 3), hiddenBias = Numbers.Random(gates, 5), dy = arrays.Rounded(Numbers.Random(count, 4));
        var reference = new RecurrentReference(batch, time, gates, hidden, reverse);
        double[] y = reference.Gru(x.Widen(), Identity(gates), w.Widen(), bias.Widen(), hiddenBias.Widen());
        RecurrentGradients gradients = reference.GruGradients(x.Widen(), Identity(gates), w.Widen(), bias.Widen(), hiddenBias.Widen(),
            dy.Widen());

        var op = new Cuda.Gru(fixture.Library);
        DeviceArray weights = arrays.Input(w), deviceY = arrays.Output(count), saved = arrays.Output(4 * count),
            previous = arrays.Output(count);
        DeviceArray dInput = arrays.Output(3 * count), dHidden = arrays.Output(3 * count);
        op.Forward(fixture.Stream, batch, time, hidden, arrays.Input(x), arrays.Floats(bias), arrays.Floats(hiddenBias), weights, deviceY,
            saved, reverse, type);
        op.Backward(fixture.Stream, batch, time, hidden, arrays.Input(dy), deviceY, saved, weights, dInput, dHidden, reverse, type);
        new Cuda.Recurrent(fixture.Library).PreviousStates(fixture.Stream, batch, time, hidden, deviceY, previous, reverse, type);

        deviceY.Read().ShouldAgreeWith(y, type.Forward(), "y");
        Check(type, dInput.Read(), gradients.X, "dInput");
        Check(type, Outer(dHidden.Read(), previous.Read(), gates, hidden), gradients.HiddenWeights, "dW_hh");
        Check(type, Outer(dHidden.Read(), Numbers.Filled(batch * time, 1), gates, 1), gradients.HiddenBias, "db_hh");
        arrays.Verify();
    }

    /// <summary>States beyond the shared memory that kernels have without asking.</summary>
    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void Many_hidden_units_agree_with_plain_loops(CudaType type)
    {
        const int Hidden = 1_800, Time = 2;
        using var arrays = new DeviceArrays(fixture, type);
        float[] x = Numbers.Random(Time, 1), inputWeights = Numbers.Random(4 * Hidden, 2),
            w = arrays.Rounded(Numbers.Random(4 * Hidden * Hidden, 3, 0.03f));
        float[] products = arrays.Rounded([.. x.SelectMany(value => inputWeights.Select(weight => value * weight))]),
            dy = arrays.Rounded(Numbers.Random(Time * Hidden, 4));
        var reference = new RecurrentReference(1, Time, 1, Hidden, Reverse: false);
        double[] y = reference.Lstm(x.Widen(), inputWeights.Widen(), w.Widen(), new double[4 * Hidden]);
        RecurrentGradients gradients = reference.LstmGradients(x.Widen(), inputWeights.Widen(), w.Widen(), new double[4 * Hidden],
            dy.Widen());

        var op = new Cuda.Lstm(fixture.Library);
        DeviceArray inner = arrays.Updated(products), weights = arrays.Input(w), deviceY = arrays.Output(Time * Hidden),
            cells = arrays.OutputFloats(Time * Hidden), dz = arrays.Output(4 * Time * Hidden);
        op.Forward(fixture.Stream, 1, Time, Hidden, inner, arrays.Floats(new float[4 * Hidden]), weights, deviceY, cells, reverse: false,
            type);
        op.Backward(fixture.Stream, 1, Time, Hidden, arrays.Input(dy), inner, cells, weights, dz, reverse: false, type);
        deviceY.Read().ShouldAgreeWith(y, type.Forward(), "y");
        Check(type, Outer(dz.Read(), Numbers.Filled(Time, 1), 4 * Hidden, 1), gradients.Bias, "db");
        arrays.Verify();
    }

    [Fact]
    public void Nothing_is_launched_for_nothing()
    {
        KernelLibrary library = fixture.Library;
        long before = fixture.Context.Counters.KernelLaunches;
        new Cuda.Lstm(library).Forward(fixture.Stream, 0, 20, 128, 0, 0, 0, 0, 0, reverse: false, CudaType.Float16);
        new Cuda.Gru(library).Backward(fixture.Stream, 5, 0, 128, 0, 0, 0, 0, 0, 0, reverse: false, CudaType.Float32);
        fixture.Context.Counters.KernelLaunches.ShouldBe(before);
    }

    [Fact]
    public void Too_many_hidden_units_are_refused()
    {
        var op = new Cuda.Lstm(fixture.Library);
        Should.Throw<ArgumentOutOfRangeException>(
            () => op.Forward(fixture.Stream, 1, 1, Cuda.Recurrent.MaxHidden + 1, 0, 0, 0, 0, 0, reverse: false, CudaType.Float32));
    }

    private static void Check(CudaType type, float[] actual, double[] expected, string what) =>
        actual.ShouldAgreeWith(expected, type.Backward(), what, type == CudaType.Float16 ? HalfElementTolerance : null);

    /// <summary>Σ over rows of aᵀ·b.</summary>
    private static float[] Outer(float[] a, float[] b, int rows, int columns)
    {
        double[] sums = new double[rows * columns];
        for (int step = 0; step < a.Length / rows; step++)
        {
            for (int i = 0; i < sums.Length; i++)
            {
                sums[i] += (double)a[(step * rows) + (i / columns)] * b[(step * columns) + (i % columns)];
            }
        }

        return [.. sums.Select(sum => (float)sum)];
    }

    private static double[] Identity(int size)
    {
        double[] matrix = new double[size * size];
        for (int i = 0; i < size; i++)
        {
            matrix[i * (size + 1)] = 1;
        }

        return matrix;
    }
}
