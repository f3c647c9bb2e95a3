using System.Diagnostics;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Training.Features;

/// <summary>
/// One replica's part of a batch in host memory, valid until it is given back. Labels and features lie in one block, so that one copy takes
/// them to a device.
/// </summary>
internal sealed class HostBatch : IDisposable
{
    /// <summary>Features begin at a multiple of this many bytes.</summary>
    private const int Alignment = 256;

    private int? _total;

    internal HostBatch(IDevice device, int capacity, long rowBytes)
    {
        FeaturesOffset = ((capacity * sizeof(int)) + Alignment - 1) / Alignment * Alignment;
        RowBytes = rowBytes;
        Block = device.AllocateHost(FeaturesOffset + (capacity * rowBytes));
        Features = Block.Slice(FeaturesOffset, capacity * rowBytes);
        Capacity = capacity;

        // Clips to predict have no label; the loss that is computed along with the answer reads one all the same.
        Labels.Clear();
    }

    /// <summary>Clips that fit.</summary>
    public int Capacity { get; }

    /// <summary>Clips in this part.</summary>
    public int Count { get; internal set; }

    /// <summary>The first clip's place in the whole batch.</summary>
    public int First { get; internal set; }

    /// <summary>Clips in the whole batch, those of other replicas included.</summary>
    public int Total
    {
        get => _total ?? Count;
        internal set => _total = value;
    }

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

    public void Dispose() => Block.Dispose();
}

/// <summary>A batch as the replicas of this process have it.</summary>
internal sealed class SplitBatch : IDisposable
{
    internal SplitBatch(HostBatch[] parts, int capacity)
    {
        Parts = parts;
        Rows = new int[capacity];
    }

    /// <summary>One for each replica of this process.</summary>
    public IReadOnlyList<HostBatch> Parts { get; }

    /// <summary>Clips in the whole batch, those of other processes included.</summary>
    public int Count { get; internal set; }

    /// <summary>The first Count entries are the clips' rows in their split.</summary>
    public int[] Rows { get; }

    public void Dispose()
    {
        foreach (HostBatch part in Parts)
        {
            part.Dispose();
        }
    }
}

/// <summary>
/// Assembles batches ahead of the training step on a thread of its own, from rows in the order given, the last partial batch included.
/// Touching the mapped file happens there, so that page faults never stall a step.
/// </summary>
internal sealed class BatchLoader : IDisposable
{
    /// <summary>Batches in memory: the one of the step, and those assembled meanwhile, of large ones only one.</summary>
    private const int MostBatches = 3, LeastBatches = 2;

    /// <summary>Bytes of a large batch.</summary>
    private const long Large = 8 << 20;

    /// <summary>
    /// Bytes of clips that are kept as the model takes them, because standardising them takes longer than a small model's step.
    /// </summary>
    private const long KeptBytes = 32 << 20;

    private readonly IFeatureRows _rows;
    private readonly int _batchSize;
    private readonly int _firstReplica;
    private readonly int _replicas;
    private readonly bool _half;
    private readonly FeatureScaler? _scaler;
    private readonly FeatureAugmentation? _augmentation;
    private readonly float[][] _kept;
    private readonly bool[] _isKept;
    private readonly float[] _clip;
    private readonly float[] _partner;
    private readonly Lock _lock = new();
    private readonly Queue<SplitBatch> _ready = new();
    private readonly Queue<SplitBatch> _empty = new();
    private readonly List<SplitBatch> _all = [];
    private readonly SemaphoreSlim _readySignal = new(0);
    private readonly SemaphoreSlim _emptySignal = new(0);
    private readonly SemaphoreSlim _orderSignal = new(0);
    private readonly ThreadTeam _converter = new(1);
    private readonly Thread _thread;
    private int[] _order = [];
    private int _firstBatch;
    private int _epoch;
    private Exception? _failure;
    private volatile bool _stop;
    private TraceTrack? _track;

    /// <param name="devices">Of this process's replicas.</param>
    /// <param name="half">Deliver half precision; otherwise single.</param>
    /// <param name="scaler">Standardises the features on the way, if given.</param>
    /// <param name="augmentation">Varies clips on the way, if given.</param>
    /// <param name="firstReplica">Number of this process's first replica.</param>
    /// <param name="replicas">Of all processes; 0 = there is no other process.</param>
    internal BatchLoader(IReadOnlyList<IDevice> devices, IFeatureRows rows, int batchSize, bool half, FeatureScaler? scaler = null,
        FeatureAugmentation? augmentation = null, int firstReplica = 0, int replicas = 0)
    {
        _firstReplica = firstReplica;
        _replicas = replicas == 0 ? devices.Count : replicas;
        _rows = rows;
        _batchSize = batchSize;
        _half = half;
        _scaler = scaler;
        _augmentation = augmentation;
        _clip = scaler is null && augmentation is null ? [] : new float[rows.Frames * rows.Dimension];
        _kept = new float[scaler is null ? 0 : Math.Min(rows.Count, KeptBytes / (sizeof(float) * (long)_clip.Length))][];
        _isKept = new bool[_kept.Length];
        for (int row = 0; row < _kept.Length; row++)
        {
            _kept[row] = new float[_clip.Length];
        }

        _partner = augmentation is null ? [] : new float[rows.Frames * rows.Dimension];
        int capacity = Math.Min(batchSize, rows.Count);
        long bytes = (long)capacity * rows.Frames * rows.Dimension * (half ? 2 : 4);
        int count = bytes > Large && devices.All(device => device.SharesHostMemory) ? LeastBatches : MostBatches;
        for (int i = 0; i < count; i++)
        {
            var batch = new SplitBatch(
                [.. devices.Select((device, i) => new HostBatch(device, Math.Max(1, Shard.Of(capacity, firstReplica + i, _replicas).Count), (long)rows.Frames * rows.Dimension * (half ? 2 : 4)))],
                capacity);
            _all.Add(batch);
            _empty.Enqueue(batch);
        }

        _emptySignal.Release(count);
        _thread = new Thread(Work) { IsBackground = true, Name = "batch loader" };
        _thread.Start();
    }

