namespace CudaTrainer.Data.Dataset;

/// <summary>An entry of a folder.</summary>
/// <param name="Name">Name within its folder.</param>
/// <param name="RelativePath">Path below the dataset's folder, with forward slashes.</param>
/// <param name="Facts">What it is, links followed.</param>
internal sealed record FolderEntry(string Name, string RelativePath, FileFacts Facts)
{
    public bool IsHidden => Name.StartsWith('.');
}

/// <summary>Lists folders below a dataset's root, in an order that depends on names only.</summary>
internal sealed class FolderWalker(string root, List<IgnoredFile> ignored, List<string> warnings)
{
    private const string HiddenReason = "hidden";

    internal static readonly HashSet<string> VideoExtensions = new(StringComparer.OrdinalIgnoreCase)
    {
        ".mp4", ".avi", ".mov", ".mkv", ".webm", ".flv", ".wmv", ".m4v", ".mpg", ".mpeg",
    };

    public static bool IsVideoName(string name) => VideoExtensions.Contains(System.IO.Path.GetExtension(name));

    public string AbsolutePath(string relativePath) => System.IO.Path.Combine(root, relativePath);

    /// <summary>The entries of a folder, sorted by name.</summary>
    /// <exception cref="DatasetException">The folder cannot be listed.</exception>
    public IReadOnlyList<FolderEntry> List(string relativePath)
    {
        string path = AbsolutePath(relativePath);
        try
        {
            string[] names = Directory.EnumerateFileSystemEntries(path).Select(entry => System.IO.Path.GetFileName(entry)).ToArray();
            Array.Sort(names, StringComparer.Ordinal);
            return [.. names.Select(name => new FolderEntry(
                name,
                relativePath.Length == 0 ? name : $"{relativePath}/{name}",
                FileFacts.Of(System.IO.Path.Combine(path, name))))];
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new DatasetException(
                $"The folder '{path}' cannot be read: permission denied. Make it readable (chmod u+rx) or move it out of the dataset.",
                    exception);
        }
        catch (IOException exception)
        {
            throw new DatasetException($"The folder '{path}' cannot be read: {exception.Message.TrimEnd('.')}.", exception);
        }
    }

    /// <summary>The folders directly in <paramref name="relativePath"/>; everything else there is ignored.</summary>
    public IReadOnlyList<FolderEntry> ListFolders(string relativePath)
    {
        var folders = new List<FolderEntry>();
        foreach (FolderEntry entry in List(relativePath))
        {
            if (entry.Facts.Kind == FileKind.Folder && !entry.IsHidden)
            {
                folders.Add(entry);
            }
            else
            {
                Ignore(entry, IsVideoName(entry.Name) ? "a video outside the class folders" : null);
            }
        }

        return folders;
    }

    /// <summary>The videos in a class folder and below, unsorted; everything else there is ignored.</summary>
    /// <remarks>
    /// A folder that several paths lead to is walked once, by its real path rather than by a link. Its identity is device and
    /// inode, so that a link to an ancestor, or two that lead to each other, ends the walk.
    /// </remarks>
    public IReadOnlyList<FolderEntry> FindVideos(FolderEntry classFolder, int label)
    {
        var videos = new List<FolderEntry>();
        var visited = new HashSet<(ulong Device, ulong Inode)>();
        var links = new Queue<FolderEntry>([classFolder]);
        while (links.TryDequeue(out FolderEntry? folder))
        {
            FindVideos(folder, label, visited, links, videos);
        }

        return videos;
    }

    private void FindVideos(
        FolderEntry folder, int label, HashSet<(ulong Device, ulong Inode)> visited, Queue<FolderEntry> links, List<FolderEntry> videos)
    {
        if (folder.Facts.Inode != 0 && !visited.Add((folder.Facts.Device, folder.Facts.Inode)))
        {
            Ignore(folder, "a link to a folder already listed");
            return;
        }

        foreach (FolderEntry entry in List(folder.RelativePath))
        {
            bool isFolder = entry.Facts.Kind == FileKind.Folder;
            if (entry.IsHidden || (!isFolder && !IsVideoName(entry.Name)))
            {
                Ignore(entry, null);
            }
            else if (!isFolder)
            {
                videos.Add(entry);
            }
            else if (new DirectoryInfo(AbsolutePath(entry.RelativePath)).LinkTarget is not null)
            {
                links.Enqueue(entry);
            }
            else
            {
                WarnAboutName(entry, label);
                FindVideos(entry, label, visited, links, videos);
            }
        }
    }

    /// <summary>Notes an entry as ignored.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="reason">Why; null to derive it from the entry.</param>
    public void Ignore(FolderEntry entry, string? reason)
    {
        bool isFolder = entry.Facts.Kind == FileKind.Folder;
        reason = entry switch
        {
            { IsHidden: true } => HiddenReason,
            _ when reason is not null => reason,
            { Facts.Kind: FileKind.Missing } => ClipFault.BrokenLink,
            { Facts.Kind: FileKind.Special } => ClipFault.NotRegularFile,
            _ when System.IO.Path.GetExtension(entry.Name) is { Length: > 1 } extension => $"not a video ({extension})",
            _ => "not a video (no extension)",
        };
        ignored.Add(new IgnoredFile(isFolder ? entry.RelativePath + "/" : entry.RelativePath, reason));
    }

    private void WarnAboutName(FolderEntry folder, int label)
    {
        if (ClassLabel.TryParse(folder.Name, out int inner) && inner != label)
        {
            warnings.Add($"'{folder.RelativePath}' is named like the class {ClassLabel.Name(inner)} but lies in a folder of the class "
                + $"{ClassLabel.Name(label)}: its clips count as {ClassLabel.Name(label)}.");
        }
        else if (DatasetSplits.TryParse(folder.Name, out _))
        {
            warnings.Add($"'{folder.RelativePath}' is named like a split but lies in a class folder, where it has no meaning. "
                + "Split folders contain the class folders, not the other way round.");
        }
    }
}
