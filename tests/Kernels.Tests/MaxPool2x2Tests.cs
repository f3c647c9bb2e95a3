using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class MaxPool2x2Tests
{
    public static TheoryData<SimdLevel, int> Teams => TestTeams.All;

    [Theory]
    [MemberData(nameof(Teams))]
    public void Pooling_and_flattening_agree_with_plain_loops(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        foreach ((int images, int channels, int height, int width) in ((int, int, int, int)[])[(1, 1, 2, 2), (2, 16, 5, 7), (3, 20, 8, 6),
            (1, 40, 1, 9), (2, 33, 14, 14)])
        {
            var random = new Random(channels);
            float[] values = [.. Enumerable.Range(0, images * channels * height * width).Select(_ => random.NextSingle() - 0.5f)];
            using var input = new GuardedBuffer<float>(ConvReference.ToLayout(images, channels, height, width, values));
            using var pooled = new GuardedBuffer<float>((int)ConvLayout.ElementCount(images, channels, height / 2, width / 2));
            using var flat = new GuardedBuffer<float>(images * channels * (height / 2) * (width / 2));
            using var whole = new GuardedBuffer<float>(values.Length);
            MaxPool2x2.Run(team, images, channels, height, width, input, pooled);
            ConvFlatten.Run(team, images, channels, height / 2, width / 2, pooled, flat);
            ConvFlatten.Run(team, images, channels, height, width, input, whole);
            double[] expected = ConvReference.MaxPool(images * channels, height, width, [.. values.Select(x => (double)x)]);
            flat.Span.ToArray().ShouldBe(expected.Select(x => (float)x));
            whole.Span.ToArray().ShouldBe(values);
        }
    }
}
