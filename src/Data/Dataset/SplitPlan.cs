using System.Globalization;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>Where each split's clips come from: its folder, or a share of other clips.</summary>
internal sealed class SplitPlan
{
    private readonly string _root;
    private readonly FolderLayout _layout;
    private readonly SplitFractions _fractions;
    private readonly ClassList _classes;

    public SplitPlan(string root, FolderLayout layout, SplitFractions fractions)
    {
        (_root, _layout, _fractions, _classes) = (root, layout, fractions, layout.Classes);
        if (layout.HasSplitFolders && !layout.SplitFolders.Contains(DatasetSplit.Train))
        {
            throw new DatasetException(
                $"'{root}' has the split folders " +
                    $"{string.Join(", ", layout.SplitFolders.SelectMany(group => group).Select(folder => $"'{folder.Name}'"))} "
                + "but no folder 'train'. Add it, or give class folders only to have them split automatically.");
        }
    }

    /// <summary>Refuses a dataset, or a split folder, that lacks a class.</summary>
    /// <param name="clips">Split folder and label of every clip.</param>
    /// <exception cref="DatasetException">The message names the folder, the counts and the remedy.</exception>
    public void CheckClasses(IReadOnlyList<(DatasetSplit? Split, int Label)> clips)
    {
        if (!_layout.HasSplitFolders)
        {
            CheckClasses(_root, null, ClassCounts.Of(clips.Select(clip => clip.Label)));
            return;
        }

        foreach (IGrouping<DatasetSplit, FolderEntry> folders in _layout.SplitFolders.OrderBy(group => group.Key))
        {
            string folder = Path.Combine(_root, folders.First().Name);
            CheckClasses(folder, folders.Key, ClassCounts.Of(clips.Where(clip => clip.Split == folders.Key).Select(clip => clip.Label)));
        }
    }

    /// <summary>Gives each clip its split.</summary>
    /// <param name="clips">Every clip, in order, with source and content hash.</param>
    /// <param name="folders">The split folder that each clip lies in.</param>
    /// <param name="seed">Decides what folders do not.</param>
    /// <param name="notes">Receives how it was done.</param>
    /// <param name="ties">To other data sets, of which some may be divided already; null for none.</param>
    /// <returns>Clips of train, val and test.</returns>
    /// <exception cref="DatasetException">The groups cannot give every split both classes.</exception>
    public IReadOnlyList<Clip>[] Divide(IReadOnlyList<Clip> clips, IReadOnlyList<DatasetSplit?> folders, int seed, List<string> notes,
        DatasetTies? ties = null)
    {
        if (!_layout.HasSplitFolders)
        {
            return DivideByGroups(
                clips,
                _fractions.Test > 0
                    ? [_fractions.Train, _fractions.Validation, _fractions.Test]
                    : [_fractions.Train, _fractions.Validation],
                seed,
                "clips",
                notes,
                ties);
        }

        IReadOnlyList<Clip>[] splits = DatasetSplits.All
            .Select(split => (IReadOnlyList<Clip>)[.. clips.Where((_, i) => folders[i] == split)]).ToArray();
        if (!_layout.SplitFolders.Contains(DatasetSplit.Validation))
        {
            double both = _fractions.Train + _fractions.Validation;
            IReadOnlyList<Clip>[] divided = DivideByGroups(
                splits[(int)DatasetSplit.Train], [_fractions.Train / both, _fractions.Validation / both], seed, "clips of 'train'", notes,
                ties);
            (splits[(int)DatasetSplit.Train], splits[(int)DatasetSplit.Validation]) = (divided[0], divided[1]);
            notes.Add("There is no folder 'val': val is taken from 'train'.");
        }

        if (!_layout.SplitFolders.Contains(DatasetSplit.Test))
        {
            notes.Add("There is no folder 'test': nothing is held back for a final test.");
        }

        return splits;
    }

    private void CheckClasses(string folder, DatasetSplit? split, ClassCounts counts)
    {
        // What is divided needs a clip of each class for every part.
        int parts = split is null ? _fractions.Test > 0 ? 3 : 2
            : split == DatasetSplit.Train && !_layout.SplitFolders.Contains(DatasetSplit.Validation) ? 2 : 1;
        IReadOnlyList<string> missing = _classes.Missing(counts);
        bool isPair = _classes.IsViolence;
        if (missing.Count == 0 && (isPair || _classes.Names.Where((_, label) => counts[label] < parts).ToArray() is []))
        {
            return;
        }

        string remedy = split is DatasetSplit.Validation or DatasetSplit.Test
            ? $"Add clips, or remove the folder to {(split == DatasetSplit.Validation ? "take val from train" : "do without a test")}."
            : isPair ? "Training needs clips of both classes." : "Add clips, leave the class out, or put it together with another "
                + $"({SettingName.Of("Classes")}).";
        if (counts.Total == 0)
        {
            throw new DatasetException(
                $"'{folder}' has no video in its class folders. {remedy} Class folders are named {ClassLabel.FolderNames}; video files "
                + "end in .mp4 .avi .mov .mkv .webm .flv .wmv .m4v .mpg .mpeg.");
        }

        if (isPair)
        {
            throw new DatasetException(
                $"'{folder}' has clips of one class only: {_classes.Describe(counts)}. {remedy} Class folders are named " +
                    $"{ClassLabel.FolderNames}.");
        }

        string few = string.Join(", ", _classes.Names.Where((_, label) => counts[label] < parts).Select(name => $"'{name}'"));
        throw new DatasetException(counts.Total < _classes.Count
            ? $"'{folder}' has {counts.Total} clips for {_classes.Count} classes ({_classes.Describe(counts)}): no clip stands for " +
                $"some of them. {remedy}"
            : $"'{folder}' needs at least {parts} clips of each class, "
                + (parts > 1 ? "one for each split; " : "or its figures leave a class out; ")
                + $"found {few} with fewer ({_classes.Describe(counts)}). {remedy}");
    }

