namespace CudaTrainer.Data.Dataset;

/// <summary>The three parts of a dataset. Their order is the order in which they are listed and stored.</summary>
public enum DatasetSplit
{
    Train,
    Validation,
    Test,
}

public static class DatasetSplits
{
    /// <summary>Every split, in order.</summary>
    public static IReadOnlyList<DatasetSplit> All { get; } = [DatasetSplit.Train, DatasetSplit.Validation, DatasetSplit.Test];

    /// <summary>The name in file names and tables: train, val, test.</summary>
    public static string Name(this DatasetSplit split) => split switch
    {
        DatasetSplit.Train => "train",
        DatasetSplit.Validation => "val",
        DatasetSplit.Test => "test",
        _ => throw new ArgumentOutOfRangeException(nameof(split), split, null),
    };

    /// <summary>Recognises a split folder's name in any case: train|training, val|valid|validation, test|testing.</summary>
    public static bool TryParse(string folderName, out DatasetSplit split)
    {
        DatasetSplit? found = folderName.ToLowerInvariant() switch
        {
            "train" or "training" => DatasetSplit.Train,
            "val" or "valid" or "validation" => DatasetSplit.Validation,
            "test" or "testing" => DatasetSplit.Test,
            _ => null,
        };
        split = found ?? default;
        return found is not null;
    }
}
