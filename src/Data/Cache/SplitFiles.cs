using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Data.Cache;

/// <summary>The files that hold one split's features in a folder.</summary>
internal sealed record SplitFiles(string Directory, DatasetSplit Split)
{
    /// <summary>[N, T, D], float32 or float16; readable by NumPy.</summary>
    public string Features => At("features.npy");

    /// <summary>[N], 0 or 1.</summary>
    public string Labels => At("labels.npy");

    /// <summary>path,class,source,status: one line per row, in the same order, then the clips left out.</summary>
    public string Videos => At("videos.csv");

    /// <summary>What each row of the features is (<see cref="RowsFile"/>).</summary>
    public string Rows => At("rows.json");

    public IReadOnlyList<string> All => [Features, Labels, Videos, Rows];

    public static IEnumerable<SplitFiles> AllIn(string directory) => DatasetSplits.All.Select(split => new SplitFiles(directory, split));

    private string At(string suffix) => Path.Combine(Directory, $"{Split.Name()}_{suffix}");
}
