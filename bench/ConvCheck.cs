using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>Small convolutions against plain double-precision loops: what is timed afterwards must be right.</summary>
internal static unsafe class ConvCheck
{
    /// <exception cref="InvalidOperationException">A relative error above 3e-6.</exception>
    public static void Run(ThreadTeam team)
    {
        foreach ((int inChannels, int outChannels, int size) in ((int, int, int)[])[(3, 64, 20), (64, 64, 18), (96, 48, 14)])
        {
            double error = RelativeError(team, inChannels, outChannels, size);
            Console.WriteLine($"check: convolution {inChannels} to {outChannels} channels, {size}x{size}: relative error {error:E1}");
            if (!(error < 3e-6))
            {
                throw new InvalidOperationException("Wrong result; not worth timing.");
            }
        }
    }

    private static double RelativeError(ThreadTeam team, int inChannels, int outChannels, int size)
    {
        using NativeArray filters = NativeArray.Random((long)outChannels * inChannels * 9, 1);
        using NativeArray bias = NativeArray.Random(outChannels, 2);
        using var input = new NativeArray(ConvLayout.ElementCount(1, inChannels, size, size));
        using var output = new NativeArray(ConvLayout.ElementCount(1, outChannels, size, size));
        using var prepared = new NativeArray(Conv3x3.WeightElementCount(team.Level, outChannels, inChannels));
        using var flat = new NativeArray((long)outChannels * size * size);
        float[,,] image = new float[inChannels, size + 2, size + 2];
        var random = new Random(3);
        new Span<float>(input.Pointer, (int)input.Length).Clear();
        for (int c = 0; c < inChannels; c++)
        {
            for (int y = 0; y < size; y++)
            {
                for (int x = 0; x < size; x++)
                {
                    image[c, y + 1, x + 1] = random.NextSingle();
                    int index = inChannels == ConvLayout.ImageChannels
                        ? ((((y + 1) * (size + 2)) + x + 1) * 3) + c
                        : (((((c / 16) * size) + y) * size) + x) * 16 + (c % 16);
                    input.Pointer[index] = image[c, y + 1, x + 1];
                }
            }
        }

        Conv3x3.Prepare(team, outChannels, inChannels, filters.Pointer, prepared.Pointer);
        Conv3x3.Run(team, 1, inChannels, size, size, outChannels, input.Pointer, prepared.Pointer, bias.Pointer, output.Pointer);
        ConvFlatten.Run(team, 1, outChannels, size, size, output.Pointer, flat.Pointer);
        double difference = 0;
        double norm = 0;
        for (int o = 0; o < outChannels; o++)
        {
            for (int pixel = 0; pixel < size * size; pixel++)
            {
                double sum = bias.Pointer[o];
                for (int i = 0; i < inChannels * 9; i++)
                {
                    sum += (double)image[i / 9, (pixel / size) + (i % 9 / 3), (pixel % size) + (i % 3)] * filters.Pointer[(o * inChannels * 9) + i];
                }

                double expected = Math.Max(0, sum);
                difference += Math.Pow(flat.Pointer[(o * size * size) + pixel] - expected, 2);
                norm += expected * expected;
            }
        }

        return Math.Sqrt(difference / norm);
    }
}
