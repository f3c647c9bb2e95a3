using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>Finds the clips of one folder, or of several, and divides them into train, val and test.</summary>
/// <remarks>
/// Two layouts: split folders with class folders in each, or just class folders. Videos are found at any depth below a class folder, links
/// followed. The result depends only on names, contents and options, never on the file system's order.
/// </remarks>
public static class DatasetScanner
{
    /// <summary>Scans a folder.</summary>
    /// <param name="path">The dataset's folder.</param>
    /// <param name="options">How to divide it.</param>
    /// <param name="cancellation">Stops the hashing of files; what was hashed is remembered.</param>
    /// <exception cref="DatasetException">The folder is missing, unreadable, not a dataset, or lacks clips of a class.</exception>
    /// <exception cref="Formats.FileFormatException">The table of sources is unusable.</exception>
    public static VideoDataset Scan(string path, DatasetOptions? options = null, CancellationToken cancellation = default) =>
        Scan([path], options, cancellation);

    /// <summary>
    /// Scans folders that are data sets of their own. Of several, clips know theirs (<see cref="Clip.Dataset"/>) and paths and sources
    /// begin with its name, so that no source belongs to two; each is divided as it would be by itself, but for videos that more than one
    /// has.
    /// </summary>
    /// <param name="paths">One or more.</param>
    /// <param name="options">How to divide each of them.</param>
    /// <param name="cancellation">Stops the hashing of files; what was hashed is remembered.</param>
    /// <exception cref="DatasetException">A folder cannot be used, or they do not go together.</exception>
    /// <exception cref="Formats.FileFormatException">A table of sources is unusable.</exception>
    public static VideoDataset Scan(IReadOnlyList<string> paths, DatasetOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new DatasetOptions();
        if (options.Split.Fault() is { } fault)
        {
            throw new ArgumentException(fault, nameof(options));
        }

        if (DatasetFolders.Problem(paths) is { } problem)
        {
            throw new DatasetException($"{problem}.");
        }

        bool isOne = paths.Count == 1;
        if (!isOne && (options.GroupsFile ?? options.LabelsFile) is { } table)
        {
            throw new DatasetException($"'{table}' is a table of one data set, but {paths.Count} are given. {ForEach}");
        }

        Scanner[] scanners = [.. paths.Select(path => new Scanner(DatasetFolders.RootOf(path), options, isOne, cancellation))];
        FolderLayout[] layouts = [.. scanners.Select(scanner => scanner.Locate())];
        if (!isOne)
        {
            DatasetUnion.Require([.. paths.Select(DatasetFolders.RootOf)], layouts, options.Classes);
        }

        FoundClips[] found = [.. scanners.Select(scanner => scanner.Read())];
        return isOne ? Divide(found[0], options) : DatasetUnion.Of(found, options);
    }

    /// <summary>What to do where one table cannot be for all data sets.</summary>
    internal const string ForEach = $"Put a {SourceTable.DefaultName} into each folder, and clips into class folders.";

    private static VideoDataset Divide(FoundClips found, DatasetOptions options)
    {
        List<string> notes = [.. found.Notes];
        string? whole = found.Whole;
        if (!TryDivide(found, options, notes, null, out IReadOnlyList<Clip>[] divided, ref whole))
        {
            divided = [found.Clips, [], []];
            notes.Add(Undivided(whole!));
        }

        var dataset = new VideoDataset(found.Root, divided[0], divided[1], divided[2]) { Classes = found.Layout.Classes };
        return new VideoDataset(found.Root, divided[0], divided[1], divided[2])
        {
            Classes = found.Layout.Classes,
            IsDivided = whole is null,
            Ignored = found.Ignored,
            Notes = notes,
            Warnings = [.. found.Warnings, .. SplitAudit.Warnings(dataset, clip => found.KnownSources.Contains(clip.RelativePath))],
        };
    }

    /// <summary>Divides clips, unless that is impossible and not needed.</summary>
    /// <param name="whole">Why they stay undivided; set where that turns out.</param>
    /// <exception cref="DatasetException">They have to be divided, and cannot be.</exception>
    internal static bool TryDivide(FoundClips found, DatasetOptions options, List<string> notes, DatasetTies? ties,
        out IReadOnlyList<Clip>[] divided, ref string? whole)
    {
        divided = [];
        try
        {
            divided = whole is not null ? [] : new SplitPlan(found.Root, found.Layout, options.Split)
                .Divide(found.Clips, found.Splits, options.Seed, notes, ties);
        }
        catch (DatasetException exception) when (options.Known is not null)
        {
            whole = exception.Message;
        }

        return whole is null;
    }

