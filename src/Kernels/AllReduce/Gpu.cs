using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// The hops of a ring all-reduce with halves on the wire; in single precision a hop is <see cref="Elementwise.Accumulate"/>. Where
/// "arriving" may be another GPU's memory, peer access is enabled.
/// </summary>
/// <remarks>
/// <para>Cost: 2 bytes read from the neighbour and 10 of own memory an element. Bound by the link: PCIe 4 x16 moves about 25 GB/s each way,
/// NVLink 4 to 450, the memory 1,000 to 3,000.</para>
/// <para>Access: 16 bytes a thread where the arrays are aligned, else element by element. Every element of arriving crosses the link
/// once.</para>
/// <para>Order: every element is computed by one thread from two numbers: no reduction, no atomics.</para>
/// </remarks>
internal sealed unsafe class AllReduce(KernelLibrary library)
{
    private readonly GpuKernel<Arguments> _addHalf = new(library, AddHalf);
    private readonly GpuKernel<Arguments> _takeHalf = new(library, TakeHalf);

    /// <summary>values += arriving; departing = values in half precision.</summary>
    /// <param name="arriving">[count], half; may be another GPU's memory.</param>
    /// <param name="values">[count], float, updated.</param>
    /// <param name="departing">Output: [count], half.</param>
    /// <param name="isLast">The sum is complete: values keep what departing was rounded to.</param>
    public void AddHalf(CudaStream stream, long count, nint arriving, nint values, nint departing, bool isLast)
    {
        if (count == 0)
        {
            return;
        }

        _addHalf.Launch(stream, LaunchSize.Groups(count, CudaType.Float16), new Arguments
        {
            Arriving = new(arriving, count),
            Values = new(values, count),
            Departing = new(departing, count),
            Count = count,
            IsLast = isLast ? 1 : 0,
            Aligned = LaunchSize.Aligned(arriving, values, departing),
        });
    }

    /// <summary>values = departing = arriving.</summary>
    /// <param name="arriving">[count], half; may be another GPU's memory.</param>
    /// <param name="values">Output: [count], float.</param>
    /// <param name="departing">Output: [count], half.</param>
    public void TakeHalf(CudaStream stream, long count, nint arriving, nint values, nint departing)
    {
        if (count == 0)
        {
            return;
        }

        _takeHalf.Launch(stream, LaunchSize.Groups(count, CudaType.Float16), new Arguments
        {
            Arriving = new(arriving, count),
            Values = new(values, count),
            Departing = new(departing, count),
            Count = count,
            Aligned = LaunchSize.Aligned(arriving, values, departing),
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void AddHalf(Arguments a)
    {
        for (long first = GpuThread.FirstItem * Eight.Lanes; first < a.Count; first += GpuThread.ItemStride * Eight.Lanes)
        {
            long available = a.Count - first;
            Eight addends = Float16.ReadGroup((byte*)a.Arriving.Start, first, available, a.Aligned);
            Eight sums = Eight.ReadFloats(a.Values.Start + first, available, a.Aligned) + addends;
            Float16.WriteGroup((byte*)a.Departing.Start, first, available, a.Aligned, sums);

            // At the last hop everybody keeps the sum as it was rounded for the wire.
            Eight.WriteFloats(a.Values.Start + first, available, a.Aligned, a.IsLast != 0 ? Eight.RoundToHalf(sums) : sums);
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void TakeHalf(Arguments a)
    {
        for (long first = GpuThread.FirstItem * Eight.Lanes; first < a.Count; first += GpuThread.ItemStride * Eight.Lanes)
        {
            long available = a.Count - first;
            Eight taken = Float16.ReadGroup((byte*)a.Arriving.Start, first, available, a.Aligned);
            Float16.WriteGroup((byte*)a.Departing.Start, first, available, a.Aligned, taken);
            Eight.WriteFloats(a.Values.Start + first, available, a.Aligned, taken);
        }
    }

    private struct Arguments
    {
        public GpuArray<ushort> Arriving;
        public GpuArray<float> Values;
        public GpuArray<ushort> Departing;
        public long Count;
        public int IsLast;
        public int Aligned;
    }
}
