using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Extraction;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What a scan of a folder of videos found.</summary>
internal static class ScanReport
{
    private static readonly string[] Classes = ["violent", "nonviolent"];

    /// <summary>Verdicts by class, then every file that is not ok.</summary>
    public static void WriteTable(Terminal terminal, IReadOnlyList<ScannedFile> files)
    {
        TextTable totals = new("verdict", ">violent", ">nonviolent", ">other", ">all");
        foreach (IGrouping<string, ScannedFile> verdict in files.GroupBy(file => file.Verdict).OrderBy(group => group.Key != DataScan.Ok)
            .ThenBy(group => group.Key, StringComparer.Ordinal))
        {
            Total(verdict.Key, [.. verdict]);
        }

        Total("all", files);
        totals.Write(terminal.Results);
        ScannedFile[] findings = [.. files.Where(file => file.Verdict != DataScan.Ok)];
        if (findings.Length > 0)
        {
            TextTable table = new("verdict", "file");
            foreach (ScannedFile file in findings)
            {
                table.Row(new Cell(file.Verdict, new Style(Color.Yellow)), $"{file.Path}: {file.Detail}");
            }

            terminal.Output.WriteLine();
            table.Write(terminal.Results);
        }

        void Total(string name, IReadOnlyList<ScannedFile> of) => totals.Row(
            name, MetricText.Count(of.Count(file => file.Class == Classes[0])),
            MetricText.Count(of.Count(file => file.Class == Classes[1])),
            MetricText.Count(of.Count(file => file.Class is null)), MetricText.Count(of.Count));
    }

    public static void WriteCsv(TextWriter output, IReadOnlyList<ScannedFile> files)
    {
        output.WriteLine("path,class,verdict,detail,duplicate_of,frames,width,height,frame_rate,seconds,codec,bytes");
        foreach (ScannedFile file in files)
        {
            string numbers = string.Create(CultureInfo.InvariantCulture,
                $"{file.Frames},{file.Width},{file.Height},{file.FrameRate:R},{file.Seconds:R},{file.Codec},{file.Bytes}");
            output.WriteLine(string.Join(',', CsvFile.Quote(file.Path), file.Class, file.Verdict, CsvFile.Quote(file.Detail),
                CsvFile.Quote(file.DuplicateOf ?? ""), numbers));
        }
    }
}
