using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>NHWC → [n, c·h·w] in the order channel, row, column, as a dense layer behind convolutions reads it: y[n, c, p] = x[n, p,
/// c].</summary>
/// <remarks>
/// <para>Cost: each element read and written once, no FLOPs: bound by memory. VGG19's last map, ten frames of 7×7×512 in half: 1 MB.</para>
/// <para>Access: 32×32 tiles through shared memory (a column of padding keeps the banks apart): both sides touch neighbouring elements. A
/// warp has a row.</para>
/// <para>Order: moves elements only.</para>
/// </remarks>
internal sealed unsafe class ConvFlatten(KernelLibrary library)
{
    private const int Tile = 32;
    private const int TileStride = Tile + 1;
    private const int Threads = 256;
    private const int Warps = Threads / GpuThread.WarpSize;

    private readonly TypedKernel<Arguments> _kernel = new(library, Run<Float32, Four>, Run<Float16, Eight>);

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

        long count = images * pixels * channels;
        _kernel[type].Launch(stream, LaunchSize.Strided(tiles, 1), new Arguments
        {
            X = new(x, count),
            Y = new(y, count),
            Tiles = tiles,
            Channels = channels,
            Pixels = checked((int)pixels),
        });
    }

    [GpuKernel(Threads)]
    private static void Run<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<float> tile = SharedMemory.Allocate<float>(Tile * TileStride);
        int across = (a.Channels + Tile - 1) / Tile, down = (a.Pixels + Tile - 1) / Tile;
        for (long index = GpuThread.Block; index < a.Tiles; index += GpuThread.Blocks)
        {
            long row = GpuMath.Quotient(index, across), image = GpuMath.Quotient(row, down), first = image * a.Pixels * a.Channels;
            int channel = (int)(index - (row * across)) * Tile, pixel = (int)(row - (image * down)) * Tile;
            for (int i = GpuThread.Warp; i < Tile; i += Warps)
            {
                if (pixel + i < a.Pixels && channel + GpuThread.Lane < a.Channels)
                {
                    tile[(i * TileStride) + GpuThread.Lane] = TElement.Read(a.X.Start,
                        first + ((long)(pixel + i) * a.Channels) + channel + GpuThread.Lane);
                }
            }

            GpuThread.Barrier();
            for (int i = GpuThread.Warp; i < Tile; i += Warps)
            {
                if (channel + i < a.Channels && pixel + GpuThread.Lane < a.Pixels)
                {
                    TElement.Write(a.Y.Start, first + ((long)(channel + i) * a.Pixels) + pixel + GpuThread.Lane,
                        tile[(GpuThread.Lane * TileStride) + i]);
                }
            }

            GpuThread.Barrier();
        }
    }

    private struct Arguments
    {
        public GpuArray X;
        public GpuArray Y;
        public long Tiles;
        public int Channels;
        public int Pixels;
    }
}
