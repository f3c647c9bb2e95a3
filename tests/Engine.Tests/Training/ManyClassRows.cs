using System.Runtime.InteropServices;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Features in memory of as many classes as there are names: clips of class c differ in features 3·c to 3·c + 2.</summary>
internal sealed unsafe class ManyClassRows(int count, int seed, params string[] classes) : IFeatureRows
{
    private readonly int[] _labels = [.. Enumerable.Range(0, count).Select(i => i % classes.Length)];
    private readonly float[] _values = Draw(count, classes.Length, seed);

    public int Count => count;

    public int Frames => 4;

    public int Dimension => 24;

    public bool IsHalf => false;

    public ReadOnlySpan<int> Labels => _labels;

    public ClassList Classes { get; } = ClassList.Of(classes);

    public ReadOnlySpan<float> Values(int index) => _values.AsSpan(index * Frames * Dimension, Frames * Dimension);

    public nint Row(int index) =>
        (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_values))
            + (index * Frames * Dimension * sizeof(float));

    public string NameOf(int index) => $"clip {index}";

    public string SourceOf(int index) => NameOf(index);

    public string ContentOf(int index) => NameOf(index);

    private static float[] Draw(int count, int classes, int seed)
    {
        const int RowLength = 4 * 24;
        float[] values = GC.AllocateArray<float>(count * RowLength, pinned: true);
        Random random = new(seed);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = random.NextSingle() + (i % 24 / 3 == i / RowLength % classes ? 0.8f : 0);
        }

        return values;
    }
}
