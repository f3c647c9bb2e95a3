using CudaTrainer.Engine.Checks;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Kernels;

/// <summary>What VGG19 does to frames before fc1: each distinct convolution, and what stands between them.</summary>
internal static unsafe class ConvKernels
{
    /// <summary>As many as the backbone runs together.</summary>
    private const int Images = 10;

    private const int Samples = 300;

    /// <summary>The error of Winograd's transforms in float is about 1.2e-6 (docs/kernels.md).</summary>
    private const double Tolerance = 3e-6;

    public static IEnumerable<KernelCase> All =>
    [
        new KernelCase($"normalise {ConvLayer.ImageSize}", new Work(0, Pixels(3, ConvLayer.ImageSize), 4 * Pixels(3, ConvLayer.ImageSize)),
            PrepareNormalize),
        .. ConvLayer.Vgg19.Distinct().Select(layer => new KernelCase(
            $"conv {layer.InChannels}x{layer.OutChannels} {layer.Size}{(layer.Pool ? " pool" : string.Empty)}",
            new Work(Images * layer.Operations, 4 * Pixels(layer.InChannels, layer.Size),
                4 * Pixels(layer.OutChannels, layer.OutSize)) { Executed = Images * layer.Executed },
            threads => PrepareConvolution(layer, threads))),
        new KernelCase("max pool 64 224", new Work(0, 4 * Pixels(64, 224), 4 * Pixels(64, 112)),
            threads => PrepareMaxPool(64, 224, threads)),
        new KernelCase("flatten 512 7", new Work(0, 4 * Pixels(512, 7), 4 * Pixels(512, 7)), threads => PrepareFlatten(512, 7, threads)),
    ];

    private static double Pixels(int channels, int size) => (double)Images * channels * size * size;

    private static PreparedKernel PrepareConvolution(ConvLayer layer, int threads)
    {
        (int inputs, int outputs, int size, bool pool) = layer;
        var team = new ThreadTeam(threads);
        NativeArray filters = NativeArray.Random((long)outputs * inputs * 9, 1, (float)Math.Sqrt(6.0 / (inputs * 9))),
            bias = NativeArray.Random(outputs, 2);
        NativeArray input = NativeArray.Random(ConvLayout.ElementCount(Images, inputs, size, size), 3);
        NativeArray output = new(ConvLayout.ElementCount(Images, outputs, layer.OutSize, layer.OutSize)),
            prepared = new(Conv3x3.WeightElementCount(team.Level, outputs, inputs));
        if (inputs == ConvLayout.ImageChannels)
        {
            ClearBorder(input.Pointer, size);
        }

        Conv3x3.Prepare(team, outputs, inputs, filters.Pointer, prepared.Pointer);
        return new PreparedKernel(Run, Check, team, filters, bias, input, output, prepared);

        void Run() => Conv3x3.Run(team, Images, inputs, size, size, outputs, input.Pointer, prepared.Pointer, bias.Pointer, output.Pointer,
            Activation.Relu, pool);

        void Check()
        {
            Run();
            double[] actual = new double[Samples], expected = new double[Samples];
            int scale = pool ? 2 : 1;
            foreach ((int sample, (int Image, int Channel, int Y, int X) place) in Places(outputs, layer.OutSize).Index())
            {
                (int image, int channel, int y, int x) = place;
                actual[sample] = output.Pointer[Blocked(outputs, layer.OutSize, image, channel, y, x)];
                for (int i = 0; i < scale * scale; i++)
                {
                    double sum = bias.Pointer[channel]
                        + Window(input.Pointer, filters.Pointer, layer, image, channel, (y * scale) + (i / scale),
                        (x * scale) + (i % scale));
                    expected[sample] = Math.Max(expected[sample], sum);
                }
            }

            WrongResultException.ThrowIfAbove("the output", GradientCheck.RelativeError(actual, expected), Tolerance);
        }
    }

    private static double Window(float* input, float* filters, ConvLayer layer, int image, int channel, int y, int x)
    {
        double sum = 0;
        for (int c = 0; c < layer.InChannels; c++)
        {
            for (int i = 0; i < 9; i++)
            {
                int row = y + (i / 3) - 1, column = x + (i % 3) - 1;
                if (row >= 0 && row < layer.Size && column >= 0 && column < layer.Size)
                {
                    long at = layer.InChannels == ConvLayout.ImageChannels
                        ? Bordered(layer.Size, image, c, row, column)
                        : Blocked(layer.InChannels, layer.Size, image, c, row, column);
                    sum += (double)input[at] * filters[(((channel * layer.InChannels) + c) * 9) + i];
                }
            }
        }

        return sum;
    }

    private static PreparedKernel PrepareNormalize(int threads)
    {
        const int size = ConvLayer.ImageSize;
        float[] scale = [1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f)];
        float[] shift = [-0.485f / 0.229f, -0.456f / 0.224f, -0.406f / 0.225f];
        byte[] frames = GC.AllocateUninitializedArray<byte>(Images * size * size * 3, pinned: true);
        new Random(1).NextBytes(frames);
        var team = new ThreadTeam(threads);
        NativeArray output = new(ConvLayout.ElementCount(Images, 3, size, size));
        return new PreparedKernel(Run, Check, team, output);

