using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>8-bit RGB frames → the layout of tensor-core convolutions: NHWC with <see cref="Channels"/> channels, of which the last five
/// are 0.</summary>
/// <remarks>
/// <para>Cost: 3 bytes read and 16 (half) or 32 (float) written a pixel, 6 FLOPs: bound by memory. Ten frames of 224×224 in half: 9.5
/// MB.</para>
/// <para>Access: a thread makes a pixel: a warp writes 512 bytes in one access and reads 96 neighbouring bytes, which the L1 cache turns
/// into whole sectors.</para>
/// <para>Order: every element is computed by one thread from one element: no reduction.</para>
/// </remarks>
internal sealed unsafe class NormalizeImage(KernelLibrary library)
{
    /// <summary>Channels of the output: three and padding, so that a pixel is a multiple of 16 bytes.</summary>
    public const int Channels = 8;

    private readonly TypedKernel<Arguments> _kernel = new(library, Run<Float32, Four>, Run<Float16, Eight>);

    /// <summary>Queues y = (rgb − mean)·scale per channel.</summary>
    /// <param name="height">Rows of an image.</param>
    /// <param name="width">Pixels of a row.</param>
    /// <param name="rgb">[images, height, width, 3] bytes, red first.</param>
    /// <param name="y">Output: [images, height, width, 8] of <paramref name="type"/>, aligned to 16 bytes.</param>
    /// <param name="type">Type of y.</param>
    /// <param name="mean">[3], in the order red, green, blue.</param>
    /// <param name="scale">[3], in the order red, green, blue.</param>
    /// <param name="blueFirst">Whether the output's channels are blue, green, red.</param>
    public void Run(CudaStream stream, int images, int height, int width, nint rgb, nint y, CudaType type, ReadOnlySpan<float> mean,
        ReadOnlySpan<float> scale, bool blueFirst)
    {
        long pixels = (long)images * height * width;
        if (pixels == 0)
        {
            return;
        }

        int red = blueFirst ? 2 : 0, blue = 2 - red;
        _kernel[type].Launch(stream, LaunchSize.Strided(pixels), new Arguments
        {
            Rgb = new(rgb, 3 * pixels),
            Y = new(y, Channels * pixels),
            Pixels = pixels,
            First = red,
            Mean0 = mean[red],
            Mean1 = mean[1],
            Mean2 = mean[blue],
            Scale0 = scale[red],
            Scale1 = scale[1],
            Scale2 = scale[blue],
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Run<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        for (long pixel = GpuThread.FirstItem; pixel < a.Pixels; pixel += GpuThread.ItemStride)
        {
            byte* from = a.Rgb.Start + (3 * pixel);
            float first = (from[a.First] - a.Mean0) * a.Scale0;
            float second = (from[1] - a.Mean1) * a.Scale1;
            float third = (from[2 - a.First] - a.Mean2) * a.Scale2;
            Four colours = Four.Of(first, second, third, 0), padding = Four.Splat(0);
            TElement.WriteEight(a.Y.Start, Channels * pixel, Eight.Of(colours, padding));
        }
    }

    private struct Arguments
    {
        public GpuArray<byte> Rgb;
        public GpuArray Y;
        public long Pixels;

        /// <summary>The place of the output's first channel among red, green and blue: 0 or 2.</summary>
        public int First;
        public float Mean0;
        public float Mean1;
        public float Mean2;
        public float Scale0;
        public float Scale1;
        public float Scale2;
    }
}
