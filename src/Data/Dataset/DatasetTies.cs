namespace CudaTrainer.Data.Dataset;

/// <summary>
/// What binds the clips of several data sets that are divided one after the other: clips of equal content, with all of their sources, go
/// to one split whatever data set they stand in.
/// </summary>
internal sealed class DatasetTies
{
    private readonly Dictionary<string, int> _groupOf;
    private readonly Dictionary<int, DatasetSplit> _placed = [];

    /// <param name="clips">Of all data sets.</param>
    public DatasetTies(IReadOnlyList<Clip> clips)
    {
        int[] groups = ClipGroups.Find(clips, out _);
        _groupOf = clips.Zip(groups).ToDictionary(pair => pair.First.RelativePath, pair => pair.Second, StringComparer.Ordinal);
    }

    /// <summary>The number of a clip's group among those of all data sets.</summary>
    public int this[Clip clip] => _groupOf[clip.RelativePath];

    /// <summary>Where clips that belong together with this one are already; null where there are none.</summary>
    public DatasetSplit? PlaceOf(Clip clip) =>
        _placed.TryGetValue(this[clip], out DatasetSplit split) ? split : null;

    /// <summary>Notes where the clips of a data set went.</summary>
    public void Place(IReadOnlyList<Clip>[] splits)
    {
        foreach (DatasetSplit split in DatasetSplits.All)
        {
            foreach (Clip clip in splits[(int)split])
            {
                _placed.TryAdd(this[clip], split);
            }
        }
    }
}
