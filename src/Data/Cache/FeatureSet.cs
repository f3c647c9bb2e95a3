using System.Security.Cryptography;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>One number that is not finite.</summary>
public sealed record NonFiniteFeature(int Row, int Frame, int Element, float Value);

/// <summary>One split's features and labels, mapped into memory for reading.</summary>
/// <remarks>
/// Reads what <see cref="FeatureCache"/> committed as well as a pair of <c>{split}_features.npy</c> [N, T, D] and
/// <c>{split}_labels.npy</c> that NumPy saved. Safe for concurrent readers. Pointers are valid until <see cref="Dispose"/>; a commit
/// meanwhile replaces the file, not the mapping.
/// </remarks>
public sealed unsafe class FeatureSet : IDisposable
{
    private readonly MappedNpy _features;
    private readonly int[] _labels;
    private readonly RowsFile? _description;
    private readonly Lazy<string[]> _contents;

    private FeatureSet(DatasetSplit split, MappedNpy features, int[] labels, ClassList classes, SplitFiles files, RowsFile? description)
    {
        ClassList = classes;
        Split = split;
        Path = features.Path;
        _features = features;
        _labels = labels;
        _description = description;
        Names = ReadColumn(files, "path", Count)
            ?? [.. Enumerable.Range(0, Count).Select(row => $"row {row} of {System.IO.Path.GetFileName(files.Features)}")];
        Sources = ReadColumn(files, "source", Count) ?? Names;
        Datasets = ReadColumn(files, "dataset", Count);
        Key = description?.Key ?? [];
        _contents = new(() => [.. Enumerable.Range(0, Count).Select(row => description is null
            ? Convert.ToHexStringLower(SHA256.HashData(new ReadOnlySpan<byte>(_features.RowPointer(row), (int)RowBytes)))
            : description.Rows[row].ContentHash)]);
    }

    public DatasetSplit Split { get; }

    /// <summary>The features file.</summary>
    public string Path { get; }

    /// <summary>N: videos.</summary>
    public int Count => (int)_features.RowCount;

    /// <summary>T: frames of a video.</summary>
    public int Frames => (int)_features.Shape[1];

    /// <summary>D: features of a frame.</summary>
    public int Dimension => (int)_features.Shape[2];

    /// <summary>F32 or F16.</summary>
    public ElementType ElementType => _features.ElementType;

    /// <summary>Bytes from one video's features to the next.</summary>
    public long RowBytes => _features.RowBytes;

    /// <summary>N labels, each an index into <see cref="ClassList"/>.</summary>
    public ReadOnlySpan<int> Labels => _labels;

    /// <summary>Videos of each class.</summary>
    public ClassCounts Classes => ClassCounts.Of(_labels);

    /// <summary>What the labels stand for.</summary>
    public ClassList ClassList { get; }

    /// <summary>N names of videos, for messages: relative paths, or row numbers where paths are unknown.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>What each of the N videos was cut from; its name where that is not known.</summary>
    public IReadOnlyList<string> Sources { get; }

    /// <summary>The name of each of the N videos' data set; null where there is one alone.</summary>
    public IReadOnlyList<string>? Datasets { get; }

    /// <summary>How the features were made (<see cref="FeatureKey.Fields"/>); empty when nothing records it.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Key { get; }

    /// <summary>Whether a folder has features of a split.</summary>
    public static bool Exists(string directory, DatasetSplit split) => File.Exists(new SplitFiles(directory, split).Features);

