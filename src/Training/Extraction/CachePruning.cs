using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Extraction;

/// <summary>What <c>cache prune</c> does.</summary>
internal static class CachePruning
{
    private const double Megabyte = 1e6;

    /// <param name="days">Only what was put aside before; null for whenever.</param>
    /// <param name="megabytes">That may stay; null for none.</param>
    /// <param name="dataset">Only of the videos in this folder; null for any.</param>
    /// <exception cref="CacheException">The folder does not exist, or another process writes to it.</exception>
    /// <exception cref="DatasetException">The folder of videos cannot be listed.</exception>
    public static CacheClearing Run(string cacheDir, double? days, double? megabytes, string? dataset, CancellationToken stop) =>
        CacheMaintenance.Prune(cacheDir, days is { } age ? DateTime.UtcNow.AddDays(-age) : null, (long?)(megabytes * Megabyte),
            dataset is null
                ? null
                : DatasetScanner.Scan(dataset, new DatasetOptions { IndexDirectory = Path.GetFullPath(cacheDir) }, stop).Clips
                    .Select(clip => clip.ContentHash).ToHashSet(StringComparer.Ordinal));
}
