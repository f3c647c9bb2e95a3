using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Plain double-precision convolution on [n, c, h, w], and conversions to and from the kernels' layouts.</summary>
internal static class ConvReference
{
    public static double[] Conv3x3(
        int images, int inChannels, int height, int width, int outChannels, float[] input, float[] weights, float[] bias, bool relu,
        bool pool)
    {
        double[] output = new double[images * outChannels * height * width];
        for (int n = 0; n < images; n++)
        {
            for (int o = 0; o < outChannels; o++)
            {
                for (int y = 0; y < height; y++)
                {
                    for (int x = 0; x < width; x++)
                    {
                        double sum = bias[o];
                        for (int c = 0; c < inChannels; c++)
                        {
                            for (int i = Math.Max(0, 1 - y); i < Math.Min(3, height + 1 - y); i++)
                            {
                                for (int j = Math.Max(0, 1 - x); j < Math.Min(3, width + 1 - x); j++)
                                {
                                    sum += (double)input[(((((n * inChannels) + c) * height) + y + i - 1) * width) + x + j - 1]
                                        * weights[(((o * inChannels) + c) * 9) + (i * 3) + j];
                                }
                            }
                        }

                        output[(((((n * outChannels) + o) * height) + y) * width) + x] = relu ? Math.Max(0, sum) : sum;
                    }
                }
            }
        }

        return pool ? MaxPool(images * outChannels, height, width, output) : output;
    }

    public static double[] MaxPool(int planes, int height, int width, double[] input)
    {
        (int h, int w) = (height / 2, width / 2);
        double[] output = new double[planes * h * w];
        for (int plane = 0; plane < planes; plane++)
        {
            for (int y = 0; y < h; y++)
            {
                for (int x = 0; x < w; x++)
                {
                    int corner = (((plane * height) + (2 * y)) * width) + (2 * x);
                    output[(((plane * h) + y) * w) + x] = Math.Max(
                        Math.Max(input[corner], input[corner + 1]), Math.Max(input[corner + width], input[corner + width + 1]));
                }
            }
        }

        return output;
    }

    /// <summary>[n, c, h, w] → the layout of <see cref="ConvLayout"/>. What no kernel may use is NaN.</summary>
    public static float[] ToLayout(int images, int channels, int height, int width, float[] values)
    {
        float[] result = new float[ConvLayout.ElementCount(images, channels, height, width)];
        result.AsSpan().Fill(float.NaN);
        if (channels == ConvLayout.ImageChannels)
        {
            result.AsSpan(0, images * (height + 2) * (width + 2) * channels).Clear();
        }

        for (int n = 0; n < images; n++)
        {
            for (int c = 0; c < channels; c++)
            {
                for (int y = 0; y < height; y++)
                {
                    for (int x = 0; x < width; x++)
                    {
                        result[Index(channels, height, width, n, c, y, x)] = values[(((((n * channels) + c) * height) + y) * width) + x];
                    }
                }
            }
        }

        return result;
    }

    public static float[] FromLayout(int images, int channels, int height, int width, ReadOnlySpan<float> blocked)
    {
        float[] result = new float[images * channels * height * width];
        for (int i = 0; i < result.Length; i++)
        {
            int x = i % width;
            int y = i / width % height;
            int c = i / (width * height) % channels;
            int n = i / (width * height * channels);
            result[i] = blocked[Index(channels, height, width, n, c, y, x)];
        }

        return result;
    }

    private static int Index(int channels, int height, int width, int n, int c, int y, int x)
    {
        if (channels == ConvLayout.ImageChannels)
        {
            return (((((n * (height + 2)) + y + 1) * (width + 2)) + x + 1) * channels) + c;
        }

        int blocks = (channels + 15) / 16;
        return (((((((n * blocks) + (c / 16)) * height) + y) * width) + x) * 16) + (c % 16);
    }
}
