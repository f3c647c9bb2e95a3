using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Statistics over time, against the CPU's kernels, which are proven against plain loops.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaTimeStatisticsTests(CudaFixture fixture)
{
    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [MemberData(nameof(Types))]
    public void Agrees_with_the_cpu(CudaType type, bool misaligned)
    {
        var op = new Cuda.TimeStatistics(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach ((int batch, int time, int features) in
            ((int, int, int)[])[(0, 3, 4), (1, 1, 1), (3, 20, 128), (2, 7, 15), (5, 17, 33), (4, 1, 16), (2, 2, 257), (1, 100, 16),
                (9, 2, 64), (17, 9, 8)])
        {
            using var buffers = new Buffers();
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            int count = batch * time * features, statistics = 3 * batch * features;
            float[] x = arrays.Rounded(Numbers.Random(count, 1)), dy = Numbers.Random(statistics, 3);
            GuardedBuffer<float> y = buffers.Output(statistics), dx = buffers.Output(count), input = buffers.Of(x);
            Cpu.TimeStatistics.Forward(team, batch, time, features, input.Pointer, y);
            Cpu.TimeStatistics.Backward(team, batch, time, features, input.Pointer, y, buffers.Of(dy), dx.Pointer);

            DeviceArray deviceInput = arrays.Input(x), deviceY = arrays.OutputFloats(statistics), deviceDx = arrays.Output(count);
            op.Forward(fixture.Stream, batch, time, features, deviceInput, deviceY, type);
            op.Backward(fixture.Stream, batch, time, features, deviceInput, deviceY, arrays.Floats(dy), deviceDx, type);

            string what = $"{batch}×{time}×{features}";
            deviceY.Read().ShouldAgreeWith(y.Read().Widen(), Agreement.Forward, $"{what} y");
            deviceDx.Read().ShouldAgreeWith(dx.Read().Widen(), type.Backward(), $"{what} dx");
            arrays.Verify();
        }
    }

    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void What_does_not_change_has_no_deviation_and_its_gradient_is_that_of_the_mean(CudaType type)
    {
        const int Time = 7, Features = 11;
        var op = new Cuda.TimeStatistics(fixture.Library);
        using var arrays = new DeviceArrays(fixture, type);
        float[] still = arrays.Rounded(Numbers.Random(Features, 1)), x = [.. Enumerable.Repeat(still, Time).SelectMany(frame => frame)];
        DeviceArray input = arrays.Input(x), y = arrays.OutputFloats(3 * Features), dx = arrays.Output(x.Length);
        op.Forward(fixture.Stream, 1, Time, Features, input, y, type);
        op.Backward(fixture.Stream, 1, Time, Features, input, y, arrays.Floats(Numbers.Filled(3 * Features, 1)), dx, type);

        y.Read().ShouldBe([.. still, .. new float[2 * Features]]);
        dx.Read().ShouldAllBe(gradient => gradient == type.Round(1f / Time));
        arrays.Verify();
    }
}
