using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>One split's features as the last commit left them.</summary>
internal sealed class CommittedSplit
{
    private readonly byte[] _head;
    private readonly HashSet<int> _lostRows = [];

    private CommittedSplit(SplitFiles files, RowsFile content)
    {
        (int frames, int dimension) = KeyFields.RowShape(content.Key);
        (Files, Content, RowBytes) = (files, content, KeyFields.RowBytes(content.Key));
        _head = NpyHeader.Build(KeyFields.ElementTypeOf(content.Key), [content.Rows.Count, frames, dimension]);
    }

    public SplitFiles Files { get; }

    public RowsFile Content { get; }

    public int RowBytes { get; }

    /// <summary>Rows that are missing or damaged, as a sentence; null for none.</summary>
    public string? Problem { get; private set; }

    /// <summary>Whether every row is in place as far as it was checked.</summary>
    public bool IsWhole => _lostRows.Count == 0;

    /// <summary>Opens a split and checks sizes and a sample of its rows; a full check is <see cref="FindDamagedRows"/>.</summary>
    /// <returns>The split; null when there is none.</returns>
    /// <exception cref="CacheException">Files that this program did not write, or whose description is damaged.</exception>
    public static CommittedSplit? Open(SplitFiles files)
    {
        if (!File.Exists(files.Rows))
        {
            return files.All.FirstOrDefault(File.Exists) is { } foreign
                ? throw new CacheException(
                    $"'{foreign}' was not written by this cache ('{Path.GetFileName(files.Rows)}' is missing), so it is not overwritten. "
                    + $"Choose another {SettingName.Of("CacheDir")}, or move the file away. To train on existing features use " +
                        $"{SettingName.Of("FeaturesDir")}.")
                : null;
        }

        RowsFile content;
        try
        {
            content = RowsFile.Read(files.Rows);
        }
        catch (FileFormatException exception)
        {
            throw new CacheException(
                $"{exception.Message} Without it the rows of '{Path.GetFileName(files.Features)}' cannot be told apart. "
                + $"Remove them with 'cudatrainer cache clear' to extract them again, or choose another {SettingName.Of("CacheDir")}.",
                exception);
        }

        var split = new CommittedSplit(files, content);
        split.Check();
        return split;
    }

    /// <summary>Whether a split's files are this program's: described by a file of ours, be it damaged, and not replaced since.</summary>
    /// <param name="files">The files.</param>
    /// <param name="reason">Why they are not.</param>
    public static bool AreOurs(SplitFiles files, out string reason)
    {
        reason = "not written by this cache";
        if (!RowsFile.LooksLikeOurs(files.Rows))
        {
            return false;
        }

        try
        {
            Open(files);
            return true;
        }
        catch (Exception exception) when (exception is CacheException or FileFormatException)
        {
            reason = exception.Message;
            return exception.InnerException is FileFormatException;
        }
    }

    /// <summary>Where a row lies; null when it is lost or a failure's zeros.</summary>
    public RowLocation? Locate(int row) => _lostRows.Contains(row) || Content.Rows[row].IsZeros ? null : LocationOf(row);

    /// <summary>Gives up the rows of contents that are known to be damaged.</summary>
    public void Lose(IEnumerable<string> contentHashes)
    {
        HashSet<string> lost = [.. contentHashes];
        _lostRows.UnionWith(Enumerable.Range(0, Content.Rows.Count).Where(row => lost.Contains(Content.Rows[row].ContentHash)));
    }

    /// <summary>Reads every row and compares it with its checksum.</summary>
    /// <param name="rowDone">Called after each row.</param>
    /// <param name="cancellation">Stops reading.</param>
    public IReadOnlyList<int> FindDamagedRows(Action? rowDone = null, CancellationToken cancellation = default)
    {
        long length = CacheInspector.Size(Files.Features);
        byte[]? buffer = null;
        List<int> damaged = [];
        for (int row = 0; row < Content.Rows.Count; row++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!IsWholeRow(row, length, ref buffer))
            {
                damaged.Add(row);
            }

            rowDone?.Invoke();
        }

        return damaged;
    }

    /// <param name="length">Of the features file: a description may claim rows larger than it, for which there is no memory.</param>
    /// <param name="buffer">Made for the first row that can be there.</param>
    private bool IsWholeRow(int row, long length, ref byte[]? buffer) =>
        _head.Length + ((row + 1L) * RowBytes) <= length && LocationOf(row).TryRead(buffer ??= new byte[RowBytes]);

    private RowLocation LocationOf(int row) =>
        new(Files.Features, _head.Length + ((long)row * RowBytes), Content.Rows[row].Checksum);

    /// <remarks>A file of the same shape from elsewhere differs in every row, so three of them tell.</remarks>
    private void Check()
    {
        int count = Content.Rows.Count;
        long expected = _head.Length + ((long)count * RowBytes), length = 0;
        if (File.Exists(Files.Features))
        {
            using SafeFileHandle features = InputFile.Open(Files.Features);
            length = RandomAccess.GetLength(features);
            byte[] head = new byte[Math.Min(length, _head.Length)];
            InputFile.ReadExactly(features, Files.Features, 0, head);
            if (!_head.AsSpan().StartsWith(head) || length > expected)
            {
                throw Replaced();
            }
        }

        byte[]? buffer = null;
        int[] sample = count == 0 ? [] : [0, count / 2, count - 1];
        if (length == expected && sample.All(row => IsWholeRow(row, length, ref buffer)))
        {
            return;
        }

        IReadOnlyList<int> damaged = FindDamagedRows();
        if (length == expected && damaged.Count == count && count > 1)
        {
            throw Replaced();
        }

        _lostRows.UnionWith(damaged);
        Problem = $"'{Files.Features}' has lost {damaged.Count} of its {count} rows, of which row {damaged.FirstOrDefault()} is the " +
            "first: missing or damaged, they are extracted again.";
    }

    private CacheException Replaced() => new(
        $"'{Files.Features}' is not the file that '{Path.GetFileName(Files.Rows)}' describes: something else replaced it, so it is not "
        + $"overwritten. Move it away, or choose another {SettingName.Of("CacheDir")}. To train on existing features use " +
            $"{SettingName.Of("FeaturesDir")}.");
}
