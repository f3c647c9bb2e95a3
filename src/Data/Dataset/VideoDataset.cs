namespace CudaTrainer.Data.Dataset;

/// <summary>A folder that is one of several data sets.</summary>
/// <param name="Name">What it is called: the end of its path by which it differs from the others.</param>
/// <param name="Root">Absolute path.</param>
public sealed record DatasetFolder(string Name, string Root);

/// <summary>The clips of one folder or of several, divided into splits. Made by <see cref="DatasetScanner"/>.</summary>
public sealed class VideoDataset
{
    private readonly IReadOnlyList<Clip>[] _splits;

    /// <param name="root">The dataset's folder.</param>
    /// <param name="train">Clips to train on, in the order of their rows.</param>
    /// <param name="validation">Clips to choose the model on.</param>
    /// <param name="test">Clips to report on; may be empty.</param>
    public VideoDataset(string root, IReadOnlyList<Clip> train, IReadOnlyList<Clip> validation, IReadOnlyList<Clip> test)
    {
        Root = root;
        _splits = [train, validation, test];
        Table = new ClassTable(
            [.. Splits.Select(split => new ClassTableRow(
                split,
                ClassCounts.Of(this[split].Select(clip => clip.Label)),
                this[split].Select(clip => clip.Source).Distinct(StringComparer.Ordinal).Count()))]);
    }

    /// <summary>Absolute path of the folder; of several that of the first.</summary>
    public string Root { get; }

    /// <summary>The folders where there are several, in the order given; empty where there is one.</summary>
    public IReadOnlyList<DatasetFolder> Folders { get; init; } = [];

    /// <summary>A split's clips, ordered by relative path; empty when the split does not exist.</summary>
    public IReadOnlyList<Clip> this[DatasetSplit split] => _splits[(int)split];

    /// <summary>The splits that have clips.</summary>
    public IEnumerable<DatasetSplit> Splits => DatasetSplits.All.Where(split => this[split].Count > 0);

    /// <summary>Every clip, split by split.</summary>
    public IEnumerable<Clip> Clips => _splits.SelectMany(clips => clips);

    public ClassTable Table { get; }

    /// <summary>What the labels of the clips stand for.</summary>
    public ClassList Classes { get; init; } = ClassList.Violence;

    /// <summary>Whether every split has every class; otherwise all clips are in train, and some classes may have none.</summary>
    public bool IsDivided { get; init; } = true;

    /// <summary>What lies in the folder but is no clip.</summary>
    public IReadOnlyList<IgnoredFile> Ignored { get; init; } = [];

    /// <summary>How the dataset was made: sentences for the log.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>What may spoil the result: leaks, duplicates, contradictions.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
