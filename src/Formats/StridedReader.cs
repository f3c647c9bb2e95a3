using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>Reads views of PyTorch storages in row-major order.</summary>
internal static unsafe class StridedReader
{
    private const int BlockElements = 1024;

    /// <param name="tensor">Checked: every element lies in the storage.</param>
    /// <param name="storage">Its storage's first byte.</param>
    /// <param name="destination">As many floats as the tensor has elements, at least one.</param>
    public static void Read(PickleTensor tensor, byte* storage, Span<float> destination)
    {
        ElementType type = tensor.Storage.Type;
        byte* first = storage + (tensor.Offset * type.Size());
        if (IsContiguous(tensor))
        {
            ElementConversion.ToSingle(type, first, destination);
            return;
        }

        int rowLength = (int)tensor.Shape[^1];
        long rowStride = tensor.Strides[^1];
        long[] index = new long[tensor.Shape.Length - 1];
        for (; !destination.IsEmpty; destination = destination[rowLength..])
        {
            long row = 0L;
            for (int d = 0; d < index.Length; d++)
            {
                row += index[d] * tensor.Strides[d];
            }

            ReadRow(type, first + (row * type.Size()), rowStride, destination[..rowLength]);
            Advance(index, tensor.Shape);
        }
    }

    /// <summary>Strides of dimensions of length 1 are never used, and PyTorch writes anything there.</summary>
    private static bool IsContiguous(PickleTensor tensor)
    {
        long expected = 1L;
        for (int d = tensor.Shape.Length - 1; d >= 0; d--)
        {
            if (tensor.Shape[d] != 1 && tensor.Strides[d] != expected)
            {
                return false;
            }

            expected *= tensor.Shape[d];
        }

        return true;
    }

    private static void ReadRow(ElementType type, byte* source, long stride, Span<float> destination)
    {
        Span<byte> gathered = stackalloc byte[BlockElements * sizeof(double)];
        for (; !destination.IsEmpty; source += BlockElements * stride * type.Size())
        {
            Span<float> part = destination[..Math.Min(BlockElements, destination.Length)];
            Span<byte> bytes = gathered[..(part.Length * type.Size())];
            switch (type.Size())
            {
                case sizeof(ushort):
                    Gather<ushort>(source, stride, bytes);
                    break;
                case sizeof(uint):
                    Gather<uint>(source, stride, bytes);
                    break;
                default:
                    Gather<ulong>(source, stride, bytes);
                    break;
            }

            ElementConversion.ToSingle(type, bytes, part);
            destination = destination[part.Length..];
        }
    }

    private static void Gather<T>(byte* source, long stride, Span<byte> destination)
        where T : unmanaged
    {
        Span<T> elements = MemoryMarshal.Cast<byte, T>(destination);
        for (int i = 0; i < elements.Length; i++)
        {
            elements[i] = Unsafe.ReadUnaligned<T>(source + (i * stride * sizeof(T)));
        }
    }

    /// <summary>Steps to the next row: all dimensions but the last, the innermost fastest.</summary>
    private static void Advance(long[] index, long[] shape)
    {
        for (int d = index.Length - 1; d >= 0; d--)
        {
            if (++index[d] < shape[d])
            {
                return;
            }

            index[d] = 0;
        }
    }
}
