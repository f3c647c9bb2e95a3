using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Convolution filters as the model keeps them → KRSC as tensor-core convolutions read them, channels padded with zeros:
/// packed[k, tap, c] = weights[k, c, tap].</summary>
/// <remarks>
/// <para>Cost: each element read and written once, no FLOPs. Runs once for each layer when weights are loaded, so reads are simply strided
/// by 9; writes are whole lines.</para>
/// <para>Order: moves elements only.</para>
/// </remarks>
internal sealed unsafe class PackFilters(KernelLibrary library)
{
    private const int Taps = 9;

    private readonly TypedKernel<Arguments> _kernel = new(library, Run<Float32, Four>, Run<Float16, Eight>);

    /// <param name="filters">Number of filters k.</param>
    /// <param name="channels">Input channels c.</param>
    /// <param name="paddedChannels">Channels of the output, ≥ <paramref name="channels"/>.</param>
    /// <param name="weights">[k, c, 3, 3], float.</param>
    /// <param name="packed">Output: [k, 3, 3, paddedChannels] of <paramref name="type"/>.</param>
    /// <param name="type">Type of the output.</param>
    public void Run(CudaStream stream, int filters, int channels, int paddedChannels, nint weights, nint packed, CudaType type)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(paddedChannels, channels);
        long count = (long)filters * Taps * paddedChannels;
        if (count == 0)
        {
            return;
        }

        _kernel[type].Launch(stream, LaunchSize.Strided(count), new Arguments
        {
            Weights = new(weights, (long)filters * channels * Taps),
            Packed = new(packed, count),
            Count = count,
            Channels = channels,
            Padded = paddedChannels,
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Run<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        for (long index = GpuThread.FirstItem; index < a.Count; index += GpuThread.ItemStride)
        {
            long place = GpuMath.Quotient(index, a.Padded), filter = GpuMath.Quotient(place, Taps);
            int channel = (int)(index - (place * a.Padded)), tap = (int)(place - (filter * Taps));
            float value = channel < a.Channels ? a.Weights.Start[(((filter * a.Channels) + channel) * Taps) + tap] : 0;
            TElement.Write(a.Packed.Start, index, value);
        }
    }

    private struct Arguments
    {
        public GpuArray<float> Weights;
        public GpuArray Packed;
        public long Count;
        public int Channels;
        public int Padded;
    }
}
