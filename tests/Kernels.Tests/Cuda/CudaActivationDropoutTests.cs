using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

[Collection(CudaCollection.Name)]
public sealed class CudaActivationDropoutTests(CudaFixture fixture)
{
    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_length_has_the_bits_of_the_formula_with_the_mask_of_the_cpu(CudaType type, bool misaligned)
    {
        var op = new Cuda.ActivationDropout(fixture.Library);
        var state = new StepState { AdamSteps = 70_000, SkippedSteps = 12 };
        foreach (int length in CudaTolerance.Lengths)
        {
            foreach (bool relu in (bool[])[false, true])
            {
                foreach (float probability in (float[])[0, 0.5f, 0.3f])
                {
                    using var arrays = new DeviceArrays(fixture, type, misaligned);
                    float[] x = arrays.Rounded(Numbers.Random(length, 1)), dy = arrays.Rounded(Numbers.Random(length, 2));
                    var dropout = new GpuDropout(probability, 0x9E37_79B9_7F4A_7C15, 5, arrays.Raw(state));
                    var mask = new Dropout(probability, dropout.Seed, ((ulong)state.Step << 8) | 5);
                    float Factor(int i) => mask.IsActive ? mask.Factor(i) : 1;
                    DeviceArray input = arrays.Input(x), y = arrays.Output(length), dx = arrays.Output(length);
                    op.Forward(fixture.Stream, length, input, y, relu, dropout, type);
                    op.Backward(fixture.Stream, length, arrays.Input(dy), input, dx, relu, dropout, type);
                    y.Read().ShouldBeTheSameBitsAs(
                        [.. x.Select((value, i) => type.Round((relu ? MathF.Max(0, value) : value) * Factor(i)))], $"{length} y");
                    dx.Read().ShouldBeTheSameBitsAs([.. dy.Select((value, i) => type.Round(relu && x[i] <= 0 ? 0 : value * Factor(i)))],
                        $"{length} dx");
                    arrays.Verify();
                }
            }
        }
    }

    [Theory]
    [InlineData(0, 0, 0f)]
    [InlineData(255, 1, 0.999999f)]
    [InlineData(3, int.MaxValue, 5.9604645e-8f)]
    public void The_mask_follows_from_seed_step_and_layer(int layer, int step, float probability)
    {
        const int Length = 10_000;
        using var arrays = new DeviceArrays(fixture);
        var op = new Cuda.ActivationDropout(fixture.Library);
        DeviceArray y = arrays.OutputFloats(Length);
        op.Forward(fixture.Stream, Length, arrays.Floats(Numbers.Filled(Length, 1)), y, relu: false,
            new GpuDropout(probability, ulong.MaxValue, layer, arrays.Raw(new StepState { AdamSteps = step })), CudaType.Float32);
        var mask = new Dropout(probability, ulong.MaxValue, ((ulong)step << 8) | (uint)layer);
        y.Read().ShouldBeTheSameBitsAs([.. Enumerable.Range(0, Length).Select(i => mask.IsActive ? mask.Factor(i) : 1)], "mask");
        arrays.Verify();
    }

    /// <summary>A shard of a batch draws its part of the whole batch's mask, wherever it begins.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(5_000_000_003)]
    public void A_shard_draws_its_part_of_the_mask(long first)
    {
        const int Length = 1_003;
        using var arrays = new DeviceArrays(fixture);
        var op = new Cuda.ActivationDropout(fixture.Library);
        DeviceArray y = arrays.OutputFloats(Length);
        op.Forward(fixture.Stream, Length, arrays.Floats(Numbers.Filled(Length, 1)), y, relu: false,
            new GpuDropout(0.3f, 9, 2, arrays.Raw(default(StepState)), first), CudaType.Float32);
        var whole = new Dropout(0.3f, 9, 2);
        float[] expected = [.. Enumerable.Range(0, Length).Select(i => whole.Factor(first + i))];
        y.Read().ShouldBeTheSameBitsAs(expected, "mask");
        float[] host = Numbers.Filled(Length, 1);
        using var team = new ThreadTeam(2);
        unsafe
        {
            fixed (float* values = host)
            {
                Cpu.ActivationDropout.Forward(team, Length, values, values, relu: false, whole with { First = first });
            }
        }

        host.ShouldBeTheSameBitsAs(expected, "mask on the cpu");
        arrays.Verify();
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Works_in_place_and_without_a_state(CudaType type, bool misaligned)
    {
        const int Length = 1_003;
        var op = new Cuda.ActivationDropout(fixture.Library);
        using var arrays = new DeviceArrays(fixture, type, misaligned);
        float[] x = arrays.Rounded(Numbers.Random(Length, 1)), dy = arrays.Rounded(Numbers.Random(Length, 2));
        var dropout = new GpuDropout(0.25f, 7, 1, 0);
        var mask = new Dropout(0.25f, 7, 1);
        DeviceArray values = arrays.Updated(x), gradients = arrays.Updated(dy);
        op.Forward(fixture.Stream, Length, values, values, relu: true, dropout, type);
        op.Backward(fixture.Stream, Length, gradients, values, gradients, relu: true, dropout, type);
        values.Read().ShouldBeTheSameBitsAs([.. x.Select((value, i) => type.Round(MathF.Max(0, value) * mask.Factor(i)))], "y");
        gradients.Read().ShouldBeTheSameBitsAs(
            [.. dy.Select((value, i) => x[i] > 0 && mask.Factor(i) > 0 ? type.Round(value * mask.Factor(i)) : 0)], "dx");
        arrays.Verify();
    }

    [Fact]
    public void Nan_stays_nan_and_infinity_too()
    {
        using var arrays = new DeviceArrays(fixture);
        var op = new Cuda.ActivationDropout(fixture.Library);
        DeviceArray y = arrays.OutputFloats(3);
        op.Forward(fixture.Stream, 3, arrays.Floats(float.NaN, float.PositiveInfinity, float.NegativeInfinity), y, relu: true, default,
            CudaType.Float32);
        y.Read().ShouldBeTheSameBitsAs([float.NaN, float.PositiveInfinity, 0], "y");
    }
}