    internal static string Undivided(string why) => $"The clips stay undivided and are measured as one: {why}";

    private sealed class Scanner
    {
        private readonly string _root;
        private readonly DatasetOptions _options;
        private readonly bool _isOne;
        private readonly CancellationToken _cancellation;
        private readonly FolderWalker _walker;
        private readonly List<string> _notes = [];
        private readonly List<string> _warnings = [];
        private FolderLayout _layout = null!;
        private List<(DatasetSplit? Split, int Label, FolderEntry Entry)> _found = [];

        /// <param name="isOne">Whether there is no other data set.</param>
        public Scanner(string root, DatasetOptions options, bool isOne, CancellationToken cancellation)
        {
            (_root, _options, _isOne, _cancellation) = (root, options, isOne, cancellation);
            _walker = new FolderWalker(root, cancellation);
        }

        /// <summary>Finds folders of splits and classes and the videos in them.</summary>
        public FolderLayout Locate()
        {
            if (!Directory.Exists(_root))
            {
                throw new DatasetException(File.Exists(_root)
                    ? $"The dataset '{_root}' is a file, expected a folder."
                    : $"The dataset folder '{_root}' does not exist. Check {SettingName.Of("DatasetPath")}.");
            }

            (_layout, _found) = _options.LabelsFile is { } labels ? ByTable(labels) : ByFolder();
            return _layout;
        }

        /// <summary>What was found, with sources and contents.</summary>
        public FoundClips Read()
        {
            (FolderLayout layout, List<(DatasetSplit? Split, int Label, FolderEntry Entry)> found) = (_layout, _found);
            _notes.AddRange(layout.Notes);
            NoteMergedFolders(layout);
            string? whole = null;
            try
            {
                new SplitPlan(_root, layout, _options.Split).CheckClasses([.. found.Select(video => (video.Split, video.Label))]);
            }
            catch (DatasetException exception) when (_options.Known is not null && found.Count > 0)
            {
                whole = exception.Message;
            }

            SourceTable? sources = ReadSources(
                found.ToDictionary(video => video.Entry.RelativePath, video => video.Label, StringComparer.Ordinal), layout.Classes);
            Clip[] clips = found.Select(video => new Clip(
                _walker.AbsolutePath(video.Entry.RelativePath),
                video.Entry.RelativePath,
                video.Label,
                sources?[video.Entry.RelativePath] ?? video.Entry.RelativePath,
                ContentHash: "")
            { Bytes = video.Entry.Facts.Bytes }).ToArray();
            Hash(clips, [.. found.Select(video => video.Entry.Facts)]);

            RequireDifferentFolders(layout, clips);
            return new FoundClips(
                _root, layout, clips, [.. found.Select(video => video.Split)],
                clips.Select(clip => clip.RelativePath).Where(path => sources?[path] is not null).ToHashSet(StringComparer.Ordinal),
                [.. _walker.Ignored.OrderBy(file => file.RelativePath, StringComparer.Ordinal)], _notes,
                [.. _walker.Warnings, .. _warnings], whole);
        }

        private (FolderLayout Layout, List<(DatasetSplit? Split, int Label, FolderEntry Entry)> Found) ByFolder()
        {
            var layout = FolderLayout.Detect(_root, _walker, _options.Classes, lacksSome: !_isOne, _options.Known);
            return (layout, [.. layout.ClassFolders
                .SelectMany(folder => _walker.FindVideos(folder.Folder, folder.Label, layout.Classes)
                    .Select(entry => (folder.Split, folder.Label, Entry: entry)))
                .OrderBy(video => video.Entry.RelativePath, StringComparer.Ordinal)]);
        }

