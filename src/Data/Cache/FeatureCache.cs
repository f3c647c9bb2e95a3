using System.Runtime.InteropServices;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Features of videos on disk: <c>{split}_features.npy</c> and its companions, kept in step with a dataset.</summary>
/// <remarks>
/// Use: <see cref="Open(string, FeatureKey)"/>, <see cref="Plan"/>, <see cref="Append(string, ReadOnlySpan{float})"/> or
/// <see cref="AppendFailure"/> for each missing clip (from any thread, in any order), <see cref="Commit"/>, then read with
/// <see cref="FeatureSet"/>. Killed at any moment, the next session continues where this one stopped. Rows are found by the videos' content
/// and the <see cref="FeatureKey"/>; labels and order come from the dataset at every commit. docs/feature-cache.md describes the files.
/// </remarks>
public sealed class FeatureCache : IDisposable
{
    private readonly CacheDisk _disk;
    private readonly CacheLock _writerLock;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, RowLocation> _rows = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ClipFailure> _failures = new(StringComparer.Ordinal);
    private readonly HashSet<string> _extracted = new(StringComparer.Ordinal);
    private readonly Dictionary<DatasetSplit, CommittedSplit> _committed = [];
    private readonly List<string> _notes = [];
    private RowLog? _log;
    private CachePlan? _plan;
    private Half[]? _halves;

    private FeatureCache(string directory, FeatureKey key, CacheDisk disk, CacheLock writerLock)
    {
        (Directory, Key, _disk, _writerLock) = (directory, key, disk, writerLock);
    }

    /// <summary>Absolute path of the folder.</summary>
    public string Directory { get; }

    public FeatureKey Key { get; }

    /// <summary>Fields in which stored features differ from <see cref="Key"/>; such features are replaced at the next commit.</summary>
    public IReadOnlyList<KeyDifference> Differences { get; private set; } = [];

    /// <summary>What was found: damage, features of another key, an interrupted extraction. Sentences for the log.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Opens a cache for writing, creating the folder if needed, and finishes what an interrupted session left undone.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="key">The features wanted.</param>
    /// <exception cref="CacheLockedException">Another process writes to it.</exception>
    /// <exception cref="CacheFullException">No room even for an empty cache.</exception>
    /// <exception cref="CacheException">Files of that name are not ours or are damaged beyond use; nothing was changed.</exception>
    public static FeatureCache Open(string directory, FeatureKey key) => Open(directory, key, CacheDisk.Real);

