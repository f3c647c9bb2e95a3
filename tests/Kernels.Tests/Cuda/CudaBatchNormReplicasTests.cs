using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// Pass by pass against the CPU's kernel, which is proven against plain loops; every pass of both is given the same numbers.
/// </summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaBatchNormReplicasTests(CudaFixture fixture)
{
    private const float Momentum = 0.99f;
    private const float Epsilon = 1e-3f;

    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_pass_agrees_with_the_cpu(CudaType type, bool misaligned)
    {
        var op = new Cuda.BatchNorm(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach ((int rows, int channels) in ((int, int)[])[(1, 3), (2, 1), (3, 8), (31, 16), (33, 17), (127, 33), (200, 31), (130, 128),
            (1_280, 24), (7, 257), (3_000, 9)])
        {
            foreach ((bool relu, float probability) in ((bool, float)[])[(false, 0), (true, 0.5f), (true, 0), (false, 0.3f)])
            {
                using var buffers = new Buffers();
                using var arrays = new DeviceArrays(fixture, type, misaligned);
                int count = rows * channels, length = Cpu.BatchNorm.PartLength(channels);
                float[] x = arrays.Rounded([.. Numbers.Random(count, 1, 2).Select(v => v + 3)]),
                    dy = arrays.Rounded(Numbers.Random(count, 4));
                float[] gamma = [.. Numbers.Random(channels, 2).Select(v => v + 1.5f)], beta = Numbers.Random(channels, 3),
                    before = Numbers.Random(channels, 5);
                var mask = new Dropout(probability, 11, (4 << 8) | 2);

                GuardedBuffer<float> input = buffers.Of(x), scale = buffers.Of(gamma), shift = buffers.Of(beta),
                    moments = buffers.Output(length), sums = buffers.Output(length);
                GuardedBuffer<float> runningMean = buffers.Of(before), runningVariance = buffers.Of(before),
                    mean = buffers.Output(channels), inverse = buffers.Output(channels);
                GuardedBuffer<float> y = buffers.Output(count), dx = buffers.Output(count), dGamma = buffers.Of(before),
                    dBeta = buffers.Of(before), slopes = buffers.Of(dy);
                Cpu.BatchNorm.Moments(team, rows, channels, input, moments);
                float[] parts = [.. moments.Read(), .. Others(channels)];
                Cpu.BatchNorm.Combine(3, channels, buffers.Of(parts), runningMean, runningVariance, mean, inverse, Momentum, Epsilon);
                Cpu.BatchNorm.Normalize(team, rows, channels, input, scale, shift, mean, inverse, y, relu, mask);
                Cpu.BatchNorm.GradientSums(team, rows, channels, input, scale, shift, mean, inverse, slopes, dx, sums, dGamma, dBeta, relu,
                    mask);
                float[] gathered = [.. Others(channels), .. sums.Read()];
                Cpu.BatchNorm.InputGradient(team, 3, rows, channels, input, scale, mean, inverse, buffers.Of(gathered), slopes, dx, relu,
                    mask);

                var dropout = new GpuDropout(probability, 11, 2, arrays.Raw(new StepState { AdamSteps = 3, SkippedSteps = 1 }));
                DeviceArray deviceX = arrays.Input(x), deviceDy = arrays.Input(dy), deviceGamma = arrays.Floats(gamma),
                    deviceBeta = arrays.Floats(beta);
                DeviceArray deviceMoments = arrays.OutputFloats(length), deviceSums = arrays.OutputFloats(length);
                DeviceArray deviceRunningMean = arrays.UpdatedFloats(before), deviceRunningVariance = arrays.UpdatedFloats(before);
                DeviceArray deviceMean = arrays.OutputFloats(channels), deviceInverse = arrays.OutputFloats(channels),
                    givenMean = arrays.Floats(mean.Read()), givenInverse = arrays.Floats(inverse.Read());
                DeviceArray deviceY = arrays.Output(count), deviceDx = arrays.Output(count), dScale = arrays.UpdatedFloats(before),
                    dShift = arrays.UpdatedFloats(before);
                op.Moments(fixture.Stream, rows, channels, deviceX, deviceMoments, type);
                op.Combine(
                    fixture.Stream, 3, channels, arrays.Floats(parts), deviceRunningMean, deviceRunningVariance, deviceMean, deviceInverse,
                        Momentum, Epsilon);
                op.Normalize(fixture.Stream, rows, channels, deviceX, deviceGamma, deviceBeta, givenMean, givenInverse, deviceY, relu,
                    dropout, type);
                op.GradientSums(
                    fixture.Stream, rows, channels, deviceDy, deviceX, deviceGamma, deviceBeta, givenMean, givenInverse, deviceSums,
                        dScale, dShift, relu, dropout, type);
                op.InputGradient(
                    fixture.Stream, 3, rows, channels, deviceDy, deviceX, deviceGamma, deviceBeta, givenMean, givenInverse,
                        arrays.Floats(gathered), deviceDx, relu, dropout, type);

                string what = $"{rows}×{channels} relu {relu} dropout {probability}";
                float[] actualMoments = deviceMoments.Read(), actualSums = deviceSums.Read();
                actualMoments[..channels].ShouldAgreeWith(moments.Read()[..channels].Widen(), Agreement.Forward,
                    $"{what}: mean of the part");
                actualMoments[channels..^1].ShouldAgreeWith(moments.Read()[channels..^1].Widen(), Agreement.Forward,
                    $"{what}: squares of the part");
                actualMoments[^1].ShouldBe(rows);
                deviceMean.Read().ShouldAgreeWith(mean.Read().Widen(), Agreement.Forward, $"{what}: mean");
                deviceInverse.Read().ShouldAgreeWith(inverse.Read().Widen(), Agreement.Forward, $"{what}: inverse deviation");
                deviceRunningMean.Read().ShouldAgreeWith(runningMean.Read().Widen(), Agreement.Forward, $"{what}: running mean");
                deviceRunningVariance.Read()
                    .ShouldAgreeWith(runningVariance.Read().Widen(), Agreement.Forward, $"{what}: running variance");
                deviceY.Read().ShouldAgreeWith(y.Read().Widen(), type.Forward(), $"{what}: y");
                actualSums[..channels].ShouldAgreeWith(sums.Read()[..channels].Widen(), Agreement.Backward, $"{what}: Σg");
                actualSums[channels..^1].ShouldAgreeWith(sums.Read()[channels..^1].Widen(), Agreement.Backward, $"{what}: Σg·x̂");
                actualSums[^1].ShouldBe(rows);
                dShift.Read().ShouldBeTheSameBitsAs([.. before.Select((old, c) => old + actualSums[c])], $"{what}: dβ");
                dScale.Read().ShouldBeTheSameBitsAs([.. before.Select((old, c) => old + actualSums[channels + c])], $"{what}: dγ");
                deviceDx.Read().ShouldAgreeWith(dx.Read().Widen(), type.Backward(), $"{what}: dx");
                arrays.Verify();
            }
        }
    }

    /// <summary>One part takes the steps that training on one replica takes in one launch each way.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void One_part_agrees_with_training_on_one_replica(CudaType type, bool misaligned)
    {
        const int Rows = 300, Channels = 40;
        var op = new Cuda.BatchNorm(fixture.Library);
        float[][] Run(bool synchronised)
        {
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            DeviceArray x = arrays.Input(Numbers.Random(Rows * Channels, 1)), gamma = arrays.Floats(Numbers.Random(Channels, 2)),
                beta = arrays.Floats(Numbers.Random(Channels, 3));
            DeviceArray dy = arrays.Input(Numbers.Random(Rows * Channels, 4)), y = arrays.Output(Rows * Channels),
                dx = arrays.Output(Rows * Channels);
            DeviceArray running = arrays.UpdatedFloats(new float[Channels]), spread = arrays.UpdatedFloats(new float[Channels]),
                mean = arrays.OutputFloats(Channels);
            DeviceArray inverse = arrays.OutputFloats(Channels), dScale = arrays.UpdatedFloats(new float[Channels]),
                dShift = arrays.UpdatedFloats(new float[Channels]);
            DeviceArray part = arrays.OutputFloats((2 * Channels) + 1);
            var dropout = new GpuDropout(0.5f, 3, 9, 0);
            if (synchronised)
            {
                op.Moments(fixture.Stream, Rows, Channels, x, part, type);
                op.Combine(fixture.Stream, 1, Channels, part, running, spread, mean, inverse, Momentum, Epsilon);
                op.Normalize(fixture.Stream, Rows, Channels, x, gamma, beta, mean, inverse, y, relu: true, dropout, type);
                op.GradientSums(fixture.Stream, Rows, Channels, dy, x, gamma, beta, mean, inverse, part, dScale, dShift, relu: true,
                    dropout, type);
                op.InputGradient(fixture.Stream, 1, Rows, Channels, dy, x, gamma, beta, mean, inverse, part, dx, relu: true, dropout, type);
            }
            else
            {
                op.ForwardTraining(fixture.Stream, Rows, Channels, x, gamma, beta, running, spread, y, mean, inverse, relu: true, dropout,
                    Momentum, Epsilon, type);
                op.Backward(fixture.Stream, Rows, Channels, dy, x, gamma, beta, mean, inverse, dx, dScale, dShift, relu: true, dropout,
                    type);
            }

            arrays.Verify();
            return [y.Read(), dx.Read(), dScale.Read(), dShift.Read(), running.Read(), spread.Read()];
        }

        foreach ((int i, (float[] actual, float[] expected)) in Run(true).Zip(Run(false)).Index())
        {
            // Activations may be rounded to neighbouring halves.
            actual.ShouldAgreeWith(expected.Widen(), type == CudaType.Float16 && i < 2 ? type.Forward() : 1e-6, $"output {i}");
        }
    }

    [Fact]
    public void A_large_mean_does_not_cancel_the_variance()
    {
        int[] parts = [700, 1, 579];
        using var arrays = new DeviceArrays(fixture);
        var op = new Cuda.BatchNorm(fixture.Library);
        float[] x = [.. Numbers.Random(parts.Sum(), 1).Select((v, i) => v + 1_000 + (i < 700 ? 0 : 0.5f))];
        float[] moments = [.. parts.SelectMany((rows, i) =>
        {
            int first = parts[..i].Sum();
            DeviceArray part = arrays.OutputFloats(3);
            op.Moments(fixture.Stream, rows, 1, arrays.Floats(x[first..(first + rows)]), part, CudaType.Float32);
            return part.Read();
        })];
        DeviceArray inverse = arrays.OutputFloats(1);
        op.Combine(
            fixture.Stream, parts.Length, 1, arrays.Floats(moments), arrays.UpdatedFloats(0), arrays.UpdatedFloats(0),
                arrays.OutputFloats(1), inverse, Momentum, Epsilon);
        double mean = x.Average(v => (double)v), variance = x.Average(v => (v - mean) * (v - mean));
        // The distance of two parts is that of two means in single precision, each a few times 6e-5 off at 1000; squares that cancelled
        // would be off by a tenth.
        inverse.Read().ShouldAgreeWith([1 / Math.Sqrt(variance + Epsilon)], 1e-4, "inverse deviation");
    }

    /// <summary>The parts of two other replicas, of 5 and 40 rows.</summary>
    private static float[] Others(int channels) =>
        [.. new[] { 5, 40 }.SelectMany(
            rows => (float[])[.. Numbers.Random(channels, rows), .. Numbers.Random(channels, rows + 1).Select(v => (v + 2) * rows), rows])];
}
