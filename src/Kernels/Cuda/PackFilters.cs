using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Convolution filters as the model keeps them → KRSC as tensor-core convolutions read them, channels padded with zeros. Runs once for each layer.</summary>
public sealed class PackFilters(KernelLibrary library)
{
    private readonly TypedKernel _kernel = new(library, "pack_filters.cu", "pack_filters");

    /// <param name="stream">Where to queue.</param>
    /// <param name="filters">Number of filters k.</param>
    /// <param name="channels">Input channels c.</param>
    /// <param name="paddedChannels">Channels of the output, ≥ <paramref name="channels"/>.</param>
    /// <param name="weights">[k, c, 3, 3], float.</param>
    /// <param name="packed">Output: [k, 3, 3, paddedChannels] of <paramref name="type"/>.</param>
    /// <param name="type">Type of the output.</param>
    public void Run(CudaStream stream, int filters, int channels, int paddedChannels, nint weights, nint packed, CudaType type)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(paddedChannels, channels);
        long count = (long)filters * 9 * paddedChannels;
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(channels);
        arguments.Add(paddedChannels);
        arguments.Add(weights);
        arguments.Add(packed);
        _kernel[type].Launch(stream, LaunchSize.Strided(count), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
