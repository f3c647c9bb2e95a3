using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

[Collection(CudaCollection.Name)]
public sealed class CudaElementwiseTests(CudaFixture fixture)
{
    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [MemberData(nameof(Types))]
    public void Accumulate_adds_and_rounds_once(CudaType type, bool misaligned)
    {
        var elementwise = new Cuda.Elementwise(fixture.Library);
        foreach (int length in CudaTolerance.Lengths)
        {
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            float[] x = arrays.Rounded(Numbers.Random(length, 1)), y = arrays.Rounded(Numbers.Random(length, 2));
            DeviceArray sum = arrays.Updated(y);
            elementwise.Accumulate(fixture.Stream, length, arrays.Input(x), sum, type);
            sum.Read().ShouldBeTheSameBitsAs([.. x.Zip(y, (a, b) => type.Round(a + b))], $"{length} sums");
            arrays.Verify();
        }
    }

    [Fact]
    public void Threads_come_round_again_for_what_the_grid_does_not_cover()
    {
        const int Length = (LaunchSize.MaxBlocks * LaunchSize.Threads * 4) + 4_099;
        var elementwise = new Cuda.Elementwise(fixture.Library);
        using var arrays = new DeviceArrays(fixture);
        float[] x = Numbers.Random(Length, 1), y = Numbers.Random(Length, 2);
        DeviceArray sum = arrays.UpdatedFloats(y);
        elementwise.Accumulate(fixture.Stream, Length, arrays.Floats(x), sum, CudaType.Float32);
        sum.Read().ShouldBeTheSameBitsAs([.. x.Zip(y, (a, b) => a + b)], "sums");
        arrays.Verify();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Cast_rounds_to_nearest_even(bool misaligned)
    {
        var elementwise = new Cuda.Elementwise(fixture.Library);
        float[] special = [0, -0f, 65_504, 65_519.99f, 65_520, -1e9f, float.PositiveInfinity, 6e-8f, 2.9e-8f, 1e-30f, 1 + (1f / 2048),
            1 + (3f / 2048), float.MaxValue];
        foreach (int length in CudaTolerance.Lengths)
        {
            using var single = new DeviceArrays(fixture, CudaType.Float32, misaligned);
            using var half = new DeviceArrays(fixture, CudaType.Float16, misaligned);
            float[] x = [.. Numbers.Random(length, 1, 100).Select((value, i) => i % 3 == 1 ? special[i / 3 % special.Length] : value)];
            DeviceArray narrow = half.Output(length);
            elementwise.Cast(fixture.Stream, length, single.Input(x), CudaType.Float32, narrow, CudaType.Float16);
            narrow.Read<Half>().ShouldBe(x.Select(value => (Half)value));

            DeviceArray wide = single.Output(length);
            elementwise.Cast(fixture.Stream, length, narrow, CudaType.Float16, wide, CudaType.Float32);
            wide.Read().ShouldBeTheSameBitsAs([.. x.Select(value => (float)(Half)value)], "widened");
            single.Verify();
            half.Verify();
        }
    }

    [Fact]
    public void Every_half_widens_and_comes_back()
    {
        var elementwise = new Cuda.Elementwise(fixture.Library);
        Half[] all = [.. Enumerable.Range(0, 65_536).Select(bits => BitConverter.UInt16BitsToHalf((ushort)bits))
            .Where(value => !Half.IsNaN(value))];
        using var arrays = new DeviceArrays(fixture);
        DeviceArray wide = arrays.OutputFloats(all.Length), narrow = arrays.UpdatedRaw(new Half[all.Length]);
        elementwise.Cast(fixture.Stream, all.Length, arrays.Raw(all), CudaType.Float16, wide, CudaType.Float32);
        elementwise.Cast(fixture.Stream, all.Length, wide, CudaType.Float32, narrow, CudaType.Float16);
        wide.Read().ShouldBeTheSameBitsAs([.. all.Select(value => (float)value)], "floats");
        narrow.Read<ushort>().ShouldBe(all.Select(BitConverter.HalfToUInt16Bits));
        arrays.Verify();
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Copy_rows_touches_its_rectangle_only(CudaType type, bool misaligned)
    {
        var elementwise = new Cuda.Elementwise(fixture.Library);
        int size = type == CudaType.Float32 ? 4 : 2;
        foreach ((int rows, int columns, int from, int to, int fromOffset, int toOffset) in
            ((int, int, int, int, int, int)[])[(0, 5, 5, 5, 0, 0), (3, 0, 8, 8, 0, 0), (1, 1, 1, 1, 0, 0), (5, 128, 128, 256, 0, 128),
                (7, 33, 40, 48, 0, 8), (4, 16, 17, 31, 1, 3), (20, 257, 264, 272, 8, 0)])
        {
            foreach (bool accumulate in (bool[])[false, true])
            {
                using var arrays = new DeviceArrays(fixture, type, misaligned);
                float[] source = arrays.Rounded(Numbers.Random((rows * from) + fromOffset, 1)),
                    before = arrays.Rounded(Numbers.Random((rows * to) + toOffset, 2));
                DeviceArray destination = arrays.Updated(before);
                elementwise.CopyRows(
                    fixture.Stream, rows, columns, arrays.Input(source).Address + (fromOffset * size), from, destination.Address
                        + (toOffset * size), to, accumulate, type);
                float[] expected = [.. before];
                for (int i = 0; i < rows; i++)
                {
                    for (int j = 0; j < columns; j++)
                    {
                        float value = source[fromOffset + (i * from) + j];
                        ref float place = ref expected[toOffset + (i * to) + j];
                        place = accumulate ? type.Round(value + place) : value;
                    }
                }

                destination.Read().ShouldBeTheSameBitsAs(expected, $"{rows}×{columns}");
                arrays.Verify();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Bias_and_relu_are_exact(CudaType type, bool misaligned)
    {
        var op = new Cuda.BiasRelu(fixture.Library);
        foreach ((int rows, int columns) in ((int, int)[])[(0, 4), (1, 1), (3, 7), (64, 256), (10, 129), (33, 64)])
        {
            foreach (bool relu in (bool[])[false, true])
            {
                using var arrays = new DeviceArrays(fixture, type, misaligned);
                float[] x = arrays.Rounded(Numbers.Random(rows * columns, 1)), bias = Numbers.Random(columns, 2);
                DeviceArray y = arrays.Updated(x);
                op.Run(fixture.Stream, rows, columns, y, arrays.Floats(bias), relu, type);
                y.Read().ShouldBeTheSameBitsAs(
                    [.. x.Select((value, i) => type.Round(relu ? MathF.Max(0, value + bias[i % columns]) : value + bias[i % columns]))],
                        $"{rows}×{columns}");
                arrays.Verify();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Column_sums_are_added(CudaType type, bool misaligned)
    {
        var op = new Cuda.ColumnSums(fixture.Library);
        foreach ((int rows, int columns) in ((int, int)[])[(0, 3), (1, 1), (2, 3), (31, 8), (33, 16), (127, 17), (129, 33), (1_280, 64),
            (3_000, 5), (257, 129)])
        {
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            float[] x = arrays.Rounded(Numbers.Random(rows * columns, 1)), before = Numbers.Random(columns, 2);
            DeviceArray sums = arrays.UpdatedFloats(before);
            op.Run(fixture.Stream, rows, columns, arrays.Input(x), sums, type);
            double[] expected = before.Widen();
            for (int i = 0; i < x.Length; i++)
            {
                expected[i % columns] += x[i];
            }

            sums.Read().ShouldAgreeWith(expected, Agreement.Forward, $"{rows}×{columns}");
            arrays.Verify();
        }
    }
}
