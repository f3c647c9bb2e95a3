using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Events;

/// <summary>Tells what was found in folders beside the videos, in the same words wherever folders are read.</summary>
internal static class FolderNotes
{
    private const int LinesShown = 10;

    /// <summary>How a data set was made, what may spoil it and what is no part of it.</summary>
    public static void Tell(this IRunObserver observer, VideoDataset dataset)
    {
        observer.List(Severity.Info, dataset.Notes);
        observer.List(Severity.Warning, dataset.Warnings);
        observer.List(Severity.Info, [.. dataset.Ignored.Select(Line)]);
    }

    /// <summary>What a walk could not look into, and what it passed over.</summary>
    public static void Tell(this IRunObserver observer, FolderWalker walker)
    {
        observer.List(Severity.Warning, walker.Warnings);
        observer.List(Severity.Info, [.. walker.Ignored
            .Select(file => file with { RelativePath = walker.AbsolutePath(file.RelativePath) })
            .OrderBy(file => file.RelativePath, StringComparer.Ordinal).Select(Line)]);
    }

    /// <summary>The first lines of a list that may be long, and how many follow.</summary>
    public static void List(this IRunObserver observer, Severity severity, IReadOnlyList<string> lines)
    {
        foreach (string line in lines.Take(LinesShown))
        {
            observer.Message(severity, line);
        }

        if (lines.Count > LinesShown)
        {
            observer.Message(severity, $"… and {lines.Count - LinesShown} more like that");
        }
    }

    private static string Line(IgnoredFile file) => $"ignored: {file.RelativePath} ({file.Reason})";
}
