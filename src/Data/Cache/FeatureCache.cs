using System.Runtime.InteropServices;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Features of videos on disk: <c>{split}_features.npy</c> and its companions, kept in step with a dataset.</summary>
/// <remarks>
/// Use: <see cref="Open(string, FeatureKey)"/>, <see cref="Plan"/>, <see cref="Append"/> or <see cref="AppendFailure"/> for each missing
/// clip (from any thread, in any order), <see cref="Commit"/>, then read with <see cref="FeatureSet"/>. Killed at any moment, the next
/// session continues where this one stopped. Rows are found by the videos' content and the <see cref="FeatureKey"/>; labels and order come
/// from the dataset at every commit. docs/feature-cache.md describes the files.
/// </remarks>
internal sealed class FeatureCache : IDisposable
{
    private readonly CacheDisk _disk;
    private readonly FolderLock? _writerLock;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, RowLocation> _rows = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ClipFailure> _failures = new(StringComparer.Ordinal);
    private readonly Dictionary<DatasetSplit, CommittedSplit> _committed = [];
    private readonly List<string> _notes = [];
    private readonly byte[] _file;
    private ClipFolder _clips;
    private VideoDataset? _dataset;
    private HashSet<string> _planned = [];

    private FeatureCache(string directory, FeatureKey key, CacheDisk disk, FolderLock? writerLock)
    {
        (Directory, Key, _disk, _writerLock) = (directory, key, disk, writerLock);
        _clips = new ClipFolder(disk, directory, key.Fields);
        _file = new byte[ClipFolder.FileBytes(key.RowBytes)];
    }

    /// <summary>Absolute path of the folder.</summary>
    public string Directory { get; }

    public FeatureKey Key { get; }

    private Span<byte> Row => _file.AsSpan(0, Key.RowBytes);

    /// <summary>Fields in which stored features differ from <see cref="Key"/>; such features are replaced at the next commit.</summary>
    public IReadOnlyList<KeyDifference> Differences { get; private set; } = [];

