using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Sums, conversions and strided copies.</summary>
public sealed class Elementwise(KernelLibrary library)
{
    private readonly TypedKernel _accumulate = new(library, "elementwise.cu", "accumulate");
    private readonly SingleKernel _toHalf = new(library, "elementwise.cu", "cast_f32_f16");
    private readonly SingleKernel _toSingle = new(library, "elementwise.cu", "cast_f16_f32");
    private readonly TypedKernel _copyRows = new(library, "elementwise.cu", "copy_rows");

    /// <summary>y += x.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="x">[count] of <paramref name="type"/>.</param>
    /// <param name="y">[count] of <paramref name="type"/>, updated.</param>
    /// <param name="type">Type of both; the sum is rounded to it.</param>
    public void Accumulate(CudaStream stream, long count, nint x, nint y, CudaType type)
    {
        if (count != 0)
        {
            Queue(stream, _accumulate[type], count, x, y, LaunchSize.Lanes(type));
        }
    }

    /// <summary>y = x converted; to half precision rounds to nearest even, and what is too large becomes infinite.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
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

        Queue(stream, (xType == CudaType.Float32 ? _toHalf : _toSingle).Value, count, x, y, LaunchSize.Lanes(CudaType.Float16));
    }

    /// <summary>Copies, or adds, a rectangle between matrices with different row lengths.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Rows of the rectangle.</param>
    /// <param name="columns">Elements of its rows.</param>
    /// <param name="source">Address of the first element.</param>
    /// <param name="sourceStride">Elements from row to row.</param>
    /// <param name="destination">Address of the first element; the rectangles must not overlap.</param>
    /// <param name="destinationStride">Elements from row to row.</param>
    /// <param name="accumulate">Adds to the destination instead of overwriting it.</param>
    /// <param name="type">Type of both.</param>
    public void CopyRows(CudaStream stream, long rows, int columns, nint source, long sourceStride, nint destination, long destinationStride, bool accumulate, CudaType type)
    {
        if (rows * columns == 0)
        {
            return;
        }

        int lanes = LaunchSize.Lanes(type);
        bool whole = sourceStride % lanes == 0 && destinationStride % lanes == 0;
        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(columns);
        arguments.Add(source);
        arguments.Add(sourceStride);
        arguments.Add(destination);
        arguments.Add(destinationStride);
        arguments.Add(accumulate ? 1 : 0);
        arguments.Add(whole ? LaunchSize.Aligned(source, destination) : 0);
        _copyRows[type].Launch(stream, LaunchSize.Strided(rows * LaunchSize.DivideUp(columns, lanes)), new Grid(LaunchSize.Threads), 0, arguments);
    }

    private static void Queue(CudaStream stream, CudaKernel kernel, long count, nint x, nint y, int lanes)
    {
        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(x);
        arguments.Add(y);
        arguments.Add(LaunchSize.Aligned(x, y));
        kernel.Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, lanes)), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
