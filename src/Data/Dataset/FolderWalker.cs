namespace CudaTrainer.Data.Dataset;

/// <summary>An entry of a folder.</summary>
/// <param name="Name">Name within its folder.</param>
/// <param name="RelativePath">Path below the walker's root, with forward slashes.</param>
/// <param name="Facts">What it is, links followed.</param>
internal sealed record FolderEntry(string Name, string RelativePath, FileFacts Facts)
{
    // Stands in a decoded name for bytes that are no UTF-8; the system does not find the file by it.
    private const char Undecodable = '\uFFFD';

    public bool IsHidden => Name.StartsWith('.');

    public bool IsFolder => Facts.Kind == FileKind.Folder;

    /// <summary>Whether no program that names files by text can open it.</summary>
    public bool IsUnnameable => Facts.Kind == FileKind.Missing && Name.Contains(Undecodable);
}

/// <summary>
/// Walks the folders below a root, in an order that depends on names only, and notes what it passes over. Every command that is given a
/// folder of videos sees the same files in it, and says the same about the others.
/// </summary>
/// <param name="root">A folder as the user named it; empty for the current one.</param>
/// <param name="stop">Looked at before each folder.</param>
internal sealed class FolderWalker(string root, CancellationToken stop = default)
{
    private const string HiddenReason = "hidden", UnnameableReason = "its name is not UTF-8: rename it";

    private readonly List<string> _warnings = [];

    internal static readonly HashSet<string> VideoExtensions = new(StringComparer.OrdinalIgnoreCase)
    {
        ".mp4", ".avi", ".mov", ".mkv", ".webm", ".flv", ".wmv", ".m4v", ".mpg", ".mpeg",
    };

    /// <summary>What was passed over on purpose.</summary>
    public List<IgnoredFile> Ignored { get; } = [];

    /// <summary>What may hold videos but cannot be looked into.</summary>
    public List<IgnoredFile> Unreadable { get; } = [];

    /// <summary>What may surprise the user: names that contradict their place, and what cannot be read.</summary>
    public IReadOnlyList<string> Warnings =>
        [.. _warnings, .. Unreadable.Select(file => $"left out: '{AbsolutePath(file.RelativePath)}': {file.Reason}")];

    public static bool IsVideoName(string name) => VideoExtensions.Contains(System.IO.Path.GetExtension(name));

    public string AbsolutePath(string relativePath) => System.IO.Path.Combine(root, relativePath);

    /// <summary>The root itself as an entry, to start a walk from.</summary>
    public FolderEntry Root => new(System.IO.Path.GetFileName(root), string.Empty, FileFacts.Of(Listed(root)));

    /// <summary>An entry by its name, whether it exists or not.</summary>
    public FolderEntry Find(FolderEntry folder, string name)
    {
        string relativePath = Below(folder.RelativePath, name);
        return new FolderEntry(name, relativePath, FileFacts.Of(AbsolutePath(relativePath)));
    }

    /// <summary>The entries of a folder, sorted by name.</summary>
    /// <exception cref="DatasetException">The folder cannot be listed.</exception>
    public IReadOnlyList<FolderEntry> List(string relativePath) => TryList(relativePath, out string fault, out Exception? exception)
        ?? throw new DatasetException($"The folder '{AbsolutePath(relativePath)}' {fault}.", exception!);

    /// <summary>The folders directly in <paramref name="relativePath"/>; everything else there is ignored.</summary>
    /// <exception cref="DatasetException">The folder cannot be listed.</exception>
    public IReadOnlyList<FolderEntry> ListFolders(string relativePath)
    {
        var folders = new List<FolderEntry>();
        foreach (FolderEntry entry in List(relativePath))
        {
            if (entry.IsFolder && !entry.IsHidden)
            {
                folders.Add(entry);
            }
            else
            {
                Ignore(entry, IsVideoName(entry.Name) && !entry.IsUnnameable ? "a video outside the class folders" : null);
            }
        }

        return folders;
    }

    /// <summary>Whether a folder holds, directly, one that <paramref name="matches"/>; false where it cannot be listed.</summary>
    public bool HasFolder(string relativePath, Func<string, bool> matches) =>
        TryList(relativePath, out _, out _)?.Any(entry => entry.IsFolder && matches(entry.Name)) == true;

    /// <summary>The entries of a folder, sorted by name; none, and a note, where it cannot be listed.</summary>
    public IReadOnlyList<FolderEntry> TryEntries(FolderEntry folder)
    {
        if (TryList(folder.RelativePath, out string fault, out _) is { } entries)
        {
            return entries;
        }

        Unreadable.Add(new IgnoredFile(folder.RelativePath + "/", fault));
        return [];
    }

