using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Data.Cache;

/// <summary>What is to be extracted before a dataset can be committed.</summary>
/// <param name="Missing">Clips to extract, one for each content, in the order of the dataset.</param>
/// <param name="Clips">Clips of the dataset.</param>
/// <param name="Reused">Clips whose features are stored.</param>
/// <param name="KnownFailures">Clips that failed before and are not tried again, because they would fail again.</param>
/// <param name="BytesNeeded">Disk space that the missing features and the new files take.</param>
/// <param name="Notes">What becomes of features that are stored but not used.</param>
internal sealed record CachePlan(
    IReadOnlyList<Clip> Missing, int Clips, int Reused, int KnownFailures, long BytesNeeded, IReadOnlyList<string> Notes);

/// <summary>A clip without features.</summary>
internal sealed record FailedClip(Clip Clip, DatasetSplit Split, ClipFailure Failure)
{
    public override string ToString() =>
        $"'{Clip.RelativePath}': {Failure.Status}{(Failure.Message.Length > 0 ? $" ({Failure.Message})" : "")}";
}

/// <summary>A split as it is stored.</summary>
/// <param name="Split">The split.</param>
/// <param name="Rows">Its rows of each class.</param>
/// <param name="Failed">Its clips of each class that failed.</param>
internal sealed record CachedSplit(DatasetSplit Split, ClassCounts Rows, ClassCounts Failed);

/// <summary>What a commit stored.</summary>
internal sealed record CacheSummary
{
    /// <summary>The splits that exist, in order.</summary>
    public required IReadOnlyList<CachedSplit> Splits { get; init; }

    /// <summary>Clips without features, in the order of the dataset.</summary>
    public required IReadOnlyList<FailedClip> Failed { get; init; }

    /// <summary>Clips whose features were stored before this session.</summary>
    public required int Reused { get; init; }

    /// <summary>Clips whose features were extracted in this session.</summary>
    public required int Extracted { get; init; }

    /// <summary>Whether any file had to be written.</summary>
    public required bool Changed { get; init; }

    public required IReadOnlyList<string> Warnings { get; init; }
}
