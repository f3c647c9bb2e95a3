using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class NormalizeImageTests
{
    public static TheoryData<SimdLevel, int> Teams => TestTeams.All;

    [Theory]
    [MemberData(nameof(Teams))]
    public void Scales_shifts_orders_and_borders(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        float[] scale = [0.25f, 2, -1];
        float[] shift = [-3, 0.5f, 100];
        foreach ((int images, int height, int width) in ((int, int, int)[])[(1, 1, 1), (2, 3, 5), (1, 7, 4)])
        {
            byte[] pixels = new byte[images * height * width * 3];
            new Random(width).NextBytes(pixels);
            using var source = new GuardedBuffer<byte>(pixels);
            foreach (bool blueFirst in (bool[])[false, true])
            {
                using var output = new GuardedBuffer<float>((int)ConvLayout.ElementCount(images, 3, height, width));
                NormalizeImage.Run(team, images, height, width, source, scale, shift, blueFirst, output);
                float[] expected = [.. Enumerable.Range(0, images * 3 * height * width).Select(i =>
                {
                    int pixel = i % (height * width);
                    int channel = i / (height * width) % 3;
                    int image = i / (height * width * 3);
                    byte value = pixels[(((image * height * width) + pixel) * 3) + (blueFirst ? 2 - channel : channel)];
                    return (value * scale[channel]) + shift[channel];
                })];
                int used = images * (height + 2) * (width + 2) * 3;
                output.Span[..used].ToArray().ShouldBe(ConvReference.ToLayout(images, 3, height, width, expected)[..used]);
            }
        }
    }
}
