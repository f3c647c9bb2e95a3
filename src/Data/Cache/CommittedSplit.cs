using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>One split's features as the last commit left them.</summary>
internal sealed class CommittedSplit : IDisposable
{
    private readonly SafeFileHandle? _features;
    private readonly long _dataOffset;
    private readonly HashSet<int> _lostRows = [];

    private CommittedSplit(SplitFiles files, RowsFile content, SafeFileHandle? features, long dataOffset)
    {
        (Files, Content, _features, _dataOffset) = (files, content, features, dataOffset);
    }

    public SplitFiles Files { get; }

    public RowsFile Content { get; }

    /// <summary>Rows that are missing or damaged, as sentences.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>Whether every row is in place as far as it was checked.</summary>
    public bool IsWhole => _features is not null && _lostRows.Count == 0;

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
                    + "Choose another --cache-dir, or move the file away. To train on existing features use --features-dir.")
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
                + "Remove them with 'cudatrainer cache clear' to extract them again, or choose another --cache-dir.",
                exception);
        }

        var (frames, dimension) = content.RowShape;
        var head = NpyHeader.Build(content.ElementType, [content.Rows.Count, frames, dimension]);
        if (!File.Exists(files.Features))
        {
            var missing = new CommittedSplit(files, content, null, head.Length);
            missing.Problems.Add($"'{files.Features}' is missing: its {content.Rows.Count} rows are extracted again.");
            return missing;
        }

        var split = new CommittedSplit(files, content, InputFile.Open(files.Features), head.Length);
        try
        {
            split.CheckStructure(head);
            split.CheckSample();
            return split;
        }
        catch
        {
            split.Dispose();
            throw;
        }
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
            using var split = Open(files);
            return true;
        }
        catch (CacheException exception)
        {
            reason = exception.Message;
            return exception.InnerException is FileFormatException;
        }
        catch (FileFormatException exception)
        {
            reason = exception.Message;
            return false;
        }
    }

    /// <summary>Where a row lies; null when it is lost or a failure's zeros.</summary>
    public RowLocation? Locate(int row) => _features is null || _lostRows.Contains(row) || Content.Rows[row].IsZeros
        ? null
        : new RowLocation(_features, Files.Features, _dataOffset + ((long)row * Content.RowBytes), Content.Rows[row].Checksum);

    /// <summary>Gives up the rows of a content, which are known to be damaged.</summary>
    public void Lose(string contentHash)
    {
        for (var row = 0; row < Content.Rows.Count; row++)
        {
            if (Content.Rows[row].ContentHash == contentHash)
            {
                _lostRows.Add(row);
            }
        }
    }

    /// <summary>Reads every row and compares it with its checksum.</summary>
    /// <param name="rowDone">Called after each row.</param>
    /// <param name="cancellation">Stops reading.</param>
    public IReadOnlyList<int> FindDamagedRows(Action? rowDone = null, CancellationToken cancellation = default)
    {
        var buffer = new byte[Content.RowBytes];
        var damaged = new List<int>();
        for (var row = 0; row < Content.Rows.Count; row++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!IsIntact(row, buffer))
            {
                damaged.Add(row);
            }

            rowDone?.Invoke();
        }

        return damaged;
    }

    public void Dispose() => _features?.Dispose();

    private void CheckStructure(byte[] expectedHead)
    {
        var length = RandomAccess.GetLength(_features!);
        var expected = _dataOffset + ((long)Content.Rows.Count * Content.RowBytes);
        var head = new byte[Math.Min(length, expectedHead.Length)];
        InputFile.ReadExactly(_features!, Files.Features, 0, head);
        if (!expectedHead.AsSpan().StartsWith(head) || length > expected)
        {
            throw Replaced();
        }

        if (length < expected)
        {
            var whole = Math.Max(0, length - _dataOffset) / Content.RowBytes;
            for (var row = (int)whole; row < Content.Rows.Count; row++)
            {
                _lostRows.Add(row);
            }

            Problems.Add($"'{Files.Features}' is truncated to {length} of {expected} bytes: {_lostRows.Count} of {Content.Rows.Count} rows are extracted again.");
        }
    }

    /// <remarks>A file of the same shape from elsewhere differs in every row, so three of them tell.</remarks>
    private void CheckSample()
    {
        var count = Content.Rows.Count - _lostRows.Count;
        var buffer = new byte[Content.RowBytes];
        if (count == 0 || new[] { 0, count / 2, count - 1 }.All(row => IsIntact(row, buffer)))
        {
            return;
        }

        var damaged = FindDamagedRows();
        if (damaged.Count == Content.Rows.Count && damaged.Count > 1)
        {
            throw Replaced();
        }

        _lostRows.UnionWith(damaged);
        Problems.Add($"'{Files.Features}' has {damaged.Count} damaged rows of {Content.Rows.Count} (the first is row {damaged[0]}): they are extracted again.");
    }

    private bool IsIntact(int row, byte[] buffer)
    {
        var offset = _dataOffset + ((long)row * Content.RowBytes);
        if (_features is null || offset + Content.RowBytes > RandomAccess.GetLength(_features))
        {
            return false;
        }

        InputFile.ReadExactly(_features, Files.Features, offset, buffer);
        return Crc32C.Of(buffer) == Content.Rows[row].Checksum;
    }

    private CacheException Replaced() => new(
        $"'{Files.Features}' is not the file that '{Path.GetFileName(Files.Rows)}' describes: something else replaced it, so it is " +
            $"not overwritten. "
        + "Move it away, or choose another --cache-dir. To train on existing features use --features-dir.");
}
