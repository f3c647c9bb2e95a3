using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Sums, conversions and strided copies.</summary>
/// <remarks>
/// <para>Cost: a sum reads two arrays and writes one; conversions and copies read one and write one. At most 1 FLOP an element: bound by
/// memory.</para>
/// <para>Access: 16 bytes a thread (conversions: 16 on the half side, 32 on the float side) where everything is aligned, else element by
/// element.</para>
/// <para>Order: every element is computed by one thread: no reduction.</para>
/// </remarks>
internal sealed unsafe class Elementwise(KernelLibrary library)
{
    private readonly TypedKernel<Arguments> _accumulate = new(library, Accumulate<Float32, Four>, Accumulate<Float16, Eight>);
    private readonly GpuKernel<Arguments> _toHalf = new(library, ToHalf);
    private readonly GpuKernel<Arguments> _toSingle = new(library, ToSingle);
    private readonly TypedKernel<CopyArguments> _copyRows = new(library, CopyRows<Float32, Four>, CopyRows<Float16, Eight>);

    /// <summary>y += x.</summary>
    /// <param name="x">[count] of <paramref name="type"/>.</param>
    /// <param name="y">[count] of <paramref name="type"/>, updated.</param>
    /// <param name="type">Type of both; the sum is rounded to it.</param>
    public void Accumulate(CudaStream stream, long count, nint x, nint y, CudaType type)
    {
        if (count != 0)
        {
            _accumulate[type].Launch(stream, LaunchSize.Groups(count, type), Arguments.Of(count, x, LaunchSize.BytesOf(type), y,
                LaunchSize.BytesOf(type)));
        }
    }

    /// <summary>y = x converted; to half precision rounds to nearest even, and what is too large becomes infinite.</summary>
    /// <param name="x">[count].</param>
    /// <param name="xType">Type of x.</param>
    /// <param name="y">Output: [count].</param>
    /// <param name="yType">Type of y.</param>
    public void Cast(CudaStream stream, long count, nint x, CudaType xType, nint y, CudaType yType)
    {
        if (count == 0)
        {
            return;
        }

        if (xType == yType)
        {
            stream.CopyOnDevice(x, y, count * LaunchSize.BytesOf(xType));
            return;
        }

        (xType == CudaType.Float32 ? _toHalf : _toSingle).Launch(
            stream, LaunchSize.Groups(count, CudaType.Float16), Arguments.Of(count, x, LaunchSize.BytesOf(xType), y,
            LaunchSize.BytesOf(yType)));
    }

    /// <summary>Copies, or adds, a rectangle between matrices with different row lengths.</summary>
    /// <param name="rows">Rows of the rectangle.</param>
    /// <param name="columns">Elements of its rows.</param>
    /// <param name="source">Address of the first element.</param>
    /// <param name="sourceStride">Elements from row to row.</param>
    /// <param name="destination">Address of the first element; the rectangles must not overlap.</param>
    /// <param name="destinationStride">Elements from row to row.</param>
    /// <param name="accumulate">Adds to the destination instead of overwriting it.</param>
    /// <param name="type">Type of both.</param>
    public void CopyRows(CudaStream stream, long rows, int columns, nint source, long sourceStride, nint destination,
        long destinationStride, bool accumulate, CudaType type)
    {
        if (rows * columns == 0)
        {
            return;
        }

        int lanes = LaunchSize.Lanes(type);
        bool whole = sourceStride % lanes == 0 && destinationStride % lanes == 0;
        _copyRows[type].Launch(stream, LaunchSize.Strided(rows * LaunchSize.DivideUp(columns, lanes)), new CopyArguments
        {
            Source = new(source, ((rows - 1) * sourceStride) + columns),
            Destination = new(destination, ((rows - 1) * destinationStride) + columns),
            Rows = rows,
            SourceStride = sourceStride,
            DestinationStride = destinationStride,
            Columns = columns,
            Accumulates = accumulate ? 1 : 0,
            Aligned = whole ? LaunchSize.Aligned(source, destination) : 0,
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Accumulate<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        for (long first = GpuThread.FirstItem * TGroup.Lanes; first < a.Count; first += GpuThread.ItemStride * TGroup.Lanes)
        {
            TGroup terms = TElement.ReadGroup(a.X.Start, first, a.Count - first, a.Aligned);
            TGroup sums = TElement.ReadGroup(a.Y.Start, first, a.Count - first, a.Aligned);
            TElement.WriteGroup(a.Y.Start, first, a.Count - first, a.Aligned, sums + terms);
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void ToHalf(Arguments a)
    {
        for (long first = GpuThread.FirstItem * Eight.Lanes; first < a.Count; first += GpuThread.ItemStride * Eight.Lanes)
        {
            Eight values = Eight.ReadFloats((float*)a.X.Start + first, a.Count - first, a.Aligned);
            Float16.WriteGroup(a.Y.Start, first, a.Count - first, a.Aligned, values);
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void ToSingle(Arguments a)
    {
        for (long first = GpuThread.FirstItem * Eight.Lanes; first < a.Count; first += GpuThread.ItemStride * Eight.Lanes)
        {
            Eight values = Float16.ReadGroup(a.X.Start, first, a.Count - first, a.Aligned);
            Eight.WriteFloats((float*)a.Y.Start + first, a.Count - first, a.Aligned, values);
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void CopyRows<TElement, TGroup>(CopyArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Columns + TGroup.Lanes - 1) / TGroup.Lanes;
        for (long index = GpuThread.FirstItem; index < a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups);
            int column = (int)(index - (row * groups)) * TGroup.Lanes, available = a.Columns - column;
            long to = (row * a.DestinationStride) + column;
            TGroup values = TElement.ReadGroup(a.Source.Start, (row * a.SourceStride) + column, available, a.Aligned);
            if (a.Accumulates != 0)
            {
                values += TElement.ReadGroup(a.Destination.Start, to, available, a.Aligned);
            }

            TElement.WriteGroup(a.Destination.Start, to, available, a.Aligned, values);
        }
    }

    private struct Arguments
    {
        /// <summary>The source, as bytes: a conversion's arrays are of two types.</summary>
        public GpuArray<byte> X;
        public GpuArray<byte> Y;
        public long Count;
        public int Aligned;

        public static Arguments Of(long count, nint x, int bytesOfX, nint y, int bytesOfY) => new()
        {
            X = new(x, count * bytesOfX),
            Y = new(y, count * bytesOfY),
            Count = count,
            Aligned = LaunchSize.Aligned(x, y),
        };
    }

    private struct CopyArguments
    {
        public GpuArray Source;
        public GpuArray Destination;
        public long Rows;
        public long SourceStride;
        public long DestinationStride;
        public int Columns;
        public int Accumulates;
        public int Aligned;
    }
}
