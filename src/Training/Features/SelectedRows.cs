using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Features;

/// <summary>Some rows of a split.</summary>
internal sealed class SelectedRows : IFeatureRows
{
    private readonly IFeatureRows _all;
    private readonly int[] _rows;
    private readonly int[] _labels;

    public SelectedRows(IFeatureRows all, int[] rows)
    {
        _all = all;
        _rows = rows;
        _labels = new int[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            _labels[i] = all.Labels[rows[i]];
        }
    }

    public int Count => _rows.Length;

    public int Frames => _all.Frames;

    public int Dimension => _all.Dimension;

    public bool IsHalf => _all.IsHalf;

    public ReadOnlySpan<int> Labels => _labels;

    public ClassList Classes => _all.Classes;

    /// <summary>As many rows as <paramref name="count"/>, or all, drawn by the seed: files often hold one class after the other.</summary>
    public static IFeatureRows Draw(IFeatureRows all, int count, int seed) =>
        count >= all.Count ? all : new SelectedRows(all, EpochOrder.Of(all.Count, seed, epoch: 0, shuffle: true)[..count]);

    public nint Row(int index) => _all.Row(_rows[index]);

    public string NameOf(int index) => _all.NameOf(_rows[index]);

    public string SourceOf(int index) => _all.SourceOf(_rows[index]);

    public string? DatasetOf(int index) => _all.DatasetOf(_rows[index]);

    public string ContentOf(int index) => _all.ContentOf(_rows[index]);
}
