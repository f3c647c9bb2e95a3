using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Dataset;

/// <summary>Remembers the content hash of files that have not changed since they were read.</summary>
/// <remarks>
/// A text file: a title line, one line <c>HASH BYTES MODIFIED_NS PATH</c> per video, and a last line with the SHA-256 of all before it. It
/// only saves time: a damaged one is read as empty. A file changed within the resolution of its time stamp would look unchanged, so files
/// younger than <see cref="SettlingNanoseconds"/> are not remembered (the rule Git follows for its index).
/// </remarks>
internal sealed class ContentHashIndex
{
    public const string FileName = "content_hashes.txt";

    private const string Title = "cudatrainer content hashes 1";
    private const string ChecksumPrefix = "sha256 ";
    private const long SettlingNanoseconds = 2_000_000_000;

    private readonly string? _path;
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private volatile bool _changed;

    private ContentHashIndex(string? path) => _path = path;

    /// <summary>Why files have to be read again although they may be known; null when nothing is wrong.</summary>
    public string? Fault { get; private set; }

    public int Count => _entries.Count;

    /// <summary>Reads the index in a folder.</summary>
    /// <param name="directory">The folder; null for an index that is never stored.</param>
    public static ContentHashIndex Open(string? directory)
    {
        if (directory is null)
        {
            return new ContentHashIndex(null);
        }

        var index = new ContentHashIndex(Path.Combine(directory, FileName));
        try
        {
            index.Load();
        }
        catch (FileNotFoundException)
        {
            // The first run.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            index._entries.Clear();
            index.Fault = $"The list of known files '{index._path}' could not be used ({exception.Message.TrimEnd('.')}): every video is read again.";
        }

        return index;
    }

    /// <summary>The hash of a file, if it is known and the file has not changed.</summary>
    public string? Find(string path, FileFacts facts) =>
        _entries.TryGetValue(path, out Entry? entry) && entry.Bytes == facts.Bytes && entry.ModifiedNanoseconds == facts.ModifiedNanoseconds
            ? entry.Hash
            : null;

    /// <summary>Notes a hash. Does nothing for a file too young to trust its time stamp.</summary>
    /// <param name="path">The file.</param>
    /// <param name="facts">What it was like both before and after it was read.</param>
    /// <param name="hash">SHA-256, hexadecimal.</param>
    /// <param name="readAtNanoseconds">When reading began, nanoseconds since 1970.</param>
    public void Remember(string path, FileFacts facts, string hash, long readAtNanoseconds)
    {
        if (readAtNanoseconds - facts.ModifiedNanoseconds >= SettlingNanoseconds && path.AsSpan().IndexOfAny('\r', '\n') < 0)
        {
            _entries[path] = new Entry(hash, facts.Bytes, facts.ModifiedNanoseconds);
            _changed = true;
        }
    }

    /// <summary>Forgets the files below a folder that are not in it any more.</summary>
    public void Prune(string folder, IReadOnlySet<string> present)
    {
        string prefix = folder.EndsWith(Path.DirectorySeparatorChar) ? folder : folder + Path.DirectorySeparatorChar;
        foreach (string path in _entries.Keys.Where(path => path.StartsWith(prefix, StringComparison.Ordinal) && !present.Contains(path)))
        {
            _changed |= _entries.TryRemove(path, out _);
        }
    }

    /// <summary>Stores the index if it changed. Failure costs only time, so it is noted in <see cref="Fault"/>.</summary>
    public void Save()
    {
        if (_path is null || !_changed)
        {
            return;
        }

        _changed = false;
        StringBuilder text = new StringBuilder(Title).Append('\n');

        // Others go on adding: only the dictionary's own copy is of one moment.
        foreach ((string path, Entry entry) in _entries.ToArray().OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{entry.Hash} {entry.Bytes} {entry.ModifiedNanoseconds} {path}\n");
        }

        string body = text.ToString();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            AtomicFile.WriteAllText(_path, $"{body}{ChecksumPrefix}{FileHash.OfText(body)}\n");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Fault = $"The list of known files could not be stored ({exception.Message.TrimEnd('.')}): the next run reads every video again.";
        }
    }

    private void Load()
    {
        using SafeFileHandle handle = InputFile.Open(_path!);
        using var reader = new StreamReader(new FileStream(handle, FileAccess.Read), Encoding.UTF8);
        string text = reader.ReadToEnd();
        int end = text.LastIndexOf(ChecksumPrefix, StringComparison.Ordinal);
        if (!text.StartsWith(Title + "\n", StringComparison.Ordinal)
            || end < 0
            || text[(end + ChecksumPrefix.Length)..].TrimEnd() != FileHash.OfText(text[..end]))
        {
            throw new FileFormatException(_path!, "its content does not match its checksum");
        }

        foreach (string line in text[(Title.Length + 1)..end].Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split(' ', 4) is not [var hash, var size, var time, var path]
                || !long.TryParse(size, CultureInfo.InvariantCulture, out long bytes)
                || !long.TryParse(time, CultureInfo.InvariantCulture, out long modified))
            {
                throw new FileFormatException(_path!, $"expected HASH BYTES MODIFIED_NS PATH, found '{line}'");
            }

            _entries[path] = new Entry(hash, bytes, modified);
        }
    }

    private sealed record Entry(string Hash, long Bytes, long ModifiedNanoseconds);
}
