using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>8-bit RGB frames → the layout of tensor-core convolutions: NHWC with <see cref="Channels"/> channels, of which the last five are 0.</summary>
public sealed class NormalizeImage(KernelLibrary library)
{
    /// <summary>Channels of the output: three and padding, so that a pixel is a multiple of 16 bytes.</summary>
    public const int Channels = 8;

    private readonly TypedKernel _kernel = new(library, "normalize_image.cu", "normalize_image");

    /// <summary>Queues y = (rgb − mean)·scale per channel.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="images">Number of images.</param>
    /// <param name="height">Rows of an image.</param>
    /// <param name="width">Pixels of a row.</param>
    /// <param name="rgb">[images, height, width, 3] bytes, red first.</param>
    /// <param name="y">Output: [images, height, width, 8] of <paramref name="type"/>, aligned to 16 bytes.</param>
    /// <param name="type">Type of y.</param>
    /// <param name="mean">[3], in the order red, green, blue.</param>
    /// <param name="scale">[3], in the order red, green, blue.</param>
    /// <param name="blueFirst">Whether the output's channels are blue, green, red.</param>
    public void Run(CudaStream stream, int images, int height, int width, nint rgb, nint y, CudaType type, ReadOnlySpan<float> mean, ReadOnlySpan<float> scale, bool blueFirst)
    {
        long pixels = (long)images * height * width;
        if (pixels == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(pixels);
        arguments.Add(rgb);
        arguments.Add(y);
        arguments.Add(blueFirst ? 1 : 0);
        for (int channel = 0; channel < 3; channel++)
        {
            int source = blueFirst ? 2 - channel : channel;
            arguments.Add(mean[source]);
            arguments.Add(scale[source]);
        }

        _kernel[type].Launch(stream, LaunchSize.Strided(pixels), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
