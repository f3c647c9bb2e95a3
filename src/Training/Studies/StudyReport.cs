using System.Text.Json;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Studies;

/// <summary>Pages of runs, with the ablations that belong to them.</summary>
internal static class StudyReport
{
    /// <summary>Writes the page of one run, one page that compares several, or one of ablations alone.</summary>
    /// <param name="folders">Checkpoint folders, and output folders of <c>ablate</c>, each of which becomes a section.</param>
    /// <param name="output">The file to write; the usual one in the first folder if null, or comparison.html in the current one for several
    /// runs.</param>
    /// <param name="overwrite">Whether a file is replaced that is no page.</param>
    /// <param name="stop">Leaves out the pictures that are not decoded yet.</param>
    /// <returns>The file written.</returns>
    /// <exception cref="RunException">A folder holds neither a run nor an ablation.</exception>
    /// <exception cref="FileFormatException">A file of a run or an ablation is damaged.</exception>
    /// <exception cref="IOException">The page cannot be written.</exception>
    public static string Write(IReadOnlyList<string> folders, string? output, bool overwrite, CancellationToken stop)
    {
        ILookup<bool, string> isAblation = folders.ToLookup(IsAblation);
        (string Folder, AblationResult Result)[] ablations = [
            .. isAblation[true].Select(folder => (folder, Read(Path.Combine(folder, Ablation.ResultName))))];
        string[] runs = [.. isAblation[false]];
        if (runs.Length == 0)
        {
            output ??= Path.Combine(ablations[0].Folder, Ablation.PageName);
            OutputFile.Require(output, OutputKind.Page, overwrite, nameof(output));
            AtomicFile.WriteAllText(output,
                ablations.Length == 1
                ? AblationPage.Render(ablations[0].Result)
                : Page.Render("Ablations", Page.Text(string.Join(", ", isAblation[true])), Sections()));
            return output;
        }

        return RunReport.Write(runs, Sections(), output, overwrite, stop);

        (string Id, string Heading, Markup Content)[] Sections() =>
            [.. ablations.Select(
                (ablation, i) => ($"ablation-{i + 1}",
                ablations.Length == 1 ? "What each piece is worth" : $"What each piece is worth: {ablation.Folder}",
                    AblationPage.Section(ablation.Result)))];
    }

    /// <summary>The runs among such folders.</summary>
    /// <inheritdoc cref="RunRecord.Load"/>
    public static IEnumerable<RunRecord> RunsOf(IEnumerable<string> folders) =>
        folders.Where(folder => !IsAblation(folder)).Select(RunRecord.Load);

    private static bool IsAblation(string folder) => File.Exists(Path.Combine(folder, Ablation.ResultName));

    private static AblationResult Read(string path)
    {
        try
        {
            return StrictJson.Deserialize(File.ReadAllText(path), AblationJson.Default.AblationResult) is { Rows: not null } result
                ? result
                : throw new FileFormatException(path, "there are no rows");
        }
        catch (JsonException exception)
        {
            throw new FileFormatException(path, $"expected what 'cudatrainer ablate' writes: {exception.Message}");
        }
    }
}
