using System.Buffers.Binary;
using System.Text;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>Why a video has no features.</summary>
/// <param name="Status">A few words for a table, such as <c>zero frames</c>.</param>
/// <param name="Message">The details.</param>
internal sealed record ClipFailure(string Status, string Message);

/// <summary>
/// What the split files do not hold: <c>clips-KEY</c> with one file for each video, named by its content. Either it was extracted since the
/// last commit, or it was put aside by one, because the dataset does not have the video, or wants features of another kind.
/// </summary>
/// <remarks>
/// A file appears whole or not at all, so several processes may write at once, and what is there when they are killed counts. It ends
/// with a word and the CRC-32C (u32, little-endian) of all before the word: after <c>row </c> come features as they are stored, after
/// <c>fail</c> a status, a line end and a message, after <c>lost</c> nothing: the video's row in the split files is not to be used.
/// Files are left to the system to write out; one that a power failure took does not match its checksum. <c>key.json</c> says how the
/// features were made.
/// </remarks>
internal sealed class ClipFolder
{
    private const string Prefix = "clips-";
    private const string Extension = ".clip";
    private const string KeyName = "key.json";
    private const int EndBytes = 4 + sizeof(uint);

    private readonly CacheDisk _disk;
    private readonly Dictionary<string, RowLocation> _rows = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ClipFailure> _failures = new(StringComparer.Ordinal);
    private readonly HashSet<string> _lost = new(StringComparer.Ordinal);
    private readonly List<string> _unusable = [];
    private readonly DateTime _committed;
    private bool _hasKey;

    /// <summary>A folder to add to, which may not be there yet; nothing is read.</summary>
    public ClipFolder(CacheDisk disk, string directory, IReadOnlyList<KeyValuePair<string, string>> key)
    {
        (_disk, Path, Key) = (disk, PathIn(directory, key), key);
        _hasKey = File.Exists(KeyPath);
        _committed = SplitFiles.AllIn(directory).Select(files => files.Rows).Where(File.Exists).Select(File.GetLastWriteTimeUtc)
            .DefaultIfEmpty(DateTime.MinValue).Max();
    }

    private static ReadOnlySpan<byte> RowWord => "row "u8;

    private static ReadOnlySpan<byte> FailureWord => "fail"u8;

    private static ReadOnlySpan<byte> LostWord => "lost"u8;

    public string Path { get; }

    /// <summary>How the features were made.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Key { get; }

    /// <summary>By content hash.</summary>
    public IReadOnlyDictionary<string, RowLocation> Rows => _rows;

    /// <summary>By content hash.</summary>
    public IReadOnlyDictionary<string, ClipFailure> Failures => _failures;

    /// <summary>Contents of which a row in the split files is not to be used: extracted again, or damaged.</summary>
    public IEnumerable<string> Replaced => [.. _rows.Keys, .. _failures.Keys, .. _lost];

    /// <summary>Videos that were extracted since the last commit.</summary>
    public int Recent { get; private set; }

    /// <summary>Files that are damaged.</summary>
    public IReadOnlyList<string> Unusable => _unusable;

    public IReadOnlyList<string> Files => FilesOf(Path);

    private string KeyPath => System.IO.Path.Combine(Path, KeyName);

    public static string PathIn(string directory, IReadOnlyList<KeyValuePair<string, string>> key) =>
        System.IO.Path.Combine(directory, Prefix + KeyFields.Identifier(key));

    public static IReadOnlyList<string> AllIn(string directory) =>
        [.. Directory.EnumerateDirectories(directory, Prefix + "*").Order(StringComparer.Ordinal)];

    /// <summary>The files in such a folder that are ours; none if it is not there.</summary>
    public static IReadOnlyList<string> FilesOf(string path) => !Directory.Exists(path) ? []
        : [.. Directory.EnumerateFiles(path).Where(file => file.EndsWith(Extension, StringComparison.Ordinal)
            || System.IO.Path.GetFileName(file) == KeyName).Order(StringComparer.Ordinal)];

    /// <summary>Those of <see cref="FilesOf"/> that hold what was made of a video.</summary>
    public static IEnumerable<string> ClipsOf(string path) => FilesOf(path).Where(file => System.IO.Path.GetFileName(file) != KeyName);

    /// <summary>Bytes that a row takes.</summary>
    public static int FileBytes(int rowBytes) => rowBytes + EndBytes;

    /// <summary>Reads what has been extracted for a key, which may be nothing.</summary>
    public static ClipFolder Read(CacheDisk disk, string directory, IReadOnlyList<KeyValuePair<string, string>> key)
    {
        var folder = new ClipFolder(disk, directory, key);
        int rowBytes = KeyFields.RowBytes(key);
        foreach (string path in folder.Files.Where(path => path != folder.KeyPath))
        {
            try
            {
                // What a commit put aside is on the disk, and is checked when it is used; reading all of it would take as long as that.
                bool isRecent = File.GetLastWriteTimeUtc(path) > folder._committed;
                if (!(isRecent ? folder.Read(path, File.ReadAllBytes(path), rowBytes) : folder.ReadEnd(path, rowBytes)))
                {
                    folder._unusable.Add(path);
                }
                else if (isRecent && !folder._lost.Contains(System.IO.Path.GetFileNameWithoutExtension(path)))
                {
                    folder.Recent++;
                }
            }
            catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
            {
                // Committed by its writer while somebody looks at it.
            }
        }

        return folder;
    }

