using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Devices;

/// <summary>
/// Places in a stream, as events of a ring. A mark whose event has been used again stands for a later place in the same stream, which is
/// safe to wait for as well.
/// </summary>
/// <param name="sign">1 or −1: the sign of this stream's handles.</param>
internal sealed class CudaMarks(CudaContext context, CudaStream stream, int sign)
{
    private const int Count = 64;

    private readonly CudaEvent?[] _events = new CudaEvent?[Count];
    private nint _sequence;

    public DeviceMark Record()
    {
        _sequence++;
        CudaEvent place = _events[_sequence % Count] ??= new CudaEvent(context);
        stream.Record(place);
        return new DeviceMark(sign * _sequence);
    }

    public CudaEvent Event(DeviceMark mark) => _events[sign * mark.Handle % Count]!;
}

/// <summary>Copies between ordinary host memory and the GPU, in order with the compute stream, by way of page-locked memory.</summary>
internal sealed unsafe class CudaStaging : IDisposable
{
    private const int HalfBytes = 2 << 20;

    private readonly CudaStream _stream;
    private readonly PinnedMemory _memory;
    private readonly CudaEvent[] _copied;
    private readonly bool[] _pending = new bool[2];
    private int _next;

    public CudaStaging(CudaContext context, CudaStream stream)
    {
        _stream = stream;
        _memory = context.AllocatePinned(2 * HalfBytes);
        _copied = [new CudaEvent(context), new CudaEvent(context)];
    }

    /// <summary>The source may change once this has returned; the copy itself is only queued.</summary>
    public void Upload(ReadOnlySpan<byte> source, nint destination)
    {
        while (source.Length > 0)
        {
            int bytes = Math.Min(source.Length, HalfBytes);
            nint half = TakeHalf(out int index);
            source[..bytes].CopyTo(new Span<byte>((void*)half, bytes));
            _stream.CopyToDevice(half, destination, bytes);
            _stream.Record(_copied[index]);
            _pending[index] = true;
            source = source[bytes..];
            destination += bytes;
        }
    }

    /// <summary>Waits for all queued work.</summary>
    public void Download(nint source, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int bytes = Math.Min(destination.Length, HalfBytes);
            nint half = TakeHalf(out _);
            _stream.CopyToHost(source, half, bytes);
            _stream.Synchronize();
            new ReadOnlySpan<byte>((void*)half, bytes).CopyTo(destination);
            destination = destination[bytes..];
            source += bytes;
        }
    }

    public void Dispose() => _memory.Dispose();

    /// <summary>The half that was used longer ago, once its last copy is done.</summary>
    private nint TakeHalf(out int index)
    {
        index = _next;
        _next = 1 - _next;
        if (_pending[index])
        {
            _copied[index].Synchronize();
            _pending[index] = false;
        }

        return _memory.Pointer + (index * HalfBytes);
    }
}
