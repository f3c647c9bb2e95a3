using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class BatchNormTests
{
    private static readonly Dropout Dropout = new(0.5f, 11, 3);

    public static TheoryData<SimdLevel, int, int, bool, bool> Cases
    {
        get
        {
            var data = new TheoryData<SimdLevel, int, int, bool, bool>();
            foreach (SimdLevel level in SimdSelection.Available)
            {
                foreach ((int rows, int channels) in ((int, int)[])[(1, 3), (5, 1), (63, 16), (64, 17), (65, 48), (200, 33), (130, 128),
                    (7, 257)])
                {
                    data.Add(level, rows, channels, false, false);
                    data.Add(level, rows, channels, true, true);
                }

                data.Add(level, 70, 40, true, false);
                data.Add(level, 70, 40, false, true);
            }

            return data;
        }
    }

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Training_agrees_with_plain_loops(SimdLevel level, int rows, int channels, bool relu, bool drop)
    {
        Dropout dropout = drop ? Dropout : default;
        float[] x = [.. Numbers.Random(rows * channels, 1, 2).Select(v => v + 3)];
        float[] gamma = [.. Numbers.Random(channels, 2).Select(v => v + 1.5f)];
        float[] beta = Numbers.Random(channels, 3);
        float[] dy = Numbers.Random(rows * channels, 4);
        float[] before = Numbers.Random(channels, 5);
        var reference = new BatchNormReference(rows, channels, relu, dropout);
        BatchNormReference.Pass pass = reference.Forward(x.Widen(), gamma.Widen(), beta.Widen());
        double[][] gradients = reference.Backward(pass, x.Widen(), gamma.Widen(), beta.Widen(), dy.Widen());

        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<float> input = buffers.Of(x);
                GuardedBuffer<float> scale = buffers.Of(gamma);
                GuardedBuffer<float> shift = buffers.Of(beta);
                GuardedBuffer<float> runningMean = buffers.Of(before);
                GuardedBuffer<float> runningVariance = buffers.Of(before);
                GuardedBuffer<float> y = buffers.Output(x.Length);
                GuardedBuffer<float> mean = buffers.Output(channels);
                GuardedBuffer<float> inverse = buffers.Output(channels);
                GuardedBuffer<float> dx = buffers.Output(x.Length);
                GuardedBuffer<float> dGamma = buffers.Of(before);
                GuardedBuffer<float> dBeta = buffers.Of(before);
                BatchNorm.ForwardTraining(
                    team, rows, channels, input, scale, shift, runningMean, runningVariance, y, mean, inverse, relu, dropout);
                BatchNorm.Backward(
                    team, rows, channels, input, scale, shift, mean, inverse, buffers.Of(dy), dx, dGamma, dBeta, relu, dropout);
                return [y.Read(), runningMean.Read(), runningVariance.Read(), mean.Read(), inverse.Read(), dx.Read(), dGamma.Read(),
                    dBeta.Read()];
            },
            outputs =>
            {
                outputs[0].ShouldAgreeWith(pass.Y, Agreement.Forward, "y");
                outputs[1].ShouldAgreeWith([.. before.Select((r, c) => (0.99 * r) + (0.01 * pass.Mean[c]))], Agreement.Forward,
                    "running mean");
                outputs[2].ShouldAgreeWith([.. before.Select((r, c) => (0.99 * r) + (0.01 * pass.Variance[c]))], Agreement.Forward,
                    "running variance");
                outputs[3].ShouldAgreeWith(pass.Mean, Agreement.Forward, "mean");
                outputs[4].ShouldAgreeWith(pass.InverseDeviation, Agreement.Forward, "inverse deviation");
                if (rows > 1)
                {
                    // One row normalises to β whatever it was: the gradient is 0 but for rounding.
                    outputs[5].ShouldAgreeWith(gradients[0], Agreement.Backward, "dx");
                }

                outputs[6].ShouldAgreeWith([.. before.Select((r, c) => r + gradients[1][c])], Agreement.Backward, "dγ");
                outputs[7].ShouldAgreeWith([.. before.Select((r, c) => r + gradients[2][c])], Agreement.Backward, "dβ");
            });
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Inference_uses_the_running_statistics(SimdLevel level)
    {
        for (int channels = 1; channels <= 257; channels += 16)
        {
            const int Rows = 9;
            float[] x = Numbers.Random(Rows * channels, 1);
            float[] gamma = Numbers.Random(channels, 2);
            float[] beta = Numbers.Random(channels, 3);
            float[] mean = Numbers.Random(channels, 4);
            float[] variance = [.. Numbers.Random(channels, 5).Select(v => v + 1.1f)];
            double[] expected = [.. x.Select((v, i) => Math.Max(
                0, ((v - (double)mean[i % channels]) * gamma[i % channels] / Math.Sqrt(variance[i % channels] + 1e-3))
                    + beta[i % channels]))];
            OpTest.Run(
                level,
                (team, buffers) =>
                {
                    GuardedBuffer<float> y = buffers.Of(x);
                    BatchNorm.ForwardInference(
                        team, Rows, channels, y, buffers.Of(gamma), buffers.Of(beta), buffers.Of(mean), buffers.Of(variance), y,
                            relu: true);
                    return [y.Read()];
                },
                outputs => outputs[0].ShouldAgreeWith(expected, Agreement.Forward, "y"));
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_large_mean_does_not_cancel_the_variance(SimdLevel level)
    {
        const int Rows = 1_280;
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        float[] x = [.. Numbers.Random(Rows, 1).Select(v => v + 1_000)];
        GuardedBuffer<float> inverse = buffers.Output(1);
        BatchNorm.ForwardTraining(
            team, Rows, 1, buffers.Of(x), buffers.Of(1f), buffers.Of(0f), buffers.Of(0f), buffers.Of(0f), buffers.Output(Rows),
                buffers.Output(1), inverse);
        double mean = x.Average(v => (double)v);
        double variance = x.Average(v => (v - mean) * (v - mean));
        inverse.Read().ShouldAgreeWith([1 / Math.Sqrt(variance + 1e-3)], Agreement.Forward, "inverse deviation");
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void The_mask_is_that_of_a_separate_dropout(SimdLevel level)
    {
        const int Rows = 33;
        const int Channels = 37;
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> x = buffers.Of(Numbers.Random(Rows * Channels, 1));
        GuardedBuffer<float> fused = buffers.Output(x.Length);
        GuardedBuffer<float> separate = buffers.Output(x.Length);
        void Forward(float* y, Dropout dropout) => BatchNorm.ForwardTraining(
            team, Rows, Channels, x, buffers.Of(Numbers.Filled(Channels, 1)), buffers.Of(new float[Channels]),
            buffers.Of(new float[Channels]),
            buffers.Of(new float[Channels]), y, buffers.Output(Channels), buffers.Output(Channels), relu: true, dropout);
        Forward(fused, Dropout);
        Forward(separate, default);
        ActivationDropout.Forward(team, x.Length, separate, separate, relu: false, Dropout);
        fused.Read().ShouldBeTheSameBitsAs(separate.Read(), "y");
    }

    [Fact]
    public void The_reference_has_the_right_gradients()
    {
        const int Rows = 6;
        const int Channels = 4;
        foreach (bool relu in (bool[])[false, true])
        {
            var reference = new BatchNormReference(Rows, Channels, relu, relu ? Dropout : default);
            double[] x = Numbers.Random(Rows * Channels, 1).Widen();
            double[] gamma = Numbers.Random(Channels, 2).Widen();
            double[] beta = Numbers.Random(Channels, 3).Widen();
            double[] dy = Numbers.Random(Rows * Channels, 4).Widen();
            double[][] gradients = reference.Backward(reference.Forward(x, gamma, beta), x, gamma, beta, dy);
            Agreement.GradientsShouldBeRight(
                inputs => Agreement.Dot(reference.Forward(inputs[0], inputs[1], inputs[2]).Y, dy), [x, gamma, beta], gradients);
        }
    }
}
