using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>The clips of a folder before they are divided.</summary>
/// <param name="Root">Absolute path of the folder.</param>
/// <param name="Clips">In the order of their paths, with sources and content hashes.</param>
/// <param name="Splits">The split folder that each clip lies in.</param>
/// <param name="KnownSources">Paths of the clips whose source was given, rather than assumed.</param>
/// <param name="Whole">Why they cannot be divided, where they need not be; null where they may be.</param>
internal sealed record FoundClips(string Root, FolderLayout Layout, IReadOnlyList<Clip> Clips, IReadOnlyList<DatasetSplit?> Splits,
    IReadOnlySet<string> KnownSources, IReadOnlyList<IgnoredFile> Ignored, IReadOnlyList<string> Notes, IReadOnlyList<string> Warnings,
    string? Whole = null)
{
    /// <summary>The same as one of several data sets: paths and sources begin with its name, labels are of the classes of all.</summary>
    public FoundClips Named(string name, ClassList classes)
    {
        int[] labels = [.. Layout.Classes.Names.Select(own => classes.TryParse(own, out int label)
            ? label
            : throw new ArgumentException($"'{own}' is none of {classes}.", nameof(classes)))];
        string At(string path) => $"{name}/{path}";
        return this with
        {
            Layout = Layout with { Classes = classes },
            Clips = [.. Clips.Select(clip => clip with
            {
                RelativePath = At(clip.RelativePath),
                Source = At(clip.Source),
                Label = labels[clip.Label],
                Dataset = name,
            })],
            KnownSources = KnownSources.Select(At).ToHashSet(StringComparer.Ordinal),
            Ignored = [.. Ignored.Select(file => file with { RelativePath = At(file.RelativePath) })],
            Notes = [.. Notes.Select(note => $"{name}: {note}")],
            Warnings = [.. Warnings.Select(warning => $"{name}: {warning}")],
        };
    }
}

/// <summary>
/// Puts data sets together and keeps them apart: each is divided as it would be by itself, sources belong to one data set, and what stands
/// in two of them goes to one split.
/// </summary>
internal static class DatasetUnion
{
    private const int ExamplesShown = 5;

    /// <exception cref="DatasetException">
    /// They have different classes, or none has a folder that <paramref name="merge"/> names.
    /// </exception>
    public static void Require(IReadOnlyList<string> roots, IReadOnlyList<FolderLayout> layouts, ClassMerge? merge)
    {
        HashSet<string> there = new(layouts.SelectMany(layout => layout.ClassFolders).Select(folder => folder.Folder.Name),
            StringComparer.OrdinalIgnoreCase);
        if (merge?.Folders.FirstOrDefault(folder => !there.Contains(folder)) is { } missing)
        {
            throw new DatasetException(
                $"None of the data sets has a folder '{missing}', which {SettingName.Of("Classes")} names. Correct the name, " +
                    "or leave it out.");
        }

        foreach ((string root, FolderLayout layout) in roots.Zip(layouts))
        {
            if (!layout.Classes.HasSameNames(layouts[0].Classes))
            {
                throw new DatasetException(
                    $"'{roots[0]}' has the classes {layouts[0].Classes}, and '{root}' has the classes {layout.Classes}. Say which " +
                        $"folders of all data sets are which class, with {SettingName.Of("Classes")} CLASS=FOLDER,FOLDER;CLASS=FOLDER; " +
                        "folders that it does not name are left out.");
            }
        }
    }

