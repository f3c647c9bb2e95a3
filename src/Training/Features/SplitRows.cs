using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Training.Features;

/// <summary>A mapped split as rows to train on.</summary>
/// <param name="order">Its classes in the order that a model has them in; null for their own.</param>
internal sealed class SplitRows(FeatureSet set, ClassList? order = null) : IFeatureRows
{
    private readonly int[]? _labels = order is null || order.Equals(set.ClassList) ? null : InOrder(set, order);

    public int Count => set.Count;

    public int Frames => set.Frames;

    public int Dimension => set.Dimension;

    public bool IsHalf => set.ElementType == ElementType.F16;

    public ReadOnlySpan<int> Labels => _labels is null ? set.Labels : _labels;

    public ClassList Classes => order ?? set.ClassList;

    public unsafe nint Row(int index) => (nint)set.RowPointer(index);

    public string NameOf(int index) => set.Names[index];

    public string SourceOf(int index) => set.Sources[index];

    public string? DatasetOf(int index) => set.Datasets?[index];

    public string ContentOf(int index) => set.ContentOf(index);

    private static int[] InOrder(FeatureSet set, ClassList order) =>
        [.. set.Labels.ToArray().Select(label => order.TryParse(set.ClassList[label], out int own)
            ? own
            : throw new ArgumentException($"'{set.ClassList[label]}' is none of {order}.", nameof(order)))];
}
