using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>NHWC → [n, c·h·w] in the order channel, row, column, as a dense layer behind convolutions reads it.</summary>
public sealed class ConvFlatten(KernelLibrary library)
{
    private const int Tile = 32;
    private const int TileRows = 8;

    private readonly TypedKernel _kernel = new(library, "conv_flatten.cu", "conv_flatten");

    /// <param name="stream">Where to queue.</param>
    /// <param name="images">Number of images.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="x">[images, height, width, channels].</param>
    /// <param name="y">Output: [images, channels, height, width]; must not overlap x.</param>
    /// <param name="type">Type of x and y.</param>
    public void Run(CudaStream stream, int images, int channels, int height, int width, nint x, nint y, CudaType type)
    {
        long pixels = (long)height * width;
        long tiles = images * LaunchSize.DivideUp(pixels, Tile) * LaunchSize.DivideUp(channels, Tile);
        if (tiles == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(tiles);
        arguments.Add(channels);
        arguments.Add(checked((int)pixels));
        arguments.Add(x);
        arguments.Add(y);
        _kernel[type].Launch(stream, LaunchSize.Strided(tiles, 1), new Grid(Tile, TileRows), 0, arguments);
    }
}
