using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>What tables of clips have in common: columns by name, and paths that are written in more than one way.</summary>
internal static class ClipTable
{
    private const int ExamplesShown = 5;

    /// <summary>The place of a column; -1 where there is none and none is required.</summary>
    /// <exception cref="FileFormatException">It is missing, or there are several.</exception>
    public static int Column(string path, CsvRecord header, string name, string hint, bool required = true)
    {
        var columns = Enumerable.Range(0, header.Fields.Count)
            .Where(i => header.Fields[i].Equals(name, StringComparison.OrdinalIgnoreCase)).ToList();
        return columns switch
        {
            [var column] => column,
            [] when !required => -1,
            [] => throw new FileFormatException(
                path,
                $"line {header.Line}: expected a column '{name}', found {string.Join(", ", header.Fields.Select(field => $"'{field}'"))}",
                hint),
            _ => throw new FileFormatException(path, $"line {header.Line}: the column '{name}' occurs {columns.Count} times", hint),
        };
    }

    /// <summary>The clip that a path means, relative to the dataset's folder or to the table's own; null where there is none.</summary>
    /// <param name="written">As the table has it.</param>
    /// <param name="root">The dataset's folder.</param>
    /// <param name="table">The table's absolute path.</param>
    /// <param name="isClip">Whether a path below the dataset's folder is a clip.</param>
    public static string? Resolve(string written, string root, string table, Func<string, bool> isClip)
    {
        if (written.Length == 0)
        {
            return null;
        }

        string relative = written.Replace('\\', '/');
        return isClip(relative)
            ? relative
            : new[] { root, Path.GetDirectoryName(table)! }
                .Select(origin => Path.GetRelativePath(root, Path.GetFullPath(relative, origin)).Replace('\\', '/'))
                .FirstOrDefault(isClip);
    }

    /// <summary>The first few of what was found.</summary>
    public static string Lines(IReadOnlyList<string> lines)
    {
        string rest = lines.Count > ExamplesShown ? $" and {lines.Count - ExamplesShown} more" : "";
        return string.Join("; ", lines.Take(ExamplesShown)) + rest;
    }
}
