using System.Diagnostics;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Training;

/// <summary>A batch in host memory, valid until it is given back. Labels and features lie in one block, so that one copy takes them to a device.</summary>
public sealed class HostBatch : IDisposable
{
    /// <summary>Features begin at a multiple of this many bytes.</summary>
    private const int Alignment = 256;

    internal HostBatch(IDevice device, int capacity, long rowBytes)
    {
        FeaturesOffset = ((capacity * sizeof(int)) + Alignment - 1) / Alignment * Alignment;
        RowBytes = rowBytes;
        Block = device.AllocateHost(FeaturesOffset + (capacity * rowBytes));
        Features = Block.Slice(FeaturesOffset, capacity * rowBytes);
        Rows = new int[capacity];

        // Clips to predict have no label; the loss that is computed along with the answer reads one all the same.
        Labels.Clear();
    }

    /// <summary>Clips that fit.</summary>
    public int Capacity => Rows.Length;

    /// <summary>Clips in this batch.</summary>
    public int Count { get; internal set; }

    /// <summary>[Capacity] Int32 labels, then the features.</summary>
    public HostBuffer Block { get; }

    /// <summary>Where in the block the features begin.</summary>
    public int FeaturesOffset { get; }

    /// <summary>Bytes of one clip's features.</summary>
    public long RowBytes { get; }

    /// <summary>[Count, T, D] in the loader's type.</summary>
    public HostBuffer Features { get; }

    /// <summary>The first Count entries are the clips' labels.</summary>
    public Span<int> Labels => Block.AsSpan<int>(0, Capacity);

    /// <summary>Bytes of the block up to the last clip.</summary>
    public long UsedBytes => FeaturesOffset + (Count * RowBytes);

    /// <summary>The first Count entries are the clips' rows in their split.</summary>
    public int[] Rows { get; }

    public void Dispose() => Block.Dispose();
}

/// <summary>
/// Assembles batches ahead of the training step on a thread of its own, from rows in the order given, the last partial batch included. Touching the mapped file happens
/// there, so that page faults never stall a step.
/// </summary>
public sealed class BatchLoader : IDisposable
{
    private const int Ahead = 3;

    private readonly IFeatureRows _rows;
    private readonly int _batchSize;
    private readonly bool _half;
    private readonly FeatureScaler? _scaler;
    private readonly float[] _scaled;
    private readonly Lock _lock = new();
    private readonly Queue<HostBatch> _ready = new();
    private readonly Queue<HostBatch> _empty = new();
    private readonly List<HostBatch> _all = [];
    private readonly SemaphoreSlim _readySignal = new(0);
    private readonly SemaphoreSlim _emptySignal = new(Ahead);
    private readonly SemaphoreSlim _orderSignal = new(0);
    private readonly ThreadTeam _converter = new(1);
    private readonly Thread _thread;
    private int[] _order = [];
    private int _firstBatch;
    private Exception? _failure;
    private volatile bool _stop;

    /// <param name="half">Deliver half precision; otherwise single.</param>
    /// <param name="scaler">Standardises the features on the way, if given.</param>
    public BatchLoader(IDevice device, IFeatureRows rows, int batchSize, bool half, FeatureScaler? scaler = null)
    {
        _rows = rows;
        _batchSize = batchSize;
        _half = half;
        _scaler = scaler;
        _scaled = scaler is null ? [] : new float[rows.Frames * rows.Dimension];
        for (int i = 0; i < Ahead; i++)
        {
            var batch = new HostBatch(device, Math.Min(batchSize, rows.Count), (long)rows.Frames * rows.Dimension * (half ? 2 : 4));
            _all.Add(batch);
            _empty.Enqueue(batch);
        }

        _thread = new Thread(Work) { IsBackground = true, Name = "batch loader" };
        _thread.Start();
    }

    /// <summary>Time that <see cref="Next"/> has waited, all in all.</summary>
    public TimeSpan Stall { get; private set; }

    /// <summary>Begins an epoch. The one before must have been read to its end.</summary>
    /// <param name="order">Rows in the order in which they are wanted.</param>
    /// <param name="firstBatch">Batches to leave out at the beginning, when an epoch is resumed.</param>
    public void Start(int[] order, int firstBatch = 0)
    {
        _order = order;
        _firstBatch = firstBatch;
        _orderSignal.Release();
    }

    /// <summary>The next batch of the epoch.</summary>
    public HostBatch Next()
    {
        long before = Stopwatch.GetTimestamp();
        _readySignal.Wait();
        Stall += Stopwatch.GetElapsedTime(before);
        lock (_lock)
        {
            if (_ready.TryDequeue(out HostBatch? batch))
            {
                return batch;
            }
        }

        // The batches before the one that failed have been delivered; from now on there are none.
        _readySignal.Release();
        throw new InvalidOperationException($"Reading features failed: {_failure?.Message}", _failure);
    }

    /// <summary>Gives a batch's memory back for a later one.</summary>
    public void Return(HostBatch batch)
    {
        lock (_lock)
        {
            _empty.Enqueue(batch);
        }

        _emptySignal.Release();
    }

    public void Dispose()
    {
        _stop = true;
        _orderSignal.Release();
        _emptySignal.Release(Ahead);
        _thread.Join();
        foreach (HostBatch batch in _all)
        {
            batch.Dispose();
        }

        _converter.Dispose();
        _readySignal.Dispose();
        _emptySignal.Dispose();
        _orderSignal.Dispose();
    }

    private void Work()
    {
        try
        {
            while (true)
            {
                _orderSignal.Wait();
                for (int start = _firstBatch * _batchSize; start < _order.Length; start += _batchSize)
                {
                    _emptySignal.Wait();
                    if (_stop)
                    {
                        return;
                    }

                    HostBatch batch;
                    lock (_lock)
                    {
                        batch = _empty.Dequeue();
                    }

                    Fill(batch, start);
                    lock (_lock)
                    {
                        _ready.Enqueue(batch);
                    }

                    _readySignal.Release();
                }

                if (_stop)
                {
                    return;
                }
            }
        }
        catch (Exception exception)
        {
            _failure = exception;
            _readySignal.Release();
        }
    }

    private unsafe void Fill(HostBatch batch, int start)
    {
        batch.Count = Math.Min(_batchSize, _order.Length - start);
        long elements = (long)_rows.Frames * _rows.Dimension;
        for (int i = 0; i < batch.Count; i++)
        {
            int row = _order[start + i];
            batch.Rows[i] = row;
            batch.Labels[i] = _rows.Labels[row];
            byte* target = (byte*)batch.Features.Pointer + (i * elements * (_half ? 2 : 4));
            if (_scaler is null)
            {
                Copy((void*)_rows.Row(row), _rows.IsHalf, target, _half, elements);
                continue;
            }

            fixed (float* scaled = _scaled)
            {
                Copy((void*)_rows.Row(row), _rows.IsHalf, scaled, false, elements);
                _scaler.Apply(_scaled);
                Copy(scaled, false, target, _half, elements);
            }
        }
    }

    private unsafe void Copy(void* source, bool fromHalf, void* target, bool toHalf, long elements)
    {
        switch (fromHalf, toHalf)
        {
            case (true, false):
                Cast.ToSingle(_converter, elements, (Half*)source, (float*)target);
                break;
            case (false, true):
                Cast.ToHalf(_converter, elements, (float*)source, (Half*)target);
                break;
            default:
                long bytes = elements * (fromHalf ? 2 : 4);
                Buffer.MemoryCopy(source, target, bytes, bytes);
                break;
        }
    }
}