    /// <summary>What was found: damage, features of another key, an interrupted extraction. Sentences for the log.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Opens a cache for writing, creating the folder if needed, and finishes what an interrupted session left undone.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="key">The features wanted.</param>
    /// <exception cref="CacheLockedException">Another process writes to it.</exception>
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
                $"The cache folder '{directory}' cannot be created: {exception.Message.TrimEnd('.')}. Choose another " +
                    $"{SettingName.Of("CacheDir")}.",
                exception);
        }

        var cache = new FeatureCache(directory, key, disk, CacheLock.Take(directory));
        try
        {
            CacheCommit.Finish(disk, directory);
            AtomicFile.DeleteStale(directory);
            cache.Load();
            cache._clips.Tidy();
            return cache;
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    /// <summary>Helps a process that has a cache open: what is appended here is its own after <see cref="Refresh"/>.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="key">The features that the other process wants.</param>
    /// <returns>A cache that only takes features; it knows of none, and commits nothing.</returns>
    public static FeatureCache Help(string directory, FeatureKey key) => new(Path.GetFullPath(directory), key, CacheDisk.Real, null);

    /// <summary>Looks for features that others have appended since.</summary>
    public void Refresh()
    {
        lock (_lock)
        {
            Load();
        }
    }

    /// <summary>Compares a dataset with what is stored.</summary>
    /// <exception cref="CacheFullException">The disk has no room for what is missing.</exception>
    public CachePlan Plan(VideoDataset dataset)
    {
        lock (_lock)
        {
            List<Clip> missing = MissingOf(dataset);
            (_dataset, _planned) = (dataset, [.. missing.Select(clip => clip.ContentHash)]);
            int reused = dataset.Clips.Count(clip => clip.Fault is null && _rows.ContainsKey(clip.ContentHash));
            int failures = dataset.Clips.Count(clip => clip.Fault is not null
                || (!_rows.ContainsKey(clip.ContentHash) && !_planned.Contains(clip.ContentHash)));
            var plan = new CachePlan(missing, dataset.Clips.Count(), reused, failures, BytesNeeded(dataset), [.. PlanNotes(dataset)]);
            long free = _disk.FreeBytes(Directory);
            return plan.BytesNeeded <= free ? plan : throw new CacheFullException(Directory, plan.BytesNeeded, free);
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
        lock (_lock)
        {
            if (_rows.ContainsKey(contentHash))
            {
                return;
            }

            if (Key.ElementType == ElementType.F32)
            {
                MemoryMarshal.AsBytes(row).CopyTo(Row);
            }
            else
            {
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(Row);
                for (int i = 0; i < row.Length; i++)
                {
                    halves[i] = (Half)row[i];
                }

                CheckFinite(FiniteCheck.IndexOfNonFinite(halves), row);
            }

            OnDisk(() => _rows[contentHash] = _clips.AddRow(contentHash, _file));
            _failures.Remove(contentHash);
        }
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
                OnDisk(() => _clips.AddFailure(contentHash, failure));
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
            if (!_rows.TryGetValue(contentHash, out RowLocation? location) || !location.TryRead(Row))
            {
                return false;
            }

            if (Key.ElementType == ElementType.F32)
            {
                MemoryMarshal.Cast<byte, float>(Row).CopyTo(row);
                return true;
            }

            Span<Half> halves = MemoryMarshal.Cast<byte, Half>(Row);
            for (int i = 0; i < row.Length; i++)
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
            _dataset = dataset;
            Dictionary<DatasetSplit, IReadOnlyList<ResolvedClip>> resolved = DatasetSplits.All.ToDictionary(
                split => split, split => (IReadOnlyList<ResolvedClip>)[.. dataset[split].Select(Resolve)]);
            var losses = new LossReport(resolved, dataset.Classes, dataset.IsDivided);
            losses.Check(policy, maxCorrupt);
            bool changed = Write([.. dataset.Splits.Select(split =>
                new SplitImage(new SplitFiles(Directory, split), Key, resolved[split], dataset.Classes, policy == CorruptPolicy.Zeros))],
            ContentsOf(dataset));
            List<ResolvedClip> rows = [.. resolved.Values.SelectMany(split => split).Where(clip => clip.Row is not null)];
            int extracted = rows.Count(row => _planned.Contains(row.Clip.ContentHash));
            if (changed)
            {
                Load();
            }

            return new CacheSummary
            {
                Splits = losses.Splits,
                Failed = losses.Failed,
                Reused = rows.Count - extracted,
                Extracted = extracted,
                Changed = changed,
                Warnings = losses.Warnings,
            };
        }
    }

    /// <summary>Ends the session; writes nothing.</summary>
    public void Dispose() => _writerLock?.Dispose();

    private void Load()
    {
        _rows.Clear();
        _failures.Clear();
        _notes.Clear();
        _committed.Clear();
        Differences = [];
        _clips = ClipFolder.Read(_disk, Directory, Key.Fields);
        foreach (SplitFiles files in SplitFiles.AllIn(Directory))
        {
            if (CommittedSplit.Open(files) is { } split)
            {
                _committed.Add(files.Split, split);
                LoadCommitted(split);
            }
        }

        foreach ((string hash, RowLocation row) in _clips.Rows)
        {
            _rows[hash] = row;
        }

        foreach ((string hash, ClipFailure failure) in _clips.Failures)
        {
            _failures[hash] = failure;
        }

        foreach (string hash in _rows.Keys)
        {
            _failures.Remove(hash);
        }

        if (_clips.Recent > 0)
        {
            _notes.Add($"An extraction was interrupted after {_clips.Recent} videos: it continues from there.");
        }

        if (_clips.Unusable.Count > 0)
        {
            _notes.Add($"{_clips.Unusable.Count} files in '{_clips.Path}' are damaged: their videos are extracted again.");
        }

        _notes.AddRange(EarlierLog.AllIn(Directory).Select(EarlierLog.Describe));
    }

    private void LoadCommitted(CommittedSplit split)
    {
        if (Key.DifferencesFrom(split.Content.Key) is { Count: > 0 } differences)
        {
            Differences = [.. Differences.Union(differences)];
            _notes.Add(
                $"'{split.Files.Features}' holds other features ({string.Join("; ", differences)}): its {split.Content.Rows.Count} rows "
                + "cannot be used now and are put aside when the extraction is complete.");
            return;
        }

        if (split.Problem is { } problem)
        {
            _notes.Add(problem);
        }

        foreach ((string hash, ClipFailure failure) in split.Content.Failures)
        {
            _failures[hash] = failure;
        }

        split.Lose(_clips.Replaced);
        for (int row = 0; row < split.Content.Rows.Count; row++)
        {
            if (split.Locate(row) is { } location)
            {
                _rows[split.Content.Rows[row].ContentHash] = location;
            }
        }
    }

    private ResolvedClip Resolve(Clip clip) => clip switch
    {
        { Fault: { } fault } => new ResolvedClip(clip, null, new ClipFailure(fault, "")),
        _ when _rows.TryGetValue(clip.ContentHash, out RowLocation? row) => new ResolvedClip(clip, row, null),
        _ => new ResolvedClip(clip, null, _failures.GetValueOrDefault(clip.ContentHash)),
    };

    /// <summary>One clip for each content that has neither features nor a lasting failure, in the order of the dataset.</summary>
    private List<Clip> MissingOf(VideoDataset dataset) =>
    [
        .. dataset.Clips.Where(clip => clip.Fault is null && !_rows.ContainsKey(clip.ContentHash)
            && !(_failures.TryGetValue(clip.ContentHash, out ClipFailure? failure) && !FailureStatus.IsTransient(failure.Status)))
            .DistinctBy(clip => clip.ContentHash),
    ];

    /// <summary>The missing rows, and every file that has to be rewritten beside its old version.</summary>
    private long BytesNeeded(VideoDataset dataset)
    {
        long files = 0;
        foreach (DatasetSplit split in dataset.Splits)
        {
            IEnumerable<string> rows = dataset[split].Where(clip => clip.Fault is null && !_failures.ContainsKey(clip.ContentHash))
                .Select(clip => clip.ContentHash);
            bool unchanged = _committed.GetValueOrDefault(split) is { IsWhole: true } stored
                && stored.Content.Key.SequenceEqual(Key.Fields)
                && stored.Content.Rows.Where(row => !row.IsZeros).Select(row => row.ContentHash).SequenceEqual(rows);
            files += unchanged ? 0 : (long)dataset[split].Count * Key.RowBytes;
        }

        HashSet<string> wanted = ContentsOf(dataset);
        return (MissingOf(dataset).Count * (long)_file.Length) + files
            + _committed.Values.Sum(split => RowsToKeep(split, wanted).Count() * (long)ClipFolder.FileBytes(split.RowBytes));
    }

    private static HashSet<string> ContentsOf(VideoDataset dataset) =>
        [.. dataset.Clips.Where(clip => clip.Fault is null).Select(clip => clip.ContentHash)];

    /// <summary>Rows that a commit of these contents takes out of a split's files.</summary>
    private IEnumerable<(string ContentHash, RowLocation Row)> RowsToKeep(CommittedSplit split, HashSet<string> wanted)
    {
        bool isOther = Key.DifferencesFrom(split.Content.Key).Count > 0;
        for (int row = 0; row < split.Content.Rows.Count; row++)
        {
            string content = split.Content.Rows[row].ContentHash;
            if ((isOther || !wanted.Contains(content)) && split.Locate(row) is { } location)
            {
                yield return (content, location);
            }
        }
    }

    /// <summary>Puts aside what other datasets, or features of another kind, may want again.</summary>
    private void Keep(HashSet<string> wanted)
    {
        foreach (CommittedSplit split in _committed.Values)
        {
            ClipFolder? aside = null;
            byte[] file = new byte[ClipFolder.FileBytes(split.RowBytes)];
            foreach ((string content, RowLocation row) in RowsToKeep(split, wanted))
            {
                // A damaged row is of no use to anybody.
                if (row.TryRead(file.AsSpan(0, split.RowBytes)))
                {
                    aside ??= new ClipFolder(_disk, Directory, split.Content.Key);
                    aside.Keep(content, file);
                }
            }
        }
    }

    private IEnumerable<string> PlanNotes(VideoDataset dataset)
    {
        HashSet<string> wanted = ContentsOf(dataset);
        int unused = _rows.Keys.Count(hash => !wanted.Contains(hash));
        if (unused > 0)
        {
            yield return $"The cache '{Directory}' also holds the features of {unused} videos that are not in this dataset. They are " +
                "kept; 'cudatrainer cache prune' removes such.";
        }
    }

    /// <param name="wanted">What the images hold, or know to have failed.</param>
    private bool Write(IReadOnlyList<SplitImage> images, HashSet<string> wanted)
    {
        try
        {
            return OnDisk(() =>
            {
                Keep(wanted);
                return CacheCommit.Write(_disk, Directory, images, _committed) | _clips.Delete(wanted.Contains);
            });
        }
        catch (DamagedRowException exception)
        {
            OnDisk(() => _clips.AddLost(exception.Damaged.Clip.ContentHash));
            Load();
            throw new CacheException(
                $"The features of '{exception.Damaged.Clip.RelativePath}' in '{exception.Damaged.Row!.Path}' are damaged: their checksum "
                + "differs. Run the same command again to extract them anew; 'cudatrainer cache verify' checks all others.");
        }
    }

    private void OnDisk(Action action) => OnDisk(() =>
    {
        action();
        return true;
    });

    private T OnDisk<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (IOException exception) when (CacheDisk.IsFull(exception))
        {
            long needed = _dataset is null ? _file.Length : BytesNeeded(_dataset);
            throw new CacheFullException(Directory, needed, _disk.FreeBytes(Directory), exception);
        }
    }

    private void CheckLength(int length)
    {
        if (length != Key.RowElements)
        {
            throw new ArgumentException(
                $"A row has {Key.Views} × {Key.Frames} × {Key.Dimension} = {Key.RowElements} elements, not {length}.");
        }
    }

    private void CheckFinite(int index, ReadOnlySpan<float> row)
    {
        if (index >= 0)
        {
            string hint = float.IsFinite(row[index])
                ? $"It is too large for float16: use {SettingName.Of("FeatureDtype")} float32."
                : "Check the weight file.";
            throw new CacheException(
                $"The feature at frame {index / Key.Dimension}, element {index % Key.Dimension} is {row[index]}, expected a finite number. "
                + hint);
        }
    }
}