    /// <param name="found">Of the same classes.</param>
    /// <exception cref="DatasetException">They have one video under two labels, or one cannot be divided.</exception>
    public static VideoDataset Of(IReadOnlyList<FoundClips> found, DatasetOptions options)
    {
        IReadOnlyList<DatasetFolder> folders = DatasetFolders.Named([.. found.Select(one => one.Root)]);
        ClassList classes = found[0].Layout.Classes;
        FoundClips[] sets = [.. found.Zip(folders).Select(pair => pair.First.Named(pair.Second.Name, classes))];
        Clip[] all = [.. sets.SelectMany(set => set.Clips)];
        List<string> warnings = [.. sets.SelectMany(set => set.Warnings), .. Shared(all, classes)];
        List<string> notes = [.. sets.SelectMany(set => set.Notes)];

        // Folders that are splits already decide where copies in other data sets go.
        var ties = new DatasetTies(all);
        var splits = new List<Clip>[] { [], [], [] };
        Dictionary<string, string> summaries = [];
        string? whole = sets.Select(set => set.Whole).FirstOrDefault(why => why is not null);
        foreach ((FoundClips set, DatasetFolder folder) in sets.Zip(folders).OrderByDescending(pair => pair.First.Layout.HasSplitFolders))
        {
            List<string> how = [];
            if (!DatasetScanner.TryDivide(set, options, how, ties, out IReadOnlyList<Clip>[] divided, ref whole))
            {
                break;
            }

            ties.Place(divided);
            foreach (DatasetSplit split in DatasetSplits.All)
            {
                splits[(int)split].AddRange(divided[(int)split]);
            }

            notes.AddRange(how.Select(note => $"{folder.Name}: {note}"));
            summaries[folder.Name] = Summary(folder.Name, set.Clips, divided, classes);
        }

        if (whole is null)
        {
            notes.AddRange(folders.Select(folder => summaries[folder.Name]));
        }
        else
        {
            notes.Add(DatasetScanner.Undivided(whole));
            splits = [[.. all], [], []];
        }

        Clip[][] ordered = [.. splits.Select(clips => clips.OrderBy(clip => clip.RelativePath, StringComparer.Ordinal).ToArray())];
        var dataset = new VideoDataset(found[0].Root, ordered[0], ordered[1], ordered[2]) { Classes = classes };
        HashSet<string> known = [.. sets.SelectMany(set => set.KnownSources)];
        return new VideoDataset(dataset.Root, ordered[0], ordered[1], ordered[2])
        {
            Classes = classes,
            Folders = folders,
            IsDivided = whole is null,
            Ignored = [.. sets.SelectMany(set => set.Ignored)],
            Notes = notes,
            Warnings = [.. warnings, .. SplitAudit.Warnings(dataset, clip => known.Contains(clip.RelativePath))],
        };
    }

    private static string Summary(string name, IReadOnlyList<Clip> clips, IReadOnlyList<Clip>[] splits, ClassList classes)
    {
        string parts = string.Join(", ", DatasetSplits.All.Where(split => splits[(int)split].Count > 0)
            .Select(split => $"{split.Name()} {splits[(int)split].Count}"));
        int sources = clips.Select(clip => clip.Source).Distinct(StringComparer.Ordinal).Count();
        return $"{name}: {clips.Count} clips ({classes.Describe(ClassCounts.Of(clips.Select(clip => clip.Label)))}) from {sources} " +
            $"sources; {parts}.";
    }

    /// <summary>What stands in more than one data set.</summary>
    /// <exception cref="DatasetException">With another label in each.</exception>
    private static IEnumerable<string> Shared(IReadOnlyList<Clip> clips, ClassList classes)
    {
        Clip[][] shared = [.. clips.Where(clip => clip.HasContent).GroupBy(clip => clip.ContentHash, StringComparer.Ordinal)
            .Where(group => group.DistinctBy(clip => clip.Dataset).Count() > 1).Select(group => group.ToArray())];
        if (shared.FirstOrDefault(copies => copies.DistinctBy(clip => clip.Label).Count() > 1) is { } contradictory)
        {
            Clip other = contradictory.First(clip => clip.Label != contradictory[0].Label);
            throw new DatasetException(
                $"'{contradictory[0].RelativePath}' is {classes[contradictory[0].Label]} and '{other.RelativePath}' is " +
                    $"{classes[other.Label]}, but they are the same video. Remove the wrong one.");
        }

        if (shared.Length > 0)
        {
            string rest = shared.Length > ExamplesShown ? $"; and {shared.Length - ExamplesShown} more" : "";
            yield return $"{(shared.Length == 1 ? "1 video is" : $"{shared.Length} videos are")} in more than one data set, so each " +
                "counts more than once, and clips of the same sources stay in one split: "
                + string.Join("; ", shared.Take(ExamplesShown).Select(copies =>
                    string.Join(" = ", copies.Select(clip => $"'{clip.RelativePath}'")))) + rest + ".";
        }
    }
}