        private (FolderLayout Layout, List<(DatasetSplit? Split, int Label, FolderEntry Entry)> Found) ByTable(string file)
        {
            var layout = FolderLayout.WithoutClasses(_walker);
            List<(DatasetSplit? Split, FolderEntry Entry)> videos = [.. layout.HasSplitFolders
                ? layout.SplitFolders.SelectMany(group => group.SelectMany(folder => _walker.FindVideos(folder, null))
                    .Select(entry => ((DatasetSplit?)group.Key, entry)))
                : _walker.FindVideos(_walker.Root, null).Select(entry => ((DatasetSplit?)null, entry))];
            var table = LabelTable.Open(file, _root, videos.Select(video => video.Entry.RelativePath).ToHashSet(StringComparer.Ordinal),
                _options.Classes, _options.Known);
            _walker.Ignored.RemoveAll(ignored => Path.GetFullPath(_walker.AbsolutePath(ignored.RelativePath)) == table.Path);
            _walker.Ignored.AddRange(videos.Where(video => table[video.Entry.RelativePath] is null)
                .Select(video => new IgnoredFile(video.Entry.RelativePath, "no label")));
            string note = $"Labels of the clips: '{table.Path}', {table.Classes.Count} classes: {table.Classes}.";
            return (
                layout with { Classes = table.Classes, Notes = [note] },
                [.. from video in videos
                    let label = table[video.Entry.RelativePath]
                    where label is not null
                    orderby video.Entry.RelativePath
                    select (video.Split, label.Value, video.Entry)]);
        }

        /// <summary>Folders that somebody puts together are different clips, or some would count twice.</summary>
        /// <exception cref="DatasetException">Two folders of one class have a clip in common.</exception>
        private void RequireDifferentFolders(FolderLayout layout, Clip[] clips)
        {
            if (_options.Classes is null)
            {
                return;
            }

            string FolderOf(Clip clip) => layout.ClassFolders.First(folder =>
                clip.RelativePath.StartsWith(folder.Folder.RelativePath + "/", StringComparison.Ordinal)).Folder.Name;
            foreach (IGrouping<(string, int), Clip> same in clips.Where(clip => clip.HasContent && layout.ClassFolders.Count > 0)
                .GroupBy(clip => (clip.ContentHash, clip.Label)))
            {
                if (same.DistinctBy(FolderOf, StringComparer.OrdinalIgnoreCase).Take(2).ToArray() is [var first, var second])
                {
                    throw new DatasetException(
                        $"'{first.RelativePath}' and '{second.RelativePath}' are the same video, and both folders are the class " +
                            $"'{layout.Classes[first.Label]}': it would count twice. Remove one of them.");
                }
            }
        }

        private SourceTable? ReadSources(Dictionary<string, int> labels, ClassList classes)
        {
            string inFolder = Path.Combine(_root, SourceTable.DefaultName);
            string? file = _options.GroupsFile ?? (File.Exists(inFolder) ? inFolder : null);
            if (file is null)
            {
                return null;
            }

            if (!File.Exists(file))
            {
                throw new DatasetException($"The table of sources '{file}' does not exist. Check {SettingName.Of("Groups")}.");
            }

            var table = SourceTable.Read(file, _root, labels, classes, _options.Classes);
            _walker.Ignored.RemoveAll(ignored => Path.GetFullPath(_walker.AbsolutePath(ignored.RelativePath)) == table.Path);
            _warnings.AddRange(table.Warnings);
            _notes.Add($"Sources of the clips: '{table.Path}'.");
            return table;
        }

        private void Hash(Clip[] clips, IReadOnlyList<FileFacts> facts)
        {
            var index = ContentHashIndex.Open(_options.IndexDirectory);
            index.Prune(_root, clips.Select(clip => clip.Path).ToHashSet(StringComparer.Ordinal));
            new ClipHasher(index, _options, _cancellation).Hash(clips, facts);
            if (index.Fault is { } fault)
            {
                _warnings.Add(fault);
            }
        }

        private void NoteMergedFolders(FolderLayout layout)
        {
            foreach (IGrouping<DatasetSplit, FolderEntry> folders in layout.SplitFolders.Where(folders => folders.Count() > 1))
            {
                _notes.Add($"The split {folders.Key.Name()} is made of {Names(folders)}.");
            }

            foreach (IGrouping<(DatasetSplit? Split, int Label), FolderEntry> folders in layout.ClassFolders
                .GroupBy(folder => (folder.Split, folder.Label), folder => folder.Folder).Where(folders => folders.Count() > 1))
            {
                _notes.Add($"The class {layout.Classes[folders.Key.Label]} is made of {Names(folders)}.");
            }
        }

        private static string Names(IEnumerable<FolderEntry> folders) =>
            string.Join(" and ", folders.Select(folder => $"'{folder.RelativePath}'"));
    }
}
