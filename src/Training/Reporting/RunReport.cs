using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>Runs as pages of HTML: one file each, which loads nothing.</summary>
internal static class RunReport
{
    private const string ComparisonName = "comparison.html";

    /// <summary>Writes the page of one run, or one page that compares several.</summary>
    /// <param name="folders">Checkpoint folders.</param>
    /// <param name="more">Sections besides those of the runs.</param>
    /// <param name="output">The file to write; report.html in the run's folder if null, or comparison.html in the current one.</param>
    /// <param name="overwrite">Whether a file is replaced that is no page.</param>
    /// <param name="stop">Leaves out the pictures that are not decoded yet.</param>
    /// <returns>The file written.</returns>
    /// <exception cref="RunException">A folder holds no run.</exception>
    /// <exception cref="FileFormatException">A file of a run is damaged.</exception>
    /// <exception cref="IOException">The page cannot be written.</exception>
    public static string Write(IReadOnlyList<string> folders, IReadOnlyList<(string Id, string Heading, Markup Content)> more,
        string? output, bool overwrite, CancellationToken stop)
    {
        output ??= folders.Count == 1 ? Path.Combine(folders[0], RunFolder.ReportName) : ComparisonName;
        OutputFile.Require(output, OutputKind.Page, overwrite, nameof(output));
        IReadOnlyList<RunRecord> runs = [.. folders.Select(RunRecord.Load)];
        AtomicFile.WriteAllText(output,
            runs.Count == 1
            ? RunPage.Render(runs[0], Pictures(runs[0], stop), Between(output, folders[0]), more)
            : ComparisonPage.Render(runs, more));
        return output;
    }

    private static ReportPictures Pictures(RunRecord run, CancellationToken stop) => ChosenClips.Of(run) is not { } clips
        ? ReportPictures.None
        : ReportPictures.Read(run.Options, [.. clips.Filmed.Select(clip => clip.Path)], [.. clips.Pictured.Select(clip => clip.Path)],
            stop);

    /// <summary>The way from the page's folder to the run's, as a relative address.</summary>
    private static string Between(string page, string folder)
    {
        string way = Path.GetRelativePath(Path.GetDirectoryName(Path.GetFullPath(page))!, Path.GetFullPath(folder));
        return way == "." ? string.Empty : string.Join('/', way.Split('/').Select(Uri.EscapeDataString)) + "/";
    }
}