    /// <summary>Time that <see cref="Next"/> has waited, all in all.</summary>
    public TimeSpan Stall { get; private set; }

    /// <summary>Where assembling batches is recorded; null = nowhere.</summary>
    internal TraceTrack? Track
    {
        get => Volatile.Read(ref _track);
        set => Volatile.Write(ref _track, value);
    }

    /// <summary>Begins an epoch. The one before must have been read to its end.</summary>
    /// <param name="order">Rows in the order in which they are wanted.</param>
    /// <param name="firstBatch">Batches to leave out at the beginning, when an epoch is resumed.</param>
    /// <param name="epoch">Which variations of the clips.</param>
    public void Start(int[] order, int firstBatch = 0, int epoch = 0)
    {
        _order = order;
        _firstBatch = firstBatch;
        _epoch = epoch;
        _orderSignal.Release();
    }

    /// <summary>The next batch of the epoch.</summary>
    public SplitBatch Next()
    {
        long before = Stopwatch.GetTimestamp();
        _readySignal.Wait();
        Stall += Stopwatch.GetElapsedTime(before);
        lock (_lock)
        {
            if (_ready.TryDequeue(out SplitBatch? batch))
            {
                return batch;
            }
        }

        // The batches before the one that failed have been delivered; from now on there are none.
        _readySignal.Release();
        throw new InvalidOperationException($"Reading features failed: {_failure?.Message}", _failure);
    }

    /// <summary>Gives a batch's memory back for a later one.</summary>
    public void Return(SplitBatch batch)
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
        _emptySignal.Release();
        _thread.Join();
        foreach (SplitBatch batch in _all)
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

                    SplitBatch batch;
                    lock (_lock)
                    {
                        batch = _empty.Dequeue();
                    }

                    long began = Stopwatch.GetTimestamp();
                    Fill(batch, start);
                    Track?.Add("assembling batches", SpanKind.Beside, began);
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

    private void Fill(SplitBatch batch, int start)
    {
        batch.Count = Math.Min(_batchSize, _order.Length - start);
        _order.AsSpan(start, batch.Count).CopyTo(batch.Rows);
        for (int i = 0; i < batch.Parts.Count; i++)
        {
            Shard shard = Shard.Of(batch.Count, _firstReplica + i, _replicas);
            HostBatch part = batch.Parts[i];
            part.First = shard.First;
            part.Count = shard.Count;
            part.Total = batch.Count;
            Fill(part, start + shard.First);
        }
    }

    private unsafe void Fill(HostBatch batch, int start)
    {
        long elements = (long)_rows.Frames * _rows.Dimension;
        for (int i = 0; i < batch.Count; i++)
        {
            int row = _order[start + i];
            batch.Labels[i] = _rows.Labels[row];
            byte* target = (byte*)batch.Features.Pointer + (i * elements * (_half ? 2 : 4));
            if (_clip.Length == 0)
            {
                Copy((void*)_rows.Row(row), _rows.IsHalf, target, _half, elements);
                continue;
            }

            Read(row, _clip);
            if (_augmentation is not null)
            {
                batch.Labels[i] = Augment(row);
            }

            fixed (float* clip = _clip)
            {
                Copy(clip, false, target, _half, elements);
            }
        }
    }

    /// <summary>Varies the clip that was read.</summary>
    /// <returns>Its label, or that of the clip it was mixed with.</returns>
    private int Augment(int row)
    {
        (int partner, float share, bool takesLabel) = _augmentation!.Mix(_epoch, row, _rows.Count);
        if (share > 0)
        {
            Read(partner, _partner);
        }

        _augmentation.Apply(_clip, _rows.Frames, share > 0 ? _partner : [], share, _epoch, row);
        return _rows.Labels[takesLabel ? partner : row];
    }

    /// <summary>A clip as the model takes it.</summary>
    private unsafe void Read(int row, float[] destination)
    {
        IFeatureRows rows = _augmentation?.Shown(_epoch, row, _rows) ?? _rows;
        bool isKept = row < _kept.Length && rows == _rows;
        if (isKept && _isKept[row])
        {
            _kept[row].CopyTo(destination, 0);
            return;
        }

        fixed (float* values = destination)
        {
            Copy((void*)rows.Row(row), rows.IsHalf, values, false, destination.Length);
        }

        _scaler?.Apply(destination);
        if (isKept)
        {
            destination.CopyTo(_kept[row], 0);
            _isKept[row] = true;
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
