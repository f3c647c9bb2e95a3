using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Cli.Presentation;

/// <summary>For each camera the quantities beside those of the training clips, then the alarms in sentences.</summary>
internal static class DriftTable
{
    public static void Write(Terminal terminal, IReadOnlyList<DriftReport> reports)
    {
        foreach (DriftReport report in reports)
        {
            if (reports.Count > 1)
            {
                terminal.Output.WriteLine(report.Path);
            }

            TextTable table = new("quantity", ">training, 98 %", ">here, 90 %", ">median", ">windows", "verdict");
            foreach (DriftRow row in report.Quantities)
            {
                table.Row(row.Title, Range(row.Low, row.High), Range(row.HereLow, row.HereHigh), Number(row.Here),
                    MetricText.Count(row.Windows), row.Verdict);
            }

            table.Write(terminal.Results);
            foreach (DriftEvent drift in report.Alarms)
            {
                string when = $"From {MetricText.Time(drift.Seconds)} of {drift.File} on, for {drift.Windows} windows.";
                terminal.Output.WriteLine($"{(drift.Ended ? "Was" : "Alarm")}: {drift.Alarm.Sentence} {when}");
            }

            foreach (IgnoredFile file in report.Unreadable)
            {
                terminal.Output.WriteLine($"not read to the end: {file.RelativePath}: {file.Reason}");
            }

            terminal.Output.WriteLine(
                $"{MetricText.Time(report.Seconds)} of {report.Videos} videos; {report.Alarms.Count} alarms");
        }
    }

    private static string Range(double low, double high) =>
        low.Equals(high) ? Number(low) : double.IsNaN(low) ? "-" : $"{Number(low)} to {Number(high)}";

    /// <summary>Three digits.</summary>
    private static string Number(double value) => double.IsNaN(value) ? "-"
        : value.ToString(Math.Abs(value) >= 100 ? "0" : Math.Abs(value) >= 10 ? "0.#" : "0.###", CultureInfo.InvariantCulture);
}