    /// <summary>The videos in a folder and below, unsorted; everything else there is ignored.</summary>
    /// <param name="label">The class of the folder; null where classes do not matter.</param>
    /// <param name="classes">What the label is one of; the known pair if null.</param>
    /// <exception cref="DatasetException">The folder itself cannot be listed.</exception>
    public IReadOnlyList<FolderEntry> FindVideos(FolderEntry folder, int? label, ClassList? classes = null)
    {
        var videos = new List<FolderEntry>();
        // Of the folder itself somebody expects videos; one below it may be anybody's.
        _ = List(folder.RelativePath);
        foreach ((FolderEntry walked, IReadOnlyList<FolderEntry> entries) in Walk(folder))
        {
            if (label is { } outer && walked != folder)
            {
                WarnAboutName(walked, outer, classes ?? ClassList.Violence);
            }

            foreach (FolderEntry entry in entries.Where(entry => !entry.IsFolder && !entry.IsHidden))
            {
                if (!IsVideoName(entry.Name))
                {
                    Ignore(entry, null);
                }
                else if (entry.IsUnnameable)
                {
                    Unreadable.Add(new IgnoredFile(entry.RelativePath, UnnameableReason));
                }
                else
                {
                    videos.Add(entry);
                }
            }
        }

        return videos;
    }

    /// <summary>Videos in a folder and below, of which nothing is noted.</summary>
    public int CountVideos(FolderEntry folder) => new FolderWalker(root, stop).Walk(folder)
        .Sum(walked => walked.Entries.Count(entry => !entry.IsFolder && !entry.IsHidden && IsVideoName(entry.Name)));

    /// <summary>A folder and those below it, each with its entries; hidden ones are ignored, unreadable ones noted.</summary>
    /// <remarks>
    /// A folder that several paths lead to is walked once, by its real path rather than by a link. Its identity is device and
    /// inode, so that a link to an ancestor, or two that lead to each other, ends the walk.
    /// </remarks>
    public IEnumerable<(FolderEntry Folder, IReadOnlyList<FolderEntry> Entries)> Walk(FolderEntry start)
    {
        var visited = new HashSet<(ulong Device, ulong Inode)>();
        var folders = new Stack<FolderEntry>([start]);
        var links = new Queue<FolderEntry>();
        while (folders.TryPop(out FolderEntry? folder) || links.TryDequeue(out folder))
        {
            stop.ThrowIfCancellationRequested();
            if (folder.Facts.Inode != 0 && !visited.Add((folder.Facts.Device, folder.Facts.Inode)))
            {
                Ignore(folder, "a link to a folder already listed");
                continue;
            }

            IReadOnlyList<FolderEntry> entries = TryEntries(folder);
            foreach (FolderEntry entry in entries)
            {
                if (entry.IsHidden)
                {
                    Ignore(entry, null);
                }
                else if (entry.IsFolder && new DirectoryInfo(AbsolutePath(entry.RelativePath)).LinkTarget is not null)
                {
                    links.Enqueue(entry);
                }
                else if (entry.IsFolder)
                {
                    folders.Push(entry);
                }
            }

            yield return (folder, entries);
        }
    }

    /// <summary>Notes an entry as ignored.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="reason">Why; null to derive it from the entry.</param>
    public void Ignore(FolderEntry entry, string? reason)
    {
        reason = entry switch
        {
            { IsHidden: true } => HiddenReason,
            _ when reason is not null => reason,
            { IsUnnameable: true } => UnnameableReason,
            { Facts.Kind: FileKind.Missing } => ClipFault.BrokenLink,
            { Facts.Kind: FileKind.Special } => ClipFault.NotRegularFile,
            _ when System.IO.Path.GetExtension(entry.Name) is { Length: > 1 } extension => $"not a video ({extension})",
            _ => "not a video (no extension)",
        };
        Ignored.Add(new IgnoredFile(entry.IsFolder ? entry.RelativePath + "/" : entry.RelativePath, reason));
    }

    private IReadOnlyList<FolderEntry>? TryList(string relativePath, out string fault, out Exception? exception)
    {
        string path = AbsolutePath(relativePath);
        (fault, exception) = (string.Empty, null);
        try
        {
            // Names that are no UTF-8 may come out alike.
            string[] names = [.. Directory.EnumerateFileSystemEntries(Listed(path))
                .Select(entry => System.IO.Path.GetFileName(entry)).Distinct()];
            Array.Sort(names, StringComparer.Ordinal);
            return [.. names.Select(name => new FolderEntry(
                name,
                Below(relativePath, name),
                FileFacts.Of(System.IO.Path.Combine(path, name))))];
        }
        catch (UnauthorizedAccessException denied)
        {
            (fault, exception) = ("cannot be read: permission denied; make it readable (chmod u+rx) or move it elsewhere", denied);
        }
        catch (DirectoryNotFoundException gone)
        {
            (fault, exception) = ("cannot be read: it is no longer there", gone);
        }
        catch (IOException failed)
        {
            (fault, exception) = ($"cannot be read: {failed.Message.TrimEnd('.')}", failed);
        }

        return null;
    }

    private static string Below(string folder, string name) => folder.Length == 0 ? name : $"{folder}/{name}";

    private static string Listed(string path) => path.Length == 0 ? "." : path;

    private void WarnAboutName(FolderEntry folder, int label, ClassList classes)
    {
        if (classes.TryParse(folder.Name, out int inner) && inner != label)
        {
            _warnings.Add($"'{folder.RelativePath}' is named like the class {classes[inner]} but lies in a folder of the class "
                + $"{classes[label]}: its clips count as {classes[label]}.");
        }
        else if (DatasetSplits.TryParse(folder.Name, out _))
        {
            _warnings.Add($"'{folder.RelativePath}' is named like a split but lies in a class folder, where it has no meaning. "
                + "Split folders contain the class folders, not the other way round.");
        }
    }
}
