namespace CudaTrainer.Data.Dataset;

/// <summary>Folders of several data sets: what they are called, and what they must not be to each other.</summary>
internal static class DatasetFolders
{
    /// <summary>Why these cannot be data sets beside each other; null where they can.</summary>
    public static string? Problem(IReadOnlyList<string> paths)
    {
        if (paths.Count < 2)
        {
            return null;
        }

        if (paths.Any(string.IsNullOrWhiteSpace))
        {
            return "one of the folders has no name";
        }

        string[] places = [.. paths.Select(PlaceOf)];
        for (int i = 0; i < places.Length; i++)
        {
            for (int other = 0; other < i; other++)
            {
                if (places[i] == places[other])
                {
                    return paths[i] == paths[other]
                        ? $"'{paths[i]}' is given twice: its clips would count twice. Give it once"
                        : $"'{paths[i]}' and '{paths[other]}' are one folder: its clips would count twice. Give it once";
                }

                (int inner, int outer) = places[i].Length > places[other].Length ? (i, other) : (other, i);
                if (places[inner].StartsWith(places[outer] + Path.DirectorySeparatorChar, StringComparison.Ordinal))
                {
                    return $"'{paths[inner]}' lies in '{paths[outer]}', which is given too: its clips would count twice. Give one of them";
                }
            }
        }

        return null;
    }

    /// <summary>Gives each folder the shortest end of its path that no other has.</summary>
    /// <param name="roots">Absolute paths, all different.</param>
    public static IReadOnlyList<DatasetFolder> Named(IReadOnlyList<string> roots)
    {
        string[][] parts = [.. roots.Select(root => root.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))];
        int length = 1;
        while (parts.Select(End).Distinct(StringComparer.OrdinalIgnoreCase).Count() < parts.Length && length < parts.Max(all => all.Length))
        {
            length++;
        }

        return [.. roots.Zip(parts).Select(pair => new DatasetFolder(End(pair.Second), pair.First))];

        string End(string[] all) => string.Join('/', all.TakeLast(length));
    }

    /// <summary>The file of a clip.</summary>
    /// <param name="path">As a data set of these folders calls it.</param>
    public static string FileOf(string path, IReadOnlyList<string> folders)
    {
        if (folders.Count == 1)
        {
            return Path.Combine(folders[0], path);
        }

        DatasetFolder folder = Named([.. folders.Select(RootOf)])
            .First(folder => path.StartsWith(folder.Name + "/", StringComparison.Ordinal));
        return Path.Combine(folder.Root, path[(folder.Name.Length + 1)..]);
    }

    /// <summary>The absolute path that a data set's folder is known by.</summary>
    public static string RootOf(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));

    private static string PlaceOf(string path)
    {
        string full = RootOf(path);
        return Directory.Exists(full) && Directory.ResolveLinkTarget(full, returnFinalTarget: true) is { } target
            ? Path.TrimEndingDirectorySeparator(target.FullName)
            : full;
    }
}
