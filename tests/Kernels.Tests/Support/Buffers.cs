namespace CudaTrainer.Kernels.Tests;

/// <summary>The guarded buffers of one test, released together.</summary>
internal sealed class Buffers(Edge edge = Edge.Behind) : IDisposable
{
    private readonly List<IDisposable> _all = [];

    public GuardedBuffer<T> Of<T>(params T[] values)
        where T : unmanaged
        => Keep(new GuardedBuffer<T>(values, edge));

    /// <summary>An output: filled with NaN, so that an element the kernel forgets is found.</summary>
    public GuardedBuffer<float> Output(int length)
    {
        GuardedBuffer<float> buffer = Keep(new GuardedBuffer<float>(length, edge));
        buffer.Span.Fill(float.NaN);
        return buffer;
    }

    public GuardedBuffer<T> Uninitialised<T>(int length)
        where T : unmanaged
        => Keep(new GuardedBuffer<T>(length, edge));

    public void Dispose()
    {
        foreach (IDisposable buffer in _all)
        {
            buffer.Dispose();
        }
    }

    private GuardedBuffer<T> Keep<T>(GuardedBuffer<T> buffer)
        where T : unmanaged
    {
        _all.Add(buffer);
        return buffer;
    }
}