    /// <summary>Reads a folder found by its name.</summary>
    /// <returns>Null when its key is not the one that it is named after: it is not ours, or damaged.</returns>
    public static ClipFolder? TryRead(string path)
    {
        string file = System.IO.Path.Combine(path, KeyName), directory = System.IO.Path.GetDirectoryName(path)!;
        return File.Exists(file) && KeyFields.FromJson(File.ReadAllBytes(file)) is { } key && PathIn(directory, key) == path
            ? Read(CacheDisk.Real, directory, key)
            : null;
    }

    /// <param name="contentHash">Content of the video.</param>
    /// <param name="file">The row, then room for the end of the file: <see cref="FileBytes"/> in all.</param>
    public RowLocation AddRow(string contentHash, byte[] file)
    {
        uint checksum = Write(contentHash, file, RowWord);
        _failures.Remove(contentHash);
        return _rows[contentHash] = new RowLocation(PathOf(contentHash), 0, checksum);
    }

    /// <summary>Puts aside a row that the split files are about to lose.</summary>
    /// <param name="row">With room for the end of the file: <see cref="FileBytes"/> in all.</param>
    public void Keep(string contentHash, byte[] row)
    {
        if (!File.Exists(PathOf(contentHash)))
        {
            Write(contentHash, row, RowWord, isDurable: true);
        }
    }

    public void AddFailure(string contentHash, ClipFailure failure)
    {
        Write(contentHash, [.. Encoding.UTF8.GetBytes($"{failure.Status}\n{failure.Message}"), .. new byte[EndBytes]], FailureWord);
        _failures[contentHash] = failure;
    }

    /// <summary>Has a video extracted again, whose row turned out to be damaged here or in the split files.</summary>
    public void AddLost(string contentHash)
    {
        Write(contentHash, new byte[EndBytes], LostWord);
        _rows.Remove(contentHash);
        _lost.Add(contentHash);
    }

    /// <summary>Deletes damaged files, whose videos are then extracted again, and what killed processes left.</summary>
    public void Tidy()
    {
        if (Directory.Exists(Path))
        {
            AtomicFile.DeleteStale(Path);
            _unusable.ForEach(_disk.Delete);
        }
    }

    /// <summary>Deletes what the split files have now, and the folder if nothing is left in it.</summary>
    /// <param name="isCommitted">Whether they have a content, or know that it failed.</param>
    /// <returns>Whether anything was deleted.</returns>
    public bool Delete(Predicate<string> isCommitted)
    {
        if (!Directory.Exists(Path))
        {
            return false;
        }

        Tidy();
        string[] files = [.. Files.Where(file => file != KeyPath)];
        string[] committed = [.. files.Where(file => isCommitted(System.IO.Path.GetFileNameWithoutExtension(file)))];
        foreach (string file in committed)
        {
            _disk.Delete(file);
        }

        if (committed.Length == files.Length)
        {
            _disk.Delete(KeyPath);
            if (!Directory.EnumerateFileSystemEntries(Path).Any())
            {
                Directory.Delete(Path);
            }
        }

        return committed.Length > 0 || files.Length == 0;
    }

    private string PathOf(string contentHash) => System.IO.Path.Combine(Path, contentHash + Extension);

    private bool Read(string path, ReadOnlySpan<byte> bytes, int rowBytes)
    {
        if (bytes.Length < EndBytes)
        {
            return false;
        }

        ReadOnlySpan<byte> content = bytes[..^EndBytes], word = bytes[^EndBytes..^sizeof(uint)];
        uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(bytes[^sizeof(uint)..]);
        string hash = System.IO.Path.GetFileNameWithoutExtension(path);
        if (Crc32C.Of(content) != checksum)
        {
            return false;
        }

        if (word.SequenceEqual(RowWord) && content.Length == rowBytes)
        {
            _rows.Add(hash, new RowLocation(path, 0, checksum));
            return true;
        }

        if (word.SequenceEqual(FailureWord))
        {
            string[] text = Encoding.UTF8.GetString(content).Split('\n', 2);
            _failures.Add(hash, new ClipFailure(text[0], text[^1]));
            return true;
        }

        return word.SequenceEqual(LostWord) && _lost.Add(hash);
    }

    /// <summary>A row by its size and its last bytes; anything else, which is short, as a whole.</summary>
    private bool ReadEnd(string path, int rowBytes)
    {
        if (new FileInfo(path).Length != FileBytes(rowBytes))
        {
            return Read(path, File.ReadAllBytes(path), rowBytes);
        }

        using SafeFileHandle file = InputFile.Open(path);
        byte[] end = new byte[EndBytes];
        InputFile.ReadExactly(file, path, rowBytes, end);
        if (!end.AsSpan(0, EndBytes - sizeof(uint)).SequenceEqual(RowWord))
        {
            return Read(path, File.ReadAllBytes(path), rowBytes);
        }

        uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(end.AsSpan(EndBytes - sizeof(uint)));
        _rows.Add(System.IO.Path.GetFileNameWithoutExtension(path), new RowLocation(path, 0, checksum));
        return true;
    }

    private uint Write(string contentHash, byte[] file, ReadOnlySpan<byte> word, bool isDurable = false)
    {
        if (!_hasKey)
        {
            Directory.CreateDirectory(Path);
            _disk.Write(KeyPath, [KeyFields.ToJson(Key)], isDurable: false);
            _hasKey = true;
        }

        uint checksum = Crc32C.Of(file.AsSpan(0, file.Length - EndBytes));
        word.CopyTo(file.AsSpan(file.Length - EndBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(file.Length - sizeof(uint)), checksum);
        _disk.Write(PathOf(contentHash), [file], isDurable);
        return checksum;
    }
}