    private IReadOnlyList<Clip>[] DivideByGroups(IReadOnlyList<Clip> clips, double[] fractions, int seed, string what, List<string> notes,
        DatasetTies? ties)
    {
        int[] groupOf = ClipGroups.Find(clips, out ClassCounts[] groups, ties);
        if (GroupSplitter.MaximumSplits(groups) < fractions.Length)
        {
            throw CannotDivide(groups, fractions.Length);
        }

        int[] assignment = Assign(groups, fractions, seed, PlacesOf(clips, groupOf, groups.Length, fractions.Length, ties));
        if (Enumerable.Range(0, fractions.Length).Any(split => _classes.Missing(
            groups.Where((_, group) => assignment[group] == split).Aggregate(default(ClassCounts), (sum, group) => sum + group)).Count > 0))
        {
            throw CannotDivide(groups, fractions.Length);
        }

        string shares = string.Join(" : ", fractions.Select(fraction => fraction.ToString("0.###", CultureInfo.InvariantCulture)));
        string by = groups.Length == clips.Count
            ? "clip by clip"
            : $"in {groups.Length} groups that stay together (one source or equal content)";
        notes.Add($"{clips.Count} {what} divided {shares} {by}, seed {seed}.");
        return [.. DatasetSplits.All.Select(split =>
            (IReadOnlyList<Clip>)[.. clips.Where((_, i) => assignment[groupOf[i]] == (int)split)])];
    }

    /// <summary>The split that each group has to go to, because another data set has clips of it there; null where it is free.</summary>
    private static int?[] PlacesOf(IReadOnlyList<Clip> clips, int[] groupOf, int groups, int splits, DatasetTies? ties)
    {
        int?[] places = new int?[groups];
        for (int i = 0; i < clips.Count && ties is not null; i++)
        {
            if (ties.PlaceOf(clips[i]) is { } place && (int)place < splits)
            {
                places[groupOf[i]] = (int)place;
            }
        }

        return places;
    }

    private static int[] Assign(ClassCounts[] groups, double[] fractions, int seed, int?[] places)
    {
        int[] free = [.. Enumerable.Range(0, groups.Length).Where(group => places[group] is null)];
        ClassCounts[] counts = [.. free.Select(group => groups[group])];

        // Too few to be divided further belong to train; whoever calls looks whether every split has every class.
        int[] assigned = free.Length > 0 && GroupSplitter.MaximumSplits(counts) >= fractions.Length
            ? GroupSplitter.Assign(counts, fractions, (ulong)seed)
            : new int[free.Length];
        int[] assignment = [.. places.Select(place => place ?? 0)];
        foreach ((int group, int split) in free.Zip(assigned))
        {
            assignment[group] = split;
        }

        return assignment;
    }

    private DatasetException CannotDivide(ClassCounts[] groups, int splits)
    {
        if (!_classes.IsViolence)
        {
            string sources = string.Join(", ", _classes.Names.Select((name, label) =>
                $"{groups.Count(group => group[label] > 0)} of {name}"));
            return new DatasetException(
                $"'{_root}' cannot be divided into {splits} splits that each have every class, because clips of one source stay together: "
                + $"there are {sources} sources. Add clips of more sources"
                + (splits > 2 ? $", or ask for two splits ({SettingName.Of("Split")} 0.8,0.2)." : "."));
        }

        int both = groups.Count(group => group.Nonviolent > 0 && group.Violent > 0);
        int nonviolent = groups.Count(group => group.Violent == 0);
        int violent = groups.Count(group => group.Nonviolent == 0);
        string remedy =
            splits > 2 ? $"Add clips of more sources, or ask for two splits ({SettingName.Of("Split")} 0.8,0.2)." : "Add clips " +
            "of more sources.";
        return new DatasetException(
            $"'{_root}' cannot be divided into {splits} splits that each have both classes, because clips of one source stay together: "
            + $"{both} of its sources have clips of both classes, {nonviolent} only nonviolent and {violent} only violent ones, "
            + $"which is enough for {GroupSplitter.MaximumSplits(groups)}. {remedy}");
    }
}