    /// <summary>Opens a split.</summary>
    /// <exception cref="FileFormatException">A file is damaged, of another shape, or does not belong to the others; the message names
    /// it.</exception>
    /// <exception cref="CacheException">There are no such files, or a commit was interrupted.</exception>
    public static FeatureSet Open(string directory, DatasetSplit split)
    {
        var files = new SplitFiles(System.IO.Path.GetFullPath(directory), split);
        if (CacheCommit.IsPending(files.Directory))
        {
            throw new CacheException(
                $"The cache '{files.Directory}' is being changed, or a change of it was interrupted. Run 'cudatrainer extract' or " +
                    $"'train' to finish it.");
        }

        foreach (string required in (ReadOnlySpan<string>)[files.Features, files.Labels])
        {
            if (!File.Exists(required))
            {
                throw new CacheException(
                    $"'{required}' does not exist. A folder of features has {{split}}_features.npy and {{split}}_labels.npy for " +
                        $"train, val and, if wanted, test.");
            }
        }

        MappedNpy features = NpyFile.OpenMapped(files.Features);
        try
        {
            CheckFeatures(features);
            RowsFile? description = File.Exists(files.Rows) ? RowsFile.Read(files.Rows) : null;
            if (description is not null)
            {
                CheckBelongsTogether(files, features, description);
            }

            int count = (int)features.RowCount;
            ClassList classes = description?.Classes ?? ClassFile.Read(files.Directory);
            int[] labels = LabelFile.Read(files.Labels, files.Features, count, classes);
            return new FeatureSet(split, features, labels, classes, files, description);
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    /// <summary>A video's [T, D] features as they are stored.</summary>
    public byte* RowPointer(int row) => _features.RowPointer(row);

    /// <summary>Copies a video's features, widened to float.</summary>
    /// <param name="row">Its index.</param>
    /// <param name="destination">T·D floats.</param>
    public void ReadRow(int row, Span<float> destination) => _features.ReadRow(row, destination);

    /// <summary>
    /// What a clip is, whatever it is called: of the cache the SHA-256 of the video, of other files that of the clip's numbers, which
    /// the first call reads.
    /// </summary>
    public string ContentOf(int row) => _contents.Value[row];

    /// <summary>What a row holds: <see cref="ContentOf"/>, and of the cache the checksum of the numbers that were made of it.</summary>
    public string FeaturesOf(int row) => _description is { } description
        ? $"{ContentOf(row)} {description.Rows[row].Checksum:x8}"
        : ContentOf(row);

    /// <summary>Asks for rows to be read from the disk ahead of their use; returns at once.</summary>
    public void WillNeed(int firstRow, int rowCount) => _features.WillNeed(firstRow, rowCount);

    /// <summary>Looks through every number, which reads the whole file.</summary>
    /// <returns>The first that is not finite; null when all are.</returns>
    public NonFiniteFeature? FindNonFinite(CancellationToken cancellation = default)
    {
        for (int row = 0; row < Count; row++)
        {
            cancellation.ThrowIfCancellationRequested();
            int index = ElementType == ElementType.F32
                ? FiniteCheck.IndexOfNonFinite(_features.Row<float>(row))
                : FiniteCheck.IndexOfNonFinite(_features.Row<Half>(row));
            if (index >= 0)
            {
                float value = ElementType == ElementType.F32 ? _features.Row<float>(row)[index] : (float)_features.Row<Half>(row)[index];
                return new NonFiniteFeature(row, index / Dimension, index % Dimension, value);
            }
        }

        return null;
    }

    public void Dispose() => _features.Dispose();

    private static void CheckFeatures(MappedNpy features)
    {
        if (features.Shape is not [> 0 and <= int.MaxValue, > 0 and <= int.MaxValue,
            > 0 and <= int.MaxValue] || features.RowBytes > int.MaxValue)
        {
            throw new FileFormatException(
                features.Path,
                $"expected features of shape [videos, frames, features], found {ElementTypes.Format(features.Shape)}",
                "Save one array of that shape for each split.");
        }

        if (features.ElementType is not (ElementType.F32 or ElementType.F16))
        {
            throw new FileFormatException(
                features.Path, $"expected float32 or float16 features, found {features.ElementType}",
                    "Save them with array.astype('float32').");
        }
    }

    /// <summary>Catches files from elsewhere, and a commit that happens right now.</summary>
    private static void CheckBelongsTogether(SplitFiles files, MappedNpy features, RowsFile description)
    {
        (int frames, int dimension) = KeyFields.RowShape(description.Key);
        ElementType elementType = KeyFields.ElementTypeOf(description.Key);
        if (features.ElementType != elementType || !features.Shape.SequenceEqual([description.Rows.Count, frames, dimension]))
        {
            throw Foreign(
                files.Features,
                $"expected [{description.Rows.Count}, {frames}, {dimension}] of {elementType}, found " +
                    $"{ElementTypes.Format(features.Shape)} of {features.ElementType}");
        }

        if (Crc32C.Of(File.ReadAllBytes(files.Labels)) != description.LabelsChecksum)
        {
            throw Foreign(files.Labels, "its checksum differs");
        }

        int last = description.Rows.Count - 1;
        foreach (int row in (ReadOnlySpan<int>)[0, last / 2, last])
        {
            if (Crc32C.Of(features.Row(row)) != description.Rows[row].Checksum)
            {
                throw Foreign(files.Features, $"the checksum of row {row} differs");
            }
        }

        FileFormatException Foreign(string path, string message) => new(
            path,
            $"it is not the file that '{System.IO.Path.GetFileName(files.Rows)}' describes: {message}",
            "Run 'cudatrainer extract' again. If you changed the file yourself, remove the description to use it as it is.");
    }

    /// <returns>A column of the list of videos; null where there is none.</returns>
    private static string[]? ReadColumn(SplitFiles files, string name, int count)
    {
        try
        {
            IReadOnlyList<CsvRecord> records = File.Exists(files.Videos) ? CsvFile.Read(files.Videos) : [];
            int column = records.Count > count ? records[0].Fields.ToList().IndexOf(name) : -1;
            CsvRecord[] rows = [.. records.Skip(1).Take(count)];
            if (column >= 0 && rows.All(record => record.Fields.Count > column))
            {
                return [.. rows.Select(record => record.Fields[column])];
            }
        }
        catch (FileFormatException)
        {
            // The list only describes rows; someone else's may look different. One that cannot be read is an error: without it clips would
            // silently have other groups.
        }

        return null;
    }
}
