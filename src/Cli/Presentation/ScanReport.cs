using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Scanning;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What a scan of a folder of videos found.</summary>
internal static class ScanReport
{
    /// <summary>Verdicts by class, then every file that is not ok.</summary>
    public static void WriteTable(Terminal terminal, IReadOnlyList<ScannedFile> files)
    {
        string[] found = [.. files.Select(file => file.Class).OfType<string>().Distinct().Order(StringComparer.Ordinal)],
            classes = found.All(ClassList.Violence.Names.Contains) ? [.. ClassList.Violence.Names.Reverse()] : found;
        TextTable totals = new(["verdict", .. classes.Select(name => ">" + name), ">other", ">all"]);
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
        [
            name, .. classes.Select(own => new Cell(MetricText.Count(of.Count(file => file.Class == own)))),
            MetricText.Count(of.Count(file => file.Class is null)), MetricText.Count(of.Count),
        ]);
    }

    /// <summary>What would limit a model, a paragraph for each.</summary>
    public static void WriteFindings(Terminal terminal, DatasetAssessment assessment)
    {
        terminal.Output.WriteLine();
        if (assessment.Findings.Count == 0)
        {
            terminal.Output.WriteLine("Nothing was found that would limit a model.");
            return;
        }

        terminal.Output.WriteLine("What would limit a model:");
        foreach (Finding finding in assessment.Findings)
        {
            (string word, string colour) = finding.Severity == Severity.Error ? ("FAIL", "red") : ("WARN", "yellow");
            terminal.Results.Markup($"[{colour}]{word}[/]  ");
            terminal.Output.WriteLine(TextTable.Printable(finding.Text));
        }
    }

    public static void WriteCsv(TextWriter output, IReadOnlyList<ScannedFile> files)
    {
        output.WriteLine("path,class,verdict,detail,duplicate_of,frames,width,height,frame_rate,seconds,codec,bytes,container,source");
        foreach (ScannedFile file in files)
        {
            string numbers = string.Create(CultureInfo.InvariantCulture,
                $"{file.Frames},{file.Width},{file.Height},{file.FrameRate:R},{file.Seconds:R},{file.Codec},{file.Bytes}");
            output.WriteLine(string.Join(',', CsvFile.Quote(file.Path), CsvFile.Quote(file.Class ?? ""), file.Verdict,
                CsvFile.Quote(file.Detail), CsvFile.Quote(file.DuplicateOf ?? ""), numbers, CsvFile.Quote(file.Container),
                CsvFile.Quote(file.Source ?? "")));
        }
    }
}