        void Run()
        {
            fixed (byte* source = frames)
            {
                NormalizeImage.Run(team, Images, size, size, source, scale, shift, false, output.Pointer);
            }
        }

        void Check()
        {
            Run();
            double[] actual = new double[frames.Length], expected = new double[frames.Length];
            for (int i = 0; i < frames.Length; i++)
            {
                int channel = i % 3, x = i / 3 % size, y = i / 3 / size % size, image = i / 3 / size / size;
                actual[i] = output.Pointer[Bordered(size, image, channel, y, x)];
                expected[i] = ((double)frames[i] * scale[channel]) + shift[channel];
            }

            WrongResultException.ThrowIfAbove("the output", GradientCheck.RelativeError(actual, expected), 1e-6);
            using var cleared = new NativeArray(output.Length);
            Buffer.MemoryCopy(output.Pointer, cleared.Pointer, 4 * cleared.Length, 4 * (output.Length - 16));
            ClearBorder(cleared.Pointer, size);
            if (!new ReadOnlySpan<float>(cleared.Pointer, (int)output.Length - 16)
                .SequenceEqual(new ReadOnlySpan<float>(output.Pointer, (int)output.Length - 16)))
            {
                throw new WrongResultException("The border of normalised frames is not zero.");
            }
        }
    }

    private static PreparedKernel PrepareMaxPool(int channels, int size, int threads)
    {
        var team = new ThreadTeam(threads);
        NativeArray input = NativeArray.Random(ConvLayout.ElementCount(Images, channels, size, size), 1),
            output = new(ConvLayout.ElementCount(Images, channels, size / 2, size / 2));
        return new PreparedKernel(Run, Check, team, input, output);

        void Run() => MaxPool2x2.Run(team, Images, channels, size, size, input.Pointer, output.Pointer);

        void Check()
        {
            Run();
            foreach ((int image, int channel, int y, int x) in Places(channels, size / 2))
            {
                float expected = float.NegativeInfinity;
                for (int i = 0; i < 4; i++)
                {
                    expected = Math.Max(expected,
                        input.Pointer[Blocked(channels, size, image, channel, (2 * y) + (i / 2), (2 * x) + (i % 2))]);
                }

                RequireSame("a pooled maximum", output.Pointer[Blocked(channels, size / 2, image, channel, y, x)], expected);
            }
        }
    }

    private static PreparedKernel PrepareFlatten(int channels, int size, int threads)
    {
        var team = new ThreadTeam(threads);
        NativeArray input = NativeArray.Random(ConvLayout.ElementCount(Images, channels, size, size), 1),
            output = new((long)Images * channels * size * size);
        return new PreparedKernel(Run, Check, team, input, output);

        void Run() => ConvFlatten.Run(team, Images, channels, size, size, input.Pointer, output.Pointer);

        void Check()
        {
            Run();
            foreach ((int image, int channel, int y, int x) in Places(channels, size))
            {
                float actual = output.Pointer[(((((long)image * channels) + channel) * size) + y) * size + x];
                RequireSame("a flattened element", actual, input.Pointer[Blocked(channels, size, image, channel, y, x)]);
            }
        }
    }

    private static void RequireSame(string what, float actual, float expected)
    {
        if (actual != expected)
        {
            throw new WrongResultException($"{what} is {actual:R}, not {expected:R}.");
        }
    }

    /// <summary>Places in a result: the first and the last, and others at random, so that no member's share is left out.</summary>
    private static IEnumerable<(int Image, int Channel, int Y, int X)> Places(int channels, int size)
    {
        yield return (0, 0, 0, 0);
        yield return (Images - 1, channels - 1, size - 1, size - 1);
        var random = new Random(4);
        for (int i = 2; i < Samples; i++)
        {
            yield return (random.Next(Images), random.Next(channels), random.Next(size), random.Next(size));
        }
    }

    /// <summary>Index of an element in [n][channels/16][h][w][16].</summary>
    private static long Blocked(int channels, int size, int image, int channel, int y, int x)
    {
        const int block = ConvLayout.ChannelBlock;
        return ((((((long)image * channels / block) + (channel / block)) * size) + y) * size + x) * block + (channel % block);
    }

    /// <summary>Index of an element in [n][h + 2][w + 2][3].</summary>
    private static long Bordered(int size, int image, int channel, int y, int x) =>
        (((((long)image * (size + 2)) + y + 1) * (size + 2)) + x + 1) * 3 + channel;

    private static void ClearBorder(float* images, int size)
    {
        for (int image = 0; image < Images; image++)
        {
            for (int i = -1; i <= size; i++)
            {
                for (int channel = 0; channel < 3; channel++)
                {
                    images[Bordered(size, image, channel, -1, i)] = images[Bordered(size, image, channel, size, i)] = 0;
                    images[Bordered(size, image, channel, i, -1)] = images[Bordered(size, image, channel, i, size)] = 0;
                }
            }
        }
    }
}
