using System.IO.Enumeration;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;

namespace CudaTrainer.Training.Inference;

/// <summary>Video files by what a user names: files, folders that are searched, and patterns.</summary>
public static class VideoPaths
{
    /// <summary>The videos that <paramref name="path"/> stands for, sorted by name.</summary>
    /// <param name="path">
    /// A file; a folder, of which all videos below it; or a pattern where nothing has that very name: <c>*</c> and <c>?</c> within a name,
    /// <c>**</c> for any number of folders.
    /// </param>
    /// <returns>A path that is neither folder nor pattern as it is, whether it exists or not.</returns>
    /// <exception cref="RunException">A folder or pattern has no video.</exception>
    public static IReadOnlyList<string> Expand(string path)
    {
        if (Directory.Exists(path))
        {
            string[] videos = [.. InFolder(path).Order(StringComparer.Ordinal)];
            return videos.Length > 0 ? videos : throw NoVideos($"There are no videos in '{path}'.");
        }

        if (File.Exists(path) || !IsPattern(path))
        {
            return [path];
        }

        string[] parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        string[] matches = [.. Matches(path.StartsWith('/') ? "/" : string.Empty, parts)
            .SelectMany(match => Directory.Exists(match) ? InFolder(match) : FolderWalker.IsVideoName(match) ? [match] : [])
            .Distinct()
            .Order(StringComparer.Ordinal)];
        return matches.Length > 0 ? matches : throw NoVideos($"No video matches '{path}'.");
    }

    private static RunException NoVideos(string message) =>
        new(message, $"Videos end in {string.Join(", ", FolderWalker.VideoExtensions)}.");

    private static bool IsPattern(string name) => name.AsSpan().ContainsAny('*', '?');

    private static IEnumerable<string> InFolder(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(file => FolderWalker.IsVideoName(file));

    private static IEnumerable<string> Matches(string folder, ReadOnlyMemory<string> parts)
    {
        if (parts.Length == 0)
        {
            return [folder];
        }

        string part = parts.Span[0];
        ReadOnlyMemory<string> rest = parts[1..];
        if (part == "**")
        {
            return Matches(folder, rest).Concat(Entries(folder).Where(Directory.Exists).SelectMany(child => Matches(child, parts)));
        }

        if (!IsPattern(part))
        {
            string next = Path.Combine(folder, part);
            return Path.Exists(next) ? Matches(next, rest) : [];
        }

        return Entries(folder)
            .Where(entry => FileSystemName.MatchesSimpleExpression(part, Path.GetFileName(entry), ignoreCase: false))
            .SelectMany(entry => Matches(entry, rest));
    }

    /// <summary>As a shell lists them: without hidden ones.</summary>
    private static IEnumerable<string> Entries(string folder)
    {
        string listed = folder.Length == 0 ? "." : folder;
        return Directory.Exists(listed)
            ? Directory.EnumerateFileSystemEntries(listed).Select(entry => Path.GetFileName(entry)).Where(name => !name.StartsWith('.'))
                .Select(name => Path.Combine(folder, name))
            : [];
    }
}
