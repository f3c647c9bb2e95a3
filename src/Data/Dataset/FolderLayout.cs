using System.Diagnostics.CodeAnalysis;
using CudaTrainer.Formats;

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
        + $"(any case: {ClassLabel.FolderNames}; or two or more folders of other names, with videos in each)";

    /// <summary>Videos that make a folder of another name a class where both classes of the known pair are there.</summary>
    private const int VideosOfAnother = 2;

    /// <summary>What the labels stand for.</summary>
    public ClassList Classes { get; init; } = ClassList.Violence;

    /// <summary>How the classes were found: sentences for the log.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Finds class folders.</summary>
    /// <param name="merge">Which folders are which class; null where each folder's name says it.</param>
    /// <param name="lacksSome">Whether folders of <paramref name="merge"/> may be missing.</param>
    /// <param name="known">Classes of which folders of some are enough; null where every class has one.</param>
    /// <exception cref="DatasetException">The folder has neither layout, or both, or lacks a folder that is to be merged.</exception>
    public static FolderLayout Detect(string root, FolderWalker walker, ClassMerge? merge = null, bool lacksSome = false,
        ClassList? known = null)
    {
        IReadOnlyList<FolderEntry> folders = walker.ListFolders("");
        ILookup<DatasetSplit, FolderEntry> splitFolders = SplitFoldersOf(folders);
        FolderEntry[] others = [.. folders.Where(folder => !DatasetSplits.TryParse(folder.Name, out _))],
            named = [.. others.Where(folder =>
                merge is null ? ClassLabel.TryParse(folder.Name, out _) : merge.ClassOf(folder.Name) is not null)];
        if (splitFolders.Count > 0 && named.Length > 0)
        {
            throw new DatasetException(
                $"'{root}' has both split folders ({Names(splitFolders.SelectMany(group => group))}) and class folders "
                + $"({Names(named)}): which clips to use is not clear. Move one kind elsewhere.");
        }

        if (splitFolders.Count == 0)
        {
            return named.Length == 0 && NoDataset(root, walker, folders) is { } refusal
                ? throw refusal
                : Of(splitFolders, [.. others.Select(folder => ((DatasetSplit?)null, folder))], root, walker, merge, lacksSome, known)
                    ?? throw NotADataset(root, folders);
        }

        foreach (FolderEntry folder in others)
        {
            walker.Ignore(folder, "not a split folder");
        }

        (DatasetSplit?, FolderEntry)[] inner = [.. splitFolders.SelectMany(group => group)
            .SelectMany(folder => walker.ListFolders(folder.RelativePath).Select(found => ((DatasetSplit?)ParseSplit(folder), found)))];
        return Of(splitFolders, inner, root, walker, merge, lacksSome, known) ?? new FolderLayout(splitFolders, []);
    }

    /// <summary>Split folders alone, of a dataset whose classes stand in a table; none where the clips lie otherwise.</summary>
    public static FolderLayout WithoutClasses(FolderWalker walker)
    {
        ILookup<DatasetSplit, FolderEntry> splitFolders = SplitFoldersOf(walker.TryEntries(walker.Root)
            .Where(entry => entry.IsFolder && !entry.IsHidden));
        foreach (FolderEntry entry in splitFolders.Count == 0 ? [] : walker.List("").Where(entry =>
            !entry.IsFolder || entry.IsHidden || !DatasetSplits.TryParse(entry.Name, out _)))
        {
            walker.Ignore(entry, entry.IsFolder ? "not a split folder" : null);
        }

        return new FolderLayout(splitFolders, []);
    }

    /// <summary>Chooses the class folders among candidates; the others are ignored.</summary>
    /// <returns>Null where the candidates are no classes.</returns>
    private static FolderLayout? Of(ILookup<DatasetSplit, FolderEntry> splitFolders,
        IReadOnlyList<(DatasetSplit? Split, FolderEntry Folder)> candidates, string root, FolderWalker walker, ClassMerge? merge,
        bool lacksSome, ClassList? known)
    {
        (ClassList? classes, HashSet<string> names, string[] notes) = merge is null
            ? ByName(candidates, walker, known)
            : Merged(candidates, root, merge, lacksSome);
        foreach ((_, FolderEntry folder) in classes is null ? [] : candidates.Where(found => !names.Contains(found.Folder.Name)))
        {
            walker.Ignore(folder, "not a class folder");
        }

        return classes is null ? null : new FolderLayout(splitFolders,
            [.. candidates.Where(found => names.Contains(found.Folder.Name)).Select(found => new ClassFolder(found.Split,
                classes.TryParse(merge?.ClassOf(found.Folder.Name) ?? found.Folder.Name, out int label) ? label : 0, found.Folder))])
        {
            Classes = classes,
            Notes = notes,
        };
    }

    private static (ClassList? Classes, HashSet<string> Names, string[] Notes) ByName(
        IReadOnlyList<(DatasetSplit? Split, FolderEntry Folder)> candidates, FolderWalker walker, ClassList? some)
    {
        HashSet<string> known = NamesOf(candidates.Select(found => found.Folder.Name).Where(name => ClassLabel.TryParse(name, out _)));
        int labels = known.Select(name => ClassLabel.TryParse(name, out int label) ? label : 0).Distinct().Count();
        Dictionary<string, int> videos = candidates.Where(found => !known.Contains(found.Folder.Name))
            .GroupBy(found => found.Folder.Name, StringComparer.OrdinalIgnoreCase)
            .ToDictionary(group => group.Key, group => group.Sum(found => walker.CountVideos(found.Folder)),
                StringComparer.OrdinalIgnoreCase);
        if (!videos.Values.Any(count => count >= (labels == ClassLabel.Count ? VideosOfAnother : 1)))
        {
            return (labels == 0 ? null : IsOf(some, known) ? some : ClassList.Violence, known, []);
        }

        HashSet<string> all = NamesOf(known.Concat(videos.Where(entry => entry.Value > 0).Select(entry => entry.Key)));
        ClassList? classes = IsOf(some, all) ? some : ClassList.Named(all);
        string[] notes = classes is null || classes == some
            ? []
            : [$"The folders are {classes.Count} classes: {classes}. {SettingName.Of("Classes")} CLASS=FOLDER,…;… puts folders " +
                "together and leaves others out."];
        return (classes, all, notes);
    }

    private static bool IsOf([NotNullWhen(true)] ClassList? classes, IEnumerable<string> names) =>
        classes is not null && names.All(name => classes.TryParse(name, out _));

    private static (ClassList? Classes, HashSet<string> Names, string[] Notes) Merged(
        IReadOnlyList<(DatasetSplit? Split, FolderEntry Folder)> candidates, string root, ClassMerge merge, bool lacksSome)
    {
        HashSet<string> there = NamesOf(candidates.Select(found => found.Folder.Name));
        if (!lacksSome && merge.Folders.FirstOrDefault(folder => !there.Contains(folder)) is { } missing)
        {
            string found = there.Count == 0 ? "no class folders" : string.Join(", ", there.Select(name => $"'{name}'"));
            throw new DatasetException(
                $"'{root}' has no folder '{missing}', which {SettingName.Of("Classes")} names; found {found}. Correct the name, or leave " +
                    "it out.");
        }

        return (merge.Classes, NamesOf(merge.Folders), []);
    }

    private static HashSet<string> NamesOf(IEnumerable<string> names) => new(names, StringComparer.OrdinalIgnoreCase);

    private static ILookup<DatasetSplit, FolderEntry> SplitFoldersOf(IEnumerable<FolderEntry> folders) =>
        folders.Where(folder => DatasetSplits.TryParse(folder.Name, out _)).ToLookup(ParseSplit);

    private static DatasetSplit ParseSplit(FolderEntry folder) =>
        DatasetSplits.TryParse(folder.Name, out DatasetSplit split) ? split : throw new ArgumentException(folder.Name, nameof(folder));

    /// <summary>Why a folder without any folder of a known name is no dataset, whatever else is in it; null where it may be one.</summary>
    private static DatasetException? NoDataset(string root, FolderWalker walker, IReadOnlyList<FolderEntry> folders)
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
        return nested is null ? null : new DatasetException(
            $"'{root}' has no split or class folders, but '{nested.Name}' in it has. Give " +
                $"'{walker.AbsolutePath(nested.RelativePath)}' instead.");
    }

    private static DatasetException NotADataset(string root, IReadOnlyList<FolderEntry> folders)
    {
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
