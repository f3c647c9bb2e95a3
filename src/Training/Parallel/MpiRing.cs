using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// Sums of arrays in host memory over all processes, by <see cref="RingSchedule"/>. Allocates nothing once its buffers have grown.
/// </summary>
internal sealed unsafe class MpiRing : IDisposable
{
    private const int ReduceTag = 1;
    private const int GatherTag = 2;
    private const int Alignment = 64;

    private readonly MpiWorld _world;
    private readonly ThreadTeam _team;
    private readonly MpiTraffic _before;
    private void* _first;
    private void* _second;
    private long _capacity;

    /// <param name="world">The processes; used by the thread that opened it.</param>
    /// <param name="team">Threads that add and convert.</param>
    public MpiRing(MpiWorld world, ThreadTeam team)
    {
        _world = world;
        _team = team;
        _before = world.Traffic;
    }

    /// <summary>
    /// What this process has sent since the ring was made, by whatever means, and how long it has communicated, waiting included.
    /// </summary>
    public MpiTraffic Traffic
    {
        get
        {
            MpiTraffic now = _world.Traffic;
            return new(now.Messages - _before.Messages, now.Bytes - _before.Bytes, now.Time - _before.Time);
        }
    }

    /// <inheritdoc cref="AllReduceSum(float*, long, bool)"/>
    public void AllReduceSum(Span<float> values, bool halfOnWire)
    {
        fixed (float* data = values)
        {
            AllReduceSum(data, values.Length, halfOnWire);
        }
    }

    /// <summary>
    /// Replaces the values by their sums over all ranks, the same bits on all of them. All ranks call it with the same count and wire.
    /// </summary>
    /// <param name="values">[count]; best aligned to 64 bytes.</param>
    /// <param name="count">Elements.</param>
    /// <param name="halfOnWire">
    /// Whether messages are in half precision: the partial sum is rounded to nearest even at each hop, and the result as well, on the rank
    /// that owns it too. What is beyond 65504 becomes infinite, which a finite check of the sums sees. A world of one rank rounds nothing.
    /// </param>
    /// <exception cref="MpiException">MPI reports an error, or the ranks disagree on the count.</exception>
    public void AllReduceSum(float* values, long count, bool halfOnWire)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (_world.Size == 1 || count == 0)
        {
            return;
        }

        // A chunk has at most one line more than the average.
        Grow(((count / _world.Size) + (2 * RingSchedule.ElementsPerLine)) * (halfOnWire ? sizeof(Half) : sizeof(float)));
        if (halfOnWire)
        {
            ReduceHalf(values, count);
            GatherHalf(values, count);
        }
        else
        {
            Reduce(values, count);
            Gather(values, count);
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_first);
        NativeMemory.AlignedFree(_second);
        _first = _second = null;
        _capacity = 0;
    }

    private void Reduce(float* values, long count)
    {
        float* received = (float*)_first;
        for (int step = 0; step < RingSchedule.Steps(_world.Size); step++)
        {
            (long sendBegin, long sendCount) = Bounds(count, RingSchedule.ReduceSends(_world.Rank, _world.Size, step));
            (long begin, long length) = Bounds(count, RingSchedule.ReduceReceives(_world.Rank, _world.Size, step));
            Exchange(values + sendBegin, sendCount * sizeof(float), received, length * sizeof(float), ReduceTag);
            Elementwise.Accumulate(_team, length, received, values + begin);
        }
    }

    private void Gather(float* values, long count)
    {
        for (int step = 0; step < RingSchedule.Steps(_world.Size); step++)
        {
            (long sendBegin, long sendCount) = Bounds(count, RingSchedule.GatherSends(_world.Rank, _world.Size, step));
            (long begin, long length) = Bounds(count, RingSchedule.GatherReceives(_world.Rank, _world.Size, step));
            Exchange(values + sendBegin, sendCount * sizeof(float), values + begin, length * sizeof(float), GatherTag);
        }
    }

    private void ReduceHalf(float* values, long count)
    {
        Half* sent = (Half*)_first, received = (Half*)_second;
        for (int step = 0; step < RingSchedule.Steps(_world.Size); step++)
        {
            (long sendBegin, long sendCount) = Bounds(count, RingSchedule.ReduceSends(_world.Rank, _world.Size, step));
            (long begin, long length) = Bounds(count, RingSchedule.ReduceReceives(_world.Rank, _world.Size, step));
            Cast.ToHalf(_team, sendCount, values + sendBegin, sent);
            Exchange(sent, sendCount * sizeof(Half), received, length * sizeof(Half), ReduceTag);
            Elementwise.Accumulate(_team, length, received, values + begin);
        }
    }

    private void GatherHalf(float* values, long count)
    {
        Half* sent = (Half*)_first, received = (Half*)_second;
        (long ownedBegin, long ownedCount) = Bounds(count, RingSchedule.Owned(_world.Rank, _world.Size));
        Cast.ToHalf(_team, ownedCount, values + ownedBegin, sent);
        Cast.ToSingle(_team, ownedCount, sent, values + ownedBegin);
        for (int step = 0; step < RingSchedule.Steps(_world.Size); step++)
        {
            long sendCount = Bounds(count, RingSchedule.GatherSends(_world.Rank, _world.Size, step)).Count;
            (long begin, long length) = Bounds(count, RingSchedule.GatherReceives(_world.Rank, _world.Size, step));
            Exchange(sent, sendCount * sizeof(Half), received, length * sizeof(Half), GatherTag);
            Cast.ToSingle(_team, length, received, values + begin);

            // What came in this step goes on in the next.
            Half* next = received;
            received = sent;
            sent = next;
        }
    }

    private (long Begin, long Count) Bounds(long count, int chunk) => RingSchedule.Bounds(count, _world.Size, chunk);

    private void Exchange(void* send, long sendBytes, void* receive, long receiveBytes, int tag) => _world.Exchange(
        send, sendBytes, RingSchedule.Next(_world.Rank, _world.Size), receive, receiveBytes,
            RingSchedule.Previous(_world.Rank, _world.Size), tag);

    private void Grow(long bytes)
    {
        if (bytes > _capacity)
        {
            Dispose();
            _first = NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
            _second = NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
            _capacity = bytes;
        }
    }
}
