using System.Runtime.InteropServices;
using System.Text;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>A clip and what is known of it.</summary>
/// <param name="Clip">The clip.</param>
/// <param name="Row">Its features; null when it failed.</param>
/// <param name="Failure">Why it failed; null when it did not.</param>
internal sealed record ResolvedClip(Clip Clip, RowLocation? Row, ClipFailure? Failure);

/// <summary>A stored row does not have its checksum any more.</summary>
internal sealed class DamagedRowException(ResolvedClip clip) : Exception
{
    public ResolvedClip Damaged { get; } = clip;
}

/// <summary>What a split's files are to contain. Depends on the dataset and the features only, not on how they came to be.</summary>
internal sealed class SplitImage
{
    private const string StatusOfRows = "ok";

    private readonly FeatureKey _key;
    private readonly IReadOnlyList<ResolvedClip> _rows;
    private readonly ClassList _classes;
    private readonly RowsFile _content;

    /// <param name="files">Where.</param>
    /// <param name="key">What kind of features.</param>
    /// <param name="clips">Clips in the order of the dataset.</param>
    /// <param name="classes">What their labels are of.</param>
    /// <param name="keepFailures">Whether failed clips get a row of zeros; otherwise they get none.</param>
    public SplitImage(SplitFiles files, FeatureKey key, IReadOnlyList<ResolvedClip> clips, ClassList classes, bool keepFailures)
    {
        (Files, _key, _classes) = (files, key, classes);
        uint zeros = Crc32C.Of(new byte[key.RowBytes]);
        _rows = [.. clips.Where(clip => clip.Failure is null || keepFailures)];
        byte[] labels = EncodeLabels(), videos = EncodeVideos([.. clips.Except(_rows)]);
        _content = new RowsFile(
            key.Fields,
            [.. _rows.Select(row => new RowEntry(row.Clip.ContentHash, row.Row?.Checksum ?? zeros, row.Row is null))],
            clips.Where(clip => clip is { Failure: not null, Clip.Fault: null }).DistinctBy(clip => clip.Clip.ContentHash)
                .ToDictionary(clip => clip.Clip.ContentHash, clip => clip.Failure!, StringComparer.Ordinal),
            Crc32C.Of(labels),
            Crc32C.Of(videos))
        {
            Classes = classes,
        };
        SmallFiles = [(files.Labels, labels), (files.Videos, videos), (files.Rows, _content.ToBytes())];
    }

    public SplitFiles Files { get; }

    /// <summary>All but the features.</summary>
    public IReadOnlyList<(string Path, byte[] Bytes)> SmallFiles { get; }

    /// <summary>The features file, read row by row.</summary>
    /// <exception cref="DamagedRowException">On the way: a row is not what it was.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Features
    {
        get
        {
            yield return NpyHeader.Build(_key.ElementType, [_rows.Count, _key.Frames * _key.Views, _key.Dimension]);
            byte[] row = new byte[_key.RowBytes];
            foreach (ResolvedClip clip in _rows)
            {
                if (clip.Row is null)
                {
                    row.AsSpan().Clear();
                }
                else if (!clip.Row.TryRead(row))
                {
                    throw new DamagedRowException(clip);
                }

                yield return row;
            }
        }
    }

    /// <summary>Whether a committed split already has these features.</summary>
    public bool HasSameFeatures(CommittedSplit? committed) =>
        committed is { IsWhole: true } && committed.Content.Key.SequenceEqual(_content.Key)
            && committed.Content.Rows.SequenceEqual(_content.Rows);

    private byte[] EncodeLabels()
    {
        long[] labels = [.. _rows.Select(row => (long)row.Clip.Label)];
        return [.. NpyHeader.Build(ElementType.I64, [labels.Length]), .. MemoryMarshal.AsBytes(labels.AsSpan())];
    }

    private byte[] EncodeVideos(IReadOnlyList<ResolvedClip> leftOut)
    {
        // The column is there where it says something, so that the files of one data set stay as they always were.
        bool several = _rows.Concat(leftOut).Any(row => row.Clip.Dataset is not null);
        StringBuilder text = new StringBuilder("path,class,source,status").Append(several ? ",dataset\n" : "\n");
        foreach ((Clip clip, _, ClipFailure? failure) in _rows.Concat(leftOut))
        {
            string[] fields = [clip.RelativePath, _classes[clip.Label], clip.Source, failure?.Status ?? StatusOfRows,
                .. several ? new[] { clip.Dataset ?? "" } : []];
            text.AppendJoin(',', fields.Select(CsvFile.Quote)).Append('\n');
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