    internal static FeatureCache Open(string directory, FeatureKey key, CacheDisk disk)
    {
        key.Validate();
        directory = Path.GetFullPath(directory);
        try
        {
            System.IO.Directory.CreateDirectory(directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CacheException(
                $"The cache folder '{directory}' cannot be created: {exception.Message.TrimEnd('.')}. Choose another --cache-dir.",
                exception);
        }

        var cache = new FeatureCache(directory, key, disk, CacheLock.Take(directory));
        try
        {
            CommitLog.Finish(disk, directory);
            AtomicFile.DeleteStale(directory);
            cache.Load();
            return cache;
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    /// <summary>Compares a dataset with what is stored.</summary>
    /// <exception cref="CacheFullException">The disk has no room for what is missing.</exception>
    public CachePlan Plan(VideoDataset dataset)
    {
        lock (_lock)
        {
            var missing = new List<Clip>();
            var seen = new HashSet<string>(StringComparer.Ordinal);
            var (reused, failures) = (0, 0);
            foreach (var clip in dataset.Clips)
            {
                if (clip.Fault is null && _rows.ContainsKey(clip.ContentHash))
                {
                    reused++;
                }
                else if (clip.Fault is not null || (
                    _failures.TryGetValue(clip.ContentHash, out var failure) && !FailureStatus.IsTransient(failure.Status)))
                {
                    failures++;
                }
                else if (seen.Add(clip.ContentHash))
                {
                    missing.Add(clip);
                }
            }

            var plan = new CachePlan(missing, dataset.Clips.Count(), reused, failures, BytesNeeded(dataset, missing.Count),
                [.. PlanNotes(dataset)]);
            var free = _disk.FreeBytes(Directory);
            if (plan.BytesNeeded > free)
            {
                throw new CacheFullException(Directory, plan.BytesNeeded, free);
            }

            return _plan = plan;
        }
    }

    /// <summary>Stores a video's features. Thread-safe; a second row for the same content is ignored.</summary>
    /// <param name="contentHash">Content of the video.</param>
    /// <param name="row">[T, D] features, rounded if the cache holds float16.</param>
    /// <exception cref="CacheException">A number is not finite, or too large for float16.</exception>
    /// <exception cref="CacheFullException">The disk is full. The row may be appended again once there is room.</exception>
    public void Append(string contentHash, ReadOnlySpan<float> row)
    {
        CheckLength(row.Length);
        CheckFinite(FiniteCheck.IndexOfNonFinite(row), row);
        if (Key.ElementType == ElementType.F32)
        {
            AppendBytes(contentHash, MemoryMarshal.AsBytes(row));
            return;
        }

        lock (_lock)
        {
            _halves ??= new Half[row.Length];
            for (var i = 0; i < row.Length; i++)
            {
                _halves[i] = (Half)row[i];
            }

            CheckFinite(FiniteCheck.IndexOfNonFinite(_halves), row);
            AppendBytes(contentHash, MemoryMarshal.AsBytes(_halves.AsSpan()));
        }
    }

    /// <inheritdoc cref="Append(string, ReadOnlySpan{float})"/>
    public void Append(string contentHash, ReadOnlySpan<Half> row)
    {
        CheckLength(row.Length);
        if (Key.ElementType == ElementType.F16)
        {
            CheckFinite(FiniteCheck.IndexOfNonFinite(row), row);
            AppendBytes(contentHash, MemoryMarshal.AsBytes(row));
            return;
        }

        var singles = new float[row.Length];
        for (var i = 0; i < row.Length; i++)
        {
            singles[i] = (float)row[i];
        }

        Append(contentHash, singles);
    }

    /// <summary>Notes that a video has no features. Thread-safe.</summary>
    /// <param name="contentHash">Content of the video.</param>
    /// <param name="status">A few words for a table. The next session tries again only what <see cref="FailureStatus"/> calls
    /// transient.</param>
    /// <param name="message">The details.</param>
    /// <exception cref="CacheFullException">The disk is full.</exception>
    public void AppendFailure(string contentHash, string status, string message)
    {
        var failure = new ClipFailure(status.ReplaceLineEndings(" "), message);
        lock (_lock)
        {
            if (!_rows.ContainsKey(contentHash))
            {
                Guard(() => OpenLog().AppendFailure(contentHash, failure));
                _failures[contentHash] = failure;
            }
        }
    }

    /// <summary>Reads a video's features, widened to float. Thread-safe.</summary>
    /// <param name="contentHash">Content of the video.</param>
    /// <param name="row">[T, D], overwritten.</param>
    /// <returns>Whether they are stored and undamaged.</returns>
    public bool TryRead(string contentHash, Span<float> row)
    {
        CheckLength(row.Length);
        lock (_lock)
        {
            byte[] stored = new byte[Key.RowBytes];
            if (!_rows.TryGetValue(contentHash, out var location) || RandomAccess.Read(location.File, stored,
                location.Offset) != stored.Length
                || Crc32C.Of(stored) != location.Checksum)
            {
                return false;
            }

            if (Key.ElementType == ElementType.F32)
            {
                MemoryMarshal.Cast<byte, float>(stored).CopyTo(row);
                return true;
            }

            var halves = MemoryMarshal.Cast<byte, Half>(stored);
            for (var i = 0; i < row.Length; i++)
            {
                row[i] = (float)halves[i];
            }

            return true;
        }
    }

    /// <summary>Why a video has no features; null if nothing is known to be wrong with it. Thread-safe.</summary>
    public ClipFailure? FailureOf(string contentHash)
    {
        lock (_lock)
        {
            return _failures.GetValueOrDefault(contentHash);
        }
    }

    /// <summary>Takes over what another session of the same key has extracted into a folder of its own, and deletes that folder.</summary>
    /// <param name="directory">A cache that was never committed.</param>
    /// <exception cref="CacheLockedException">A process still writes to it.</exception>
    /// <exception cref="CacheFullException">The disk is full; the folder stays as it is.</exception>
    public void TakeOver(string directory)
    {
        using (CacheLock.Take(directory))
        {
            if (File.Exists(RowLog.PathIn(directory, Key.Fields)))
            {
                using RowLog other = Guard(() => RowLog.Open(_disk, directory, Key.Fields, Key.RowBytes));
                byte[] row = new byte[Key.RowBytes];
                foreach (var (hash, location) in other.Rows)
                {
                    if (RandomAccess.Read(location.File, row, location.Offset) == row.Length && Crc32C.Of(row) == location.Checksum)
                    {
                        AppendBytes(hash, row);
                    }
                }

                foreach (var (hash, failure) in other.Failures)
                {
                    AppendFailure(hash, failure.Status, failure.Message);
                }
            }
        }

        System.IO.Directory.Delete(directory, recursive: true);
    }

    /// <summary>Makes the split files match a dataset, in its order and with its labels. Writes nothing when they already do.</summary>
    /// <param name="dataset">The dataset; every clip must have been appended, now or before.</param>
    /// <param name="policy">What becomes of clips that failed.</param>
    /// <param name="maxCorrupt">Largest share of failed clips that is tolerated.</param>
    /// <exception cref="CacheException">Clips are missing, too many failed, or a split is left without a class. What was extracted stays
    /// stored.</exception>
    /// <exception cref="CacheFullException">No room for the new files; the old ones are intact.</exception>
    public CacheSummary Commit(VideoDataset dataset, CorruptPolicy policy = CorruptPolicy.Skip, double maxCorrupt = 0.2)
    {
        lock (_lock)
        {
            var resolved = DatasetSplits.All.ToDictionary(
                split => split, split => (IReadOnlyList<ResolvedClip>)[.. dataset[split].Select(Resolve)]);
            var losses = new LossReport(resolved);
            losses.Check(policy, maxCorrupt);

            SplitImage[] images = [.. dataset.Splits.Select(split =>
                new SplitImage(new SplitFiles(Directory, split), Key, resolved[split], policy == CorruptPolicy.Zeros))];
            var changed = new CommitWriter(Directory, _disk, _committed, _log).Write(images, MarkDamaged);
            var clips = resolved.Values.SelectMany(split => split).Where(clip => clip.Row is not null).ToList();
            var extracted = clips.Count(clip => _extracted.Contains(clip.Clip.ContentHash));
            if (changed)
            {
                Load();
            }

            return new CacheSummary
            {
                Splits = losses.Splits,
                Failed = losses.Failed,
                Reused = clips.Count - extracted,
                Extracted = extracted,
                Changed = changed,
                Warnings = losses.Warnings,
            };
        }
    }

    /// <summary>Ends the session; writes nothing.</summary>
    public void Dispose()
    {
        CloseFiles();
        _writerLock.Dispose();
    }

    private void Load()
    {
        CloseFiles();
        _rows.Clear();
        _failures.Clear();
        _notes.Clear();
        Differences = [];
        _log = File.Exists(RowLog.PathIn(Directory, Key.Fields)) ? Guard(OpenLog) : null;
        foreach (var files in SplitFiles.AllIn(Directory))
        {
            if (CommittedSplit.Open(files) is { } split)
            {
                _committed.Add(files.Split, split);
                LoadCommitted(split);
            }
        }

        if (_log is null)
        {
            return;
        }

        foreach (var (hash, row) in _log.Rows)
        {
            _rows[hash] = row;
        }

        foreach (var (hash, failure) in _log.Failures)
        {
            _failures[hash] = failure;
        }

        foreach (var hash in _rows.Keys)
        {
            _failures.Remove(hash);
        }

        if (_log.Rows.Count + _log.Failures.Count > 0)
        {
            _notes.Add($"An extraction was interrupted after {_log.Rows.Count} videos: it continues from there.");
        }
    }

    private void LoadCommitted(CommittedSplit split)
    {
        if (Key.DifferencesFrom(split.Content.Key) is { Count: > 0 } differences)
        {
            Differences = [.. Differences.Union(differences)];
            _notes.Add(
                $"'{split.Files.Features}' holds other features ({string.Join("; ", differences)}): its {split.Content.Rows.Count} rows "
                + "cannot be used and are replaced when the extraction is complete. Choose another --cache-dir to keep them.");
            return;
        }

        _notes.AddRange(split.Problems);
        foreach (var (hash, failure) in split.Content.Failures)
        {
            _failures[hash] = failure;
        }

        foreach (var hash in _log?.Damaged ?? [])
        {
            split.Lose(hash);
        }

        for (var row = 0; row < split.Content.Rows.Count; row++)
        {
            if (split.Locate(row) is { } location)
            {
                _rows[split.Content.Rows[row].ContentHash] = location;
            }
        }
    }

    private void CloseFiles()
    {
        _log?.Dispose();
        _log = null;
        foreach (var split in _committed.Values)
        {
            split.Dispose();
        }

        _committed.Clear();
    }

    private ResolvedClip Resolve(Clip clip) => clip switch
    {
        { Fault: { } fault } => new ResolvedClip(clip, null, new ClipFailure(fault, "")),
        _ when _rows.TryGetValue(clip.ContentHash, out var row) => new ResolvedClip(clip, row, null),
        _ => new ResolvedClip(clip, null, _failures.GetValueOrDefault(clip.ContentHash)),
    };

    /// <summary>The missing rows, and every file that has to be rewritten beside its old version.</summary>
    private long BytesNeeded(VideoDataset dataset, int missing)
    {
        var files = 0L;
        foreach (var split in dataset.Splits)
        {
            var rows = dataset[split].Where(clip => clip.Fault is null && !_failures.ContainsKey(clip.ContentHash))
                .Select(clip => clip.ContentHash);
            var stored = _committed.GetValueOrDefault(split);
            var unchanged = stored is { IsWhole: true }
                && stored.Content.Key.SequenceEqual(Key.Fields)
                && stored.Content.Rows.Where(row => !row.IsZeros).Select(row => row.ContentHash).SequenceEqual(rows);
            files += unchanged ? 0 : (long)dataset[split].Count * Key.RowBytes;
        }

        return (missing * RowLog.RecordBytes(Key.RowBytes)) + files;
    }

    private IEnumerable<string> PlanNotes(VideoDataset dataset)
    {
        var wanted = dataset.Clips.Select(clip => clip.ContentHash).ToHashSet(StringComparer.Ordinal);
        var unused = _rows.Keys.Count(hash => !wanted.Contains(hash));
        if (unused > 0)
        {
            yield return unused == _rows.Count
                ? $"The cache '{Directory}' holds the features of {unused} videos, none of which is in this dataset. They are " +
                    $"replaced when the "
                    + "extraction is complete. Choose another --cache-dir to keep them."
                : $"{unused} cached videos are not in this dataset any more: their features are dropped.";
        }
    }

    private void AppendBytes(string contentHash, ReadOnlySpan<byte> row)
    {
        lock (_lock)
        {
            if (_rows.ContainsKey(contentHash))
            {
                return;
            }

            try
            {
                var log = OpenLog();
                log.AppendRow(contentHash, row);
                _rows[contentHash] = log.Rows[contentHash];
            }
            catch (IOException exception) when (CacheDisk.IsFull(exception))
            {
                throw Full(exception);
            }

            _failures.Remove(contentHash);
            _extracted.Add(contentHash);
        }
    }

    private RowLog OpenLog() => _log ??= RowLog.Open(_disk, Directory, Key.Fields, Key.RowBytes);

    private void MarkDamaged(string contentHash)
    {
        Guard(() => OpenLog().AppendDamaged(contentHash));
        _rows.Remove(contentHash);
        foreach (var split in _committed.Values)
        {
            split.Lose(contentHash);
        }
    }

    private T Guard<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (IOException exception) when (CacheDisk.IsFull(exception))
        {
            throw Full(exception);
        }
    }

    private void Guard(Action action) => Guard(() =>
    {
        action();
        return true;
    });

    private CacheFullException Full(IOException cause)
    {
        var stored = _plan?.Missing.Count(clip => _rows.ContainsKey(clip.ContentHash) || _failures.ContainsKey(clip.ContentHash)) ?? 0;
        var needed = _plan is null ? RowLog.RecordBytes(Key.RowBytes) : _plan.BytesNeeded - (stored * RowLog.RecordBytes(Key.RowBytes));
        return new CacheFullException(Directory, needed, _disk.FreeBytes(Directory), cause);
    }

    private void CheckLength(int length)
    {
        if (length != Key.RowElements)
        {
            throw new ArgumentException(
                $"A row has {Key.Views} × {Key.Frames} × {Key.Dimension} = {Key.RowElements} elements, not {length}.");
        }
    }

    private void CheckFinite<T>(int index, ReadOnlySpan<T> row)
    {
        if (index >= 0)
        {
            var hint = row[index] is float single && float.IsFinite(single)
                ? "It is too large for float16: use --feature-dtype float32."
                : "Check the weight file.";
            throw new CacheException(
                $"The feature at frame {index / Key.Dimension}, element {index % Key.Dimension} is {row[index]}, expected a finite " +
                    $"number. {hint}");
        }
    }
}
