using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Several replicas' passes, one after another, with what they exchange put together by hand.</summary>
public sealed unsafe class BatchNormReplicasTests
{
    private static readonly Dropout Dropout = new(0.5f, 11, 3);

    public static TheoryData<SimdLevel, int[], int, bool, bool> Cases
    {
        get
        {
            var data = new TheoryData<SimdLevel, int[], int, bool, bool>();
            foreach (SimdLevel level in SimdSelection.Available)
            {
                foreach ((int[] parts, int channels) in ((int[], int)[])[([5, 1], 3), ([7, 8, 1], 17), ([9], 1), ([64, 130], 48),
                    ([1, 70, 3, 65], 128), ([7, 9], 257)])
                {
                    data.Add(level, parts, channels, false, false);
                    data.Add(level, parts, channels, true, true);
                }

                data.Add(level, [40, 31], 40, true, false);
                data.Add(level, [40, 31], 40, false, true);
            }

            return data;
        }
    }

    public static TheoryData<SimdLevel> Levels => [.. SimdSelection.Available];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Parts_agree_with_plain_loops_over_all_rows(SimdLevel level, int[] parts, int channels, bool relu, bool drop)
    {
        int rows = parts.Sum(), length = BatchNorm.PartLength(channels);
        Dropout dropout = drop ? Dropout : default;
        float[] x = [.. Numbers.Random(rows * channels, 1, 2).Select((v, i) => v + 3 + (i / channels * 0.05f))],
            dy = Numbers.Random(rows * channels, 4);
        float[] gamma = [.. Numbers.Random(channels, 2).Select(v => v + 1.5f)], beta = Numbers.Random(channels, 3),
            before = Numbers.Random(channels, 5);

        // Each part has a tensor of its own, hence the first elements of the mask.
        double[] mask = [.. parts.SelectMany(
            count => Enumerable.Range(0, count * channels).Select(i => drop ? (double)dropout.Factor(i) : 1))];
        var reference = new BatchNormReference(rows, channels, relu, default);
        BatchNormReference.Pass pass = reference.Forward(x.Widen(), gamma.Widen(), beta.Widen());
        pass = pass with { Y = [.. pass.Y.Zip(mask, (y, m) => y * m)] };
        double[] behindMask = [.. dy.Zip(mask, (d, m) => d * m)];
        double[][] gradients = reference.Backward(pass, x.Widen(), gamma.Widen(), beta.Widen(), behindMask);

        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<float> scale = buffers.Of(gamma), shift = buffers.Of(beta), runningMean = buffers.Of(before),
                    runningVariance = buffers.Of(before);
                GuardedBuffer<float> mean = buffers.Output(channels), inverse = buffers.Output(channels);
                GuardedBuffer<float>[] inputs = [.. Split(x, parts, channels).Select(values => buffers.Of(values))];
                float[] moments = [.. inputs.SelectMany((input, i) =>
                {
                    GuardedBuffer<float> part = buffers.Output(length);
                    BatchNorm.Moments(team, parts[i], channels, input, part);
                    return part.Read();
                })];
                BatchNorm.Combine(parts.Length, channels, buffers.Of(moments), runningMean, runningVariance, mean, inverse);

                float[] y = [.. inputs.SelectMany((input, i) =>
                {
                    GuardedBuffer<float> output = buffers.Output(input.Length);
                    BatchNorm.Normalize(team, parts[i], channels, input, scale, shift, mean, inverse, output, relu, dropout);
                    return output.Read();
                })];

                GuardedBuffer<float>[] slopes = [.. Split(dy, parts, channels).Select(values => buffers.Of(values))];
                GuardedBuffer<float>[] outputs = [.. inputs.Select(input => buffers.Output(input.Length))];
                float[] dGamma = [.. before], dBeta = [.. before];
                float[] sums = [.. inputs.SelectMany((input, i) =>
                {
                    GuardedBuffer<float> part = buffers.Output(length), partGamma = buffers.Of(dGamma), partBeta = buffers.Of(dBeta);
                    BatchNorm.GradientSums(
                        team, parts[i], channels, input, scale, shift, mean, inverse, slopes[i], outputs[i], part, partGamma, partBeta,
                            relu, dropout);
                    (dGamma, dBeta) = (partGamma.Read(), partBeta.Read());
                    return part.Read();
                })];
                float[] dx = [.. inputs.SelectMany((input, i) =>
                {
                    BatchNorm.InputGradient(
                        team, parts.Length, parts[i], channels, input, scale, mean, inverse, buffers.Of(sums), slopes[i], outputs[i], relu,
                            dropout);
                    return outputs[i].Read();
                })];
                slopes.SelectMany(slope => slope.Read()).ToArray().ShouldBeTheSameBitsAs(dy, "dy must stay");
                return [y, runningMean.Read(), runningVariance.Read(), mean.Read(), inverse.Read(), dx, dGamma, dBeta, moments, sums];
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
                outputs[5].ShouldAgreeWith(gradients[0], Agreement.Backward, "dx");
                outputs[6].ShouldAgreeWith([.. before.Select((r, c) => r + gradients[1][c])], Agreement.Backward, "dγ");
                outputs[7].ShouldAgreeWith([.. before.Select((r, c) => r + gradients[2][c])], Agreement.Backward, "dβ");
                foreach ((int i, float[] part) in Split(x, parts, channels).Index())
                {
                    BatchNormReference.Pass own = new BatchNormReference(parts[i], channels, false, default)
                        .Forward(part.Widen(), gamma.Widen(), beta.Widen());
                    double[] expected = [.. own.Mean, .. own.Variance.Select(v => v * parts[i]), parts[i]];
                    outputs[8][(i * length)..((i + 1) * length)].ShouldAgreeWith(expected, Agreement.Forward, $"moments of part {i}");
                    outputs[9][((i + 1) * length) - 1].ShouldBe(parts[i]);
                }
            });
    }

    /// <summary>Parts that are far from 0 and not far from each other, and one row at the very mean.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void A_large_mean_does_not_cancel_the_variance(SimdLevel level)
    {
        int[] parts = [700, 1, 579];
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        float[] x = [.. Numbers.Random(parts.Sum(), 1).Select((v, i) => v + 1_000 + (i < 700 ? 0 : 0.5f))];
        float[] moments = [.. Split(x, parts, 1).SelectMany((values, i) =>
        {
            GuardedBuffer<float> part = buffers.Output(3);
            BatchNorm.Moments(team, parts[i], 1, buffers.Of(values), part);
            return part.Read();
        })];
        GuardedBuffer<float> inverse = buffers.Output(1);
        BatchNorm.Combine(parts.Length, 1, buffers.Of(moments), buffers.Of(0f), buffers.Of(0f), buffers.Output(1), inverse);
        double mean = x.Average(v => (double)v), variance = x.Average(v => (v - mean) * (v - mean));
        // The distance of two parts is that of two means in single precision, each a few times 6e-5 off at 1000; squares that cancelled
        // would be off by a tenth.
        inverse.Read().ShouldAgreeWith([1 / Math.Sqrt(variance + 1e-3)], 1e-4, "inverse deviation");
    }

    /// <summary>One part takes the steps that training on one replica takes in one walk each way.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void One_part_agrees_with_training_on_one_replica(SimdLevel level)
    {
        const int Rows = 130, Channels = 37;
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        float[] slopes = Numbers.Random(Rows * Channels, 2);
        GuardedBuffer<float> x = buffers.Of(Numbers.Random(Rows * Channels, 1)), gamma = buffers.Of(Numbers.Random(Channels, 3)),
            beta = buffers.Of(Numbers.Random(Channels, 4));
        float[][] Run(bool synchronised)
        {
            GuardedBuffer<float> mean = buffers.Output(Channels), inverse = buffers.Output(Channels),
                running = buffers.Of(new float[Channels]), spread = buffers.Of(new float[Channels]);
            GuardedBuffer<float> y = buffers.Output(x.Length), dx = buffers.Output(x.Length), dGamma = buffers.Of(new float[Channels]),
                dBeta = buffers.Of(new float[Channels]);
            GuardedBuffer<float> dy = buffers.Of(slopes), part = buffers.Output(BatchNorm.PartLength(Channels));
            if (synchronised)
            {
                BatchNorm.Moments(team, Rows, Channels, x, part);
                BatchNorm.Combine(1, Channels, part, running, spread, mean, inverse);
                BatchNorm.Normalize(team, Rows, Channels, x, gamma, beta, mean, inverse, y, relu: true, Dropout);
                BatchNorm.GradientSums(team, Rows, Channels, x, gamma, beta, mean, inverse, dy, dx, part, dGamma, dBeta, relu: true,
                    Dropout);
                BatchNorm.InputGradient(team, 1, Rows, Channels, x, gamma, mean, inverse, part, dy, dx, relu: true, Dropout);
            }
            else
            {
                BatchNorm.ForwardTraining(team, Rows, Channels, x, gamma, beta, running, spread, y, mean, inverse, relu: true, Dropout);
                BatchNorm.Backward(team, Rows, Channels, x, gamma, beta, mean, inverse, dy, dx, dGamma, dBeta, relu: true, Dropout);
            }

            return [y.Read(), dx.Read(), dGamma.Read(), dBeta.Read(), running.Read(), spread.Read()];
        }

        foreach ((int i, (float[] actual, float[] expected)) in Run(true).Zip(Run(false)).Index())
        {
            actual.ShouldAgreeWith(expected.Widen(), 1e-6, $"output {i}");
        }
    }

    private static IEnumerable<float[]> Split(float[] values, int[] parts, int channels)
    {
        int first = 0;
        foreach (int rows in parts)
        {
            yield return values[(first * channels)..((first + rows) * channels)];
            first += rows;
        }
    }
}
