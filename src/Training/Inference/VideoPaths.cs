using System.IO.Enumeration;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Training.Inference;

/// <summary>What the paths that a user named stand for.</summary>
/// <param name="Videos">In the order of the paths, those of a folder or pattern sorted by name.</param>
/// <param name="Unreadable">Folders, and files, that could not be looked into, with the reason.</param>
public sealed record FoundVideos(IReadOnlyList<string> Videos, IReadOnlyList<IgnoredFile> Unreadable);

/// <summary>Video files by what a user names: files, folders that are searched, and patterns.</summary>
public static class VideoPaths
{
    /// <summary>The videos that <paramref name="paths"/> stand for.</summary>
    /// <param name="paths">
    /// Files; folders, of which all videos below them; or patterns where nothing has that very name: <c>*</c> and <c>?</c> within a name,
    /// <c>**</c> for any number of folders. A path that is neither folder nor pattern stands for itself, whether it exists or not.
    /// </param>
    /// <param name="observer">Told what is passed over, and of which folders nothing could be read.</param>
    /// <exception cref="RunException">There is no video at all.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static FoundVideos Find(IReadOnlyList<string> paths, IRunObserver observer, CancellationToken stop = default)
    {
        List<string> videos = [], empty = [];
        List<IgnoredFile> unreadable = [];
        if (paths.FirstOrDefault(path => path.Contains("://", StringComparison.Ordinal) && !File.Exists(path)) is { } address)
        {
            // The rest of an address may hold a password.
            throw new RunException(
                $"An address ({address[..(address.IndexOf("://", StringComparison.Ordinal) + 3)]}…) was given where a file is expected.",
                "Cameras and streams are for the command watch.");
        }

        foreach (string path in paths)
        {
            int before = videos.Count, unreadableBefore = unreadable.Count;
            if (Directory.Exists(path))
            {
                videos.AddRange(InFolder(path, unreadable, observer, stop));
            }
            else if (!IsPattern(path) || File.Exists(path))
            {
                videos.Add(path);
            }
            else
            {
                videos.AddRange(Matching(path, unreadable, observer, stop));
            }

            if (videos.Count == before)
            {
                string what = Directory.Exists(path) ? $"There are no videos in '{path}'" : $"No video matches '{path}'";
                empty.Add(unreadable.Count > unreadableBefore ? $"{what} that can be read." : $"{what}.");
            }
        }

        if (videos.Count == 0)
        {
            throw new RunException(empty.FirstOrDefault() ?? "There are no videos.",
                $"Videos end in {string.Join(", ", FolderWalker.VideoExtensions)}.");
        }

        observer.List(Severity.Warning, empty);
        return new FoundVideos(videos, unreadable);
    }

    private static bool IsPattern(string name) => name.AsSpan().ContainsAny('*', '?');

    private static string[] InFolder(string folder, List<IgnoredFile> unreadable, IRunObserver observer, CancellationToken stop)
    {
        FolderWalker walker = new(folder, stop);
        try
        {
            return [.. walker.FindVideos(walker.Root, null).Select(entry => walker.AbsolutePath(entry.RelativePath))
                .Order(StringComparer.Ordinal)];
        }
        catch (DatasetException exception)
        {
            observer.Message(Severity.Warning, exception.Message);
            unreadable.Add(new IgnoredFile(folder, exception.Message));
            return [];
        }
        finally
        {
            Tell(walker, unreadable, observer);
        }
    }

    private static string[] Matching(string pattern, List<IgnoredFile> unreadable, IRunObserver observer, CancellationToken stop)
    {
        bool isRooted = pattern.StartsWith('/');
        FolderWalker walker = new(isRooted ? "/" : string.Empty, stop);
        string[] parts = pattern.Split('/', StringSplitOptions.RemoveEmptyEntries);
        List<string> matches = [];
        foreach (FolderEntry match in Matches(walker, walker.Root, parts))
        {
            string path = walker.AbsolutePath(match.RelativePath);
            if (match.IsFolder)
            {
                matches.AddRange(InFolder(path, unreadable, observer, stop));
            }
            else if (FolderWalker.IsVideoName(match.Name))
            {
                matches.Add(path);
            }
        }

        // Links that a pattern leads past are of no interest; what could not be looked into is.
        walker.Ignored.Clear();
        Tell(walker, unreadable, observer);
        return [.. matches.Distinct().Order(StringComparer.Ordinal)];
    }

    private static IEnumerable<FolderEntry> Matches(FolderWalker walker, FolderEntry entry, ReadOnlyMemory<string> parts)
    {
        if (parts.Length == 0)
        {
            return [entry];
        }

        string part = parts.Span[0];
        ReadOnlyMemory<string> rest = parts[1..];
        if (!entry.IsFolder)
        {
            return [];
        }

        if (part == "**")
        {
            return walker.Walk(entry).SelectMany(folder => Matches(walker, folder.Folder, rest));
        }

        // A name as it is may be hidden, or "..", or lie in a folder that can be entered but not listed.
        return IsPattern(part)
            ? walker.TryEntries(entry)
                .Where(child => !child.IsHidden && FileSystemName.MatchesSimpleExpression(part, child.Name, ignoreCase: false))
                .SelectMany(child => Matches(walker, child, rest))
            : walker.Find(entry, part) is { Facts.Kind: not FileKind.Missing } child ? Matches(walker, child, rest) : [];
    }

    private static void Tell(FolderWalker walker, List<IgnoredFile> unreadable, IRunObserver observer)
    {
        observer.Tell(walker);
        unreadable.AddRange(walker.Unreadable.Select(file => file with { RelativePath = walker.AbsolutePath(file.RelativePath) }));
    }
}
