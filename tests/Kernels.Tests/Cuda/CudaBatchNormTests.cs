using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Against the CPU's kernel, which is proven against plain loops.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaBatchNormTests(CudaFixture fixture)
{
    private const float Momentum = 0.99f;
    private const float Epsilon = 1e-3f;

    private static readonly (int Rows, int Channels)[] Shapes = [(1, 3), (2, 1), (3, 8), (31, 16), (33, 17), (65, 48), (127, 33),
        (200, 31), (130, 128), (1_280, 24), (7, 257), (3_000, 9)];

    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [MemberData(nameof(Types))]
    public void Training_agrees_with_the_cpu(CudaType type, bool misaligned)
    {
        var op = new Cuda.BatchNorm(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach ((int rows, int channels) in Shapes)
        {
            foreach ((bool relu, float probability) in ((bool, float)[])[(false, 0), (true, 0.5f), (true, 0), (false, 0.3f)])
            {
                using var buffers = new Buffers();
                using var arrays = new DeviceArrays(fixture, type, misaligned);
                int count = rows * channels;
                float[] x = arrays.Rounded([.. Numbers.Random(count, 1, 2).Select(v => v + 3)]),
                    dy = arrays.Rounded(Numbers.Random(count, 4));
                float[] gamma = [.. Numbers.Random(channels, 2).Select(v => v + 1.5f)], beta = Numbers.Random(channels, 3),
                    before = Numbers.Random(channels, 5);
                var state = new StepState { AdamSteps = 3, SkippedSteps = 1 };
                var mask = new Dropout(probability, 11, (4 << 8) | 2);

                GuardedBuffer<float> runningMean = buffers.Of(before), runningVariance = buffers.Of(before), y = buffers.Output(count),
                    mean = buffers.Output(channels);
                GuardedBuffer<float> inverse = buffers.Output(channels), dx = buffers.Output(count), dGamma = buffers.Of(before),
                    dBeta = buffers.Of(before), input = buffers.Of(x);
                Cpu.BatchNorm.ForwardTraining(
                    team, rows, channels, input, buffers.Of(gamma), buffers.Of(beta), runningMean, runningVariance, y, mean, inverse, relu,
                        mask, Momentum, Epsilon);
                Cpu.BatchNorm.Backward(
                    team, rows, channels, input, buffers.Of(gamma), buffers.Of(beta), mean, inverse, buffers.Of(dy), dx, dGamma, dBeta,
                        relu, mask);

                var dropout = new GpuDropout(probability, 11, 2, arrays.Raw(state));
                DeviceArray deviceInput = arrays.Input(x), scale = arrays.Floats(gamma), shift = arrays.Floats(beta),
                    deviceY = arrays.Output(count), deviceDx = arrays.Output(count);
                DeviceArray deviceRunningMean = arrays.UpdatedFloats(before), deviceRunningVariance = arrays.UpdatedFloats(before);
                DeviceArray deviceMean = arrays.OutputFloats(channels), deviceInverse = arrays.OutputFloats(channels);
                DeviceArray dScale = arrays.UpdatedFloats(before), dShift = arrays.UpdatedFloats(before);
                op.ForwardTraining(
                    fixture.Stream, rows, channels, deviceInput, scale, shift, deviceRunningMean, deviceRunningVariance, deviceY,
                        deviceMean, deviceInverse, relu, dropout, Momentum, Epsilon, type);
                op.Backward(fixture.Stream, rows, channels, arrays.Input(dy), deviceInput, scale, shift, deviceMean, deviceInverse,
                    deviceDx, dScale, dShift, relu, dropout, type);

                string what = $"{rows}×{channels} relu {relu} dropout {probability}";
                deviceY.Read().ShouldAgreeWith(y.Read().Widen(), type.Forward(), $"{what}: y");
                deviceMean.Read().ShouldAgreeWith(mean.Read().Widen(), Agreement.Forward, $"{what}: mean");
                deviceInverse.Read().ShouldAgreeWith(inverse.Read().Widen(), Agreement.Forward, $"{what}: inverse deviation");
                deviceRunningMean.Read().ShouldAgreeWith(runningMean.Read().Widen(), Agreement.Forward, $"{what}: running mean");
                deviceRunningVariance.Read()
                    .ShouldAgreeWith(runningVariance.Read().Widen(), Agreement.Forward, $"{what}: running variance");
                dScale.Read().ShouldAgreeWith(dGamma.Read().Widen(), Agreement.Backward, $"{what}: dγ");
                dShift.Read().ShouldAgreeWith(dBeta.Read().Widen(), Agreement.Backward, $"{what}: dβ");
                if (rows > 2)
                {
                    // One row normalises to β whatever it was, and two to nearly ±1: the gradient is 0 but for rounding.
                    deviceDx.Read().ShouldAgreeWith(dx.Read().Widen(), type.Backward(), $"{what}: dx");
                }

                arrays.Verify();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Inference_uses_the_running_statistics(CudaType type, bool misaligned)
    {
        var op = new Cuda.BatchNorm(fixture.Library);
        foreach ((int rows, int channels) in Shapes)
        {
            foreach (bool relu in (bool[])[false, true])
            {
                using var arrays = new DeviceArrays(fixture, type, misaligned);
                float[] x = arrays.Rounded(Numbers.Random(rows * channels, 1)), gamma = Numbers.Random(channels, 2),
                    beta = Numbers.Random(channels, 3);
                float[] mean = Numbers.Random(channels, 4), variance = [.. Numbers.Random(channels, 5).Select(v => v + 1.1f)];
                double[] expected = [
                    .. x.Select((value, i) => (
                    (value - (double)mean[i % channels]) * gamma[i % channels] / Math.Sqrt(variance[i % channels] + Epsilon))
                    + beta[i % channels])
                    .Select(value => relu ? Math.Max(0, value) : value)];
                DeviceArray y = arrays.Updated(x);
                op.ForwardInference(
                    fixture.Stream, rows, channels, y, arrays.Floats(gamma), arrays.Floats(beta), arrays.Floats(mean),
                        arrays.Floats(variance), y, relu, Epsilon, type);
                y.Read().ShouldAgreeWith(expected, type.Forward(), $"{rows}×{channels}");
                arrays.Verify();
            }
        }
    }

    [Fact]
    public void A_large_mean_does_not_cancel_the_variance()
    {
        const int Rows = 1_280;
        using var arrays = new DeviceArrays(fixture);
        var op = new Cuda.BatchNorm(fixture.Library);
        float[] x = [.. Numbers.Random(Rows, 1).Select(v => v + 1_000)];
        DeviceArray inverse = arrays.OutputFloats(1);
        op.ForwardTraining(
            fixture.Stream, Rows, 1, arrays.Floats(x), arrays.Floats(1), arrays.Floats(0), arrays.UpdatedFloats(0),
            arrays.UpdatedFloats(0), arrays.OutputFloats(Rows),
            arrays.OutputFloats(1), inverse, relu: false, default, Momentum, Epsilon, CudaType.Float32);
        double mean = x.Average(v => (double)v), variance = x.Average(v => (v - mean) * (v - mean));
        inverse.Read().ShouldAgreeWith([1 / Math.Sqrt(variance + Epsilon)], Agreement.Forward, "inverse deviation");
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void The_mask_is_that_of_a_separate_dropout(CudaType type, bool misaligned)
    {
        var op = new Cuda.BatchNorm(fixture.Library);
        foreach ((int rows, int channels) in ((int, int)[])[(33, 37), (20, 128)])
        {
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            DeviceArray y = arrays.Output(rows * channels);
            op.ForwardTraining(
                fixture.Stream, rows, channels, arrays.Input(Numbers.Random(rows * channels, 1)), arrays.Floats(new float[channels]),
                arrays.Floats(Numbers.Filled(channels, 1)),
                arrays.UpdatedFloats(new float[channels]), arrays.UpdatedFloats(new float[channels]), y, arrays.OutputFloats(channels),
                arrays.OutputFloats(channels),
                relu: true, new GpuDropout(0.5f, 3, 9, 0), Momentum, Epsilon, type);
            var mask = new Dropout(0.5f, 3, 9);
            y.Read().ShouldBeTheSameBitsAs([.. Enumerable.Range(0, rows * channels).Select(i => mask.Factor(i))], "mask");
            arrays.Verify();
        }
    }
}
