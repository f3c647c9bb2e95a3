using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Training.Features;

/// <summary>A mapped split as rows to train on.</summary>
internal sealed class SplitRows(FeatureSet set) : IFeatureRows
{
    public int Count => set.Count;

    public int Frames => set.Frames;

    public int Dimension => set.Dimension;

    public bool IsHalf => set.ElementType == ElementType.F16;

    public ReadOnlySpan<int> Labels => set.Labels;

    public ClassList Classes => set.ClassList;

    public unsafe nint Row(int index) => (nint)set.RowPointer(index);

    public string NameOf(int index) => set.Names[index];

    public string SourceOf(int index) => set.Sources[index];

    public string ContentOf(int index) => set.ContentOf(index);
}
