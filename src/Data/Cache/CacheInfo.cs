using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Data.Cache;

/// <summary>One split in a cache.</summary>
/// <param name="Split">The split.</param>
/// <param name="Rows">Rows of features, those of zeros included.</param>
/// <param name="ZeroRows">Rows of zeros in place of videos that failed.</param>
/// <param name="Failures">Videos that failed.</param>
/// <param name="Bytes">Size of its files.</param>
/// <param name="Key">How the features were made.</param>
public sealed record CachedSplitInfo(
    DatasetSplit Split, int Rows, int ZeroRows, int Failures, long Bytes, IReadOnlyList<KeyValuePair<string, string>> Key);

/// <summary>Features of an extraction that was not finished.</summary>
/// <param name="Path">The file.</param>
/// <param name="Rows">Videos with features in it.</param>
/// <param name="Failures">Videos that failed.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Key">How the features were made.</param>
public sealed record PartialExtractionInfo(string Path, int Rows, int Failures, long Bytes,
    IReadOnlyList<KeyValuePair<string, string>> Key);

/// <summary>What a cache holds.</summary>
/// <param name="Directory">The folder.</param>
/// <param name="Splits">Its splits.</param>
/// <param name="Partial">Unfinished extractions.</param>
/// <param name="KnownFiles">Videos whose content hash is remembered.</param>
/// <param name="Bytes">Size of everything that is the cache's.</param>
/// <param name="Differences">Fields in which it differs from the key asked about.</param>
/// <param name="Problems">Damage, foreign files, an interrupted commit: sentences.</param>
/// <param name="Writer">Process that writes to it now.</param>
public sealed record CacheInfo(
    string Directory,
    IReadOnlyList<CachedSplitInfo> Splits,
    IReadOnlyList<PartialExtractionInfo> Partial,
    int KnownFiles,
    long Bytes,
    IReadOnlyList<KeyDifference> Differences,
    IReadOnlyList<string> Problems,
    int? Writer);

/// <summary>Outcome of a full check.</summary>
/// <param name="Rows">Rows read.</param>
/// <param name="Bytes">Bytes read.</param>
/// <param name="Problems">What is wrong, as sentences; none when all is well.</param>
public sealed record CacheVerification(int Rows, long Bytes, IReadOnlyList<string> Problems);
