namespace CudaTrainer.Data.Dataset;

/// <summary>A class folder of a dataset.</summary>
/// <param name="Split">The split folder it lies in; null without split folders.</param>
/// <param name="Label">Its class.</param>
/// <param name="Folder">The folder.</param>
internal sealed record ClassFolder(DatasetSplit? Split, int Label, FolderEntry Folder);

/// <summary>Which folders of a dataset hold which split and class.</summary>
/// <param name="SplitFolders">Split folders by split, as they are named; empty when there are only class folders.</param>
/// <param name="ClassFolders">Every class folder.</param>
internal sealed record FolderLayout(ILookup<DatasetSplit, FolderEntry> SplitFolders, IReadOnlyList<ClassFolder> ClassFolders)
{
    public bool HasSplitFolders => SplitFolders.Count > 0;

    private const string Expected =
        "expected the folders train, val and test with class folders in each, or just class folders "
        + $"(any case: {ClassLabel.FolderNames})";

    /// <exception cref="DatasetException">The folder has neither layout, or both.</exception>
    public static FolderLayout Detect(string root, FolderWalker walker)
    {
        IReadOnlyList<FolderEntry> folders = walker.ListFolders("");
        ILookup<DatasetSplit, FolderEntry> splitFolders =
            folders.Where(folder => DatasetSplits.TryParse(folder.Name, out _)).ToLookup(ParseSplit);
        var classFolders = SelectClasses(null, folders).ToList();
        if (splitFolders.Count > 0 && classFolders.Count > 0)
        {
            throw new DatasetException(
                $"'{root}' has both split folders ({Names(splitFolders.SelectMany(group => group))}) and class folders "
                + $"({Names(classFolders.Select(found => found.Folder))}): which clips to use is not clear. Move one kind elsewhere.");
        }

        if (splitFolders.Count == 0 && classFolders.Count == 0)
        {
            throw NotADataset(root, walker, folders);
        }

        foreach (FolderEntry folder in folders.Where(folder =>
            !DatasetSplits.TryParse(folder.Name, out _) && !ClassLabel.TryParse(folder.Name, out _)))
        {
            walker.Ignore(folder, splitFolders.Count > 0 ? "not a split folder" : "not a class folder");
        }

        foreach (FolderEntry splitFolder in splitFolders.SelectMany(group => group))
        {
            IReadOnlyList<FolderEntry> inner = walker.ListFolders(splitFolder.RelativePath);
            classFolders.AddRange(SelectClasses(ParseSplit(splitFolder), inner));
            foreach (FolderEntry folder in inner.Where(folder => !ClassLabel.TryParse(folder.Name, out _)))
            {
                walker.Ignore(folder, "not a class folder");
            }
        }

        return new FolderLayout(splitFolders, classFolders);
    }

    private static IEnumerable<ClassFolder> SelectClasses(DatasetSplit? split, IEnumerable<FolderEntry> folders)
    {
        foreach (FolderEntry folder in folders)
        {
            if (ClassLabel.TryParse(folder.Name, out int label))
            {
                yield return new ClassFolder(split, label, folder);
            }
        }
    }

    private static DatasetSplit ParseSplit(FolderEntry folder) =>
        DatasetSplits.TryParse(folder.Name, out DatasetSplit split) ? split : throw new ArgumentException(folder.Name, nameof(folder));

    private static DatasetException NotADataset(string root, FolderWalker walker, IReadOnlyList<FolderEntry> folders)
    {
        string rootName = System.IO.Path.GetFileName(root);
        if (ClassLabel.TryParse(rootName, out int label))
        {
            return new DatasetException(
                $"'{root}' is the folder of one class ({ClassLabel.Name(label)}). Give the folder above it, which holds both classes.");
        }

        if (DatasetSplits.TryParse(rootName, out _) && folders.Count == 0)
        {
            return new DatasetException($"'{root}' is an empty split folder: {Expected}.");
        }

        FolderEntry? nested = folders.FirstOrDefault(folder => walker.HasFolder(folder.RelativePath, name =>
            ClassLabel.TryParse(name, out _) || DatasetSplits.TryParse(name, out _)));
        if (nested is not null)
        {
            return new DatasetException(
                $"'{root}' has no split or class folders, but '{nested.Name}' in it has. Give " +
                    $"'{walker.AbsolutePath(nested.RelativePath)}' instead.");
        }

        string found = folders.Count == 0 ? "found no folders at all" : $"found {Names(folders)}";
        return new DatasetException($"'{root}' is not a dataset: {Expected}; {found}.");
    }

    private static string Names(IEnumerable<FolderEntry> folders)
    {
        const int shown = 8;
        var names = folders.Select(folder => $"'{folder.Name}'").ToList();
        string rest = names.Count > shown ? $" and {names.Count - shown} more" : "";
        return string.Join(", ", names.Take(shown)) + rest;
    }
}
