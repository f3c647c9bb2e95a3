using System.Runtime.InteropServices;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>
/// Features in memory: clip i is called <c>clip i</c>, every third clip is violent, and violent clips differ in their first features.
/// </summary>
internal sealed unsafe class MemoryRows : IFeatureRows
{
    private readonly float[] _single;
    private readonly Half[] _half;
    private readonly int[] _labels;

    public MemoryRows(int count, int frames = 4, int dimension = 16, bool half = false, int seed = 1, Action<float[]>? change = null)
    {
        (Count, Frames, Dimension, IsHalf) = (count, frames, dimension, half);
        _labels = [.. Enumerable.Range(0, count).Select(i => i % 3 == 0 ? 1 : 0)];
        _single = GC.AllocateArray<float>(count * RowLength, pinned: true);
        Random random = new(seed);
        for (int i = 0; i < _single.Length; i++)
        {
            _single[i] = random.NextSingle() + (_labels[i / RowLength] == 1 && i % dimension < 4 ? 1 : 0);
        }

        change?.Invoke(_single);
        _half = GC.AllocateArray<Half>(half ? _single.Length : 0, pinned: true);
        for (int i = 0; i < _half.Length; i++)
        {
            _half[i] = (Half)_single[i];
            _single[i] = (float)_half[i];
        }
    }

    public int Count { get; }

    public int Frames { get; }

    public int Dimension { get; }

    public bool IsHalf { get; }

    public ReadOnlySpan<int> Labels => _labels;

    /// <summary>Called before a row is handed out.</summary>
    public Action<int>? OnRow { get; init; }

    private int RowLength => Frames * Dimension;

    public nint Row(int index)
    {
        OnRow?.Invoke(index);
        return IsHalf
            ? (nint)Unsafe(_half) + (index * RowLength * sizeof(Half))
            : (nint)Unsafe(_single) + (index * RowLength * sizeof(float));
    }

    /// <summary>The numbers of a row as they are stored.</summary>
    public ReadOnlySpan<float> Values(int index) => _single.AsSpan(index * RowLength, RowLength);

    public string NameOf(int index) => $"clip {index}";

    public string SourceOf(int index) => NameOf(index);

    public string ContentOf(int index) => NameOf(index);

    /// <summary>A batch of the given rows, as a loader delivers it.</summary>
    public HostBatch Batch(Engine.Tensors.IDevice device, bool half, params ReadOnlySpan<int> rows)
    {
        using BatchLoader loader = new([device], this, rows.Length, half);
        loader.Start(rows.ToArray());
        HostBatch from = loader.Next().Parts[0];
        HostBatch batch = new(device, rows.Length, from.Features.Bytes / rows.Length) { Count = rows.Length };
        from.Features.AsSpan<byte>(0, (int)from.Features.Bytes).CopyTo(batch.Features.AsSpan<byte>(0, (int)batch.Features.Bytes));
        from.Labels.CopyTo(batch.Labels);
        return batch;
    }

    private static void* Unsafe<T>(T[] pinned)
        where T : unmanaged => System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(pinned));
}
