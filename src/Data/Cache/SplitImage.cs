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

/// <summary>What a split's files are to contain. Depends on the dataset and the features only, not on how they came to be.</summary>
internal sealed class SplitImage
{
    private const string StatusOfRows = "ok";

    private readonly FeatureKey _key;

    /// <param name="files">Where.</param>
    /// <param name="key">What kind of features.</param>
    /// <param name="clips">Clips in the order of the dataset.</param>
    /// <param name="keepFailures">Whether failed clips get a row of zeros; otherwise they get none.</param>
    public SplitImage(SplitFiles files, FeatureKey key, IReadOnlyList<ResolvedClip> clips, bool keepFailures)
    {
        (Files, _key) = (files, key);
        var zeros = Crc32C.Of(new byte[key.RowBytes]);
        Rows = [.. clips.Where(clip => clip.Failure is null || keepFailures)];
        Labels = EncodeLabels();
        Videos = EncodeVideos([.. clips.Except(Rows)]);
        Content = new RowsFile(
            key.Fields,
            [.. Rows.Select(row => new RowEntry(row.Clip.ContentHash, row.Row?.Checksum ?? zeros, row.Row is null))],
            clips.Where(clip => clip is { Failure: not null, Clip.Fault: null }).DistinctBy(clip => clip.Clip.ContentHash)
                .ToDictionary(clip => clip.Clip.ContentHash, clip => clip.Failure!, StringComparer.Ordinal),
            Crc32C.Of(Labels),
            Crc32C.Of(Videos));
    }

    public SplitFiles Files { get; }

    public RowsFile Content { get; }

    /// <summary>The clips that have a row, in order.</summary>
    public IReadOnlyList<ResolvedClip> Rows { get; }

    public byte[] Labels { get; }

    public byte[] Videos { get; }

    public int RowBytes => _key.RowBytes;

    public byte[] FeaturesHead => NpyHeader.Build(_key.ElementType, [Rows.Count, _key.Frames * _key.Views, _key.Dimension]);

    public long FeaturesBytes => FeaturesHead.Length + ((long)Rows.Count * _key.RowBytes);

    /// <summary>Whether a committed split already has these features.</summary>
    public bool HasSameFeatures(CommittedSplit? committed) =>
        committed is { IsWhole: true } && committed.Content.Key.SequenceEqual(Content.Key)
            && committed.Content.Rows.SequenceEqual(Content.Rows);

    private byte[] EncodeLabels()
    {
        var head = NpyHeader.Build(ElementType.I64, [Rows.Count]);
        var labels = Rows.Select(row => (long)row.Clip.Label).ToArray();
        return [.. head, .. MemoryMarshal.AsBytes(labels.AsSpan())];
    }

    private byte[] EncodeVideos(IReadOnlyList<ResolvedClip> leftOut)
    {
        var text = new StringBuilder("path,class,source,status\n");
        foreach (var (clip, _, failure) in Rows.Concat(leftOut))
        {
            string[] fields = [clip.RelativePath, ClassLabel.Name(clip.Label), clip.Source, failure?.Status ?? StatusOfRows];
            text.AppendJoin(',', fields.Select(CsvFile.Quote)).Append('\n');
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
