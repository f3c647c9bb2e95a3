using System.Globalization;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Cli.Presentation;

/// <summary>False alarms an hour, the videos with the most of them, and those that could not be read to their end.</summary>
internal static class FalseAlarmReport
{
    /// <summary>Videos that are shown; the file has all.</summary>
    private const int Worst = 10;

    public static void Write(Terminal terminal, FalseAlarms alarms)
    {
        Interval interval = alarms.PerHourInterval;
        TextTable table = new("false alarms", ">");
        table.Row("videos", MetricText.Count(alarms.Videos));
        table.Row("videos that could not be read", MetricText.Count(alarms.Unreadable));
        table.Row("hours watched", MetricText.Fraction(alarms.Hours));
        table.Row("events", MetricText.Count(alarms.Events));
        table.Row("false alarms an hour", double.IsNaN(alarms.PerHour)
            ? "-"
            : $"{MetricText.Fraction(alarms.PerHour)} [{MetricText.Fraction(interval.Low)}, {MetricText.Fraction(interval.High)}]");
        table.Row("windows", MetricText.Count(alarms.Windows));
        table.Row("  at or above the threshold", MetricText.Percent(alarms.WindowShare));
        table.Row("threshold, release", $"{MetricText.Fraction(alarms.Threshold)}, {MetricText.Fraction(alarms.Release)}");
        table.Row("seconds of a window, stride",
            string.Create(CultureInfo.InvariantCulture, $"{alarms.Window:0.###}, {alarms.Stride:0.###}"));
        table.Write(terminal.Results);
        terminal.Output.WriteLine("In brackets: exact 95% confidence interval of a Poisson rate, which takes events as independent.");
        WriteWorst(terminal, alarms);
        WriteFaults(terminal, alarms);
    }

    private static void WriteWorst(Terminal terminal, FalseAlarms alarms)
    {
        WatchedVideo[] worst = [.. alarms.Watched.Where(video => video.Windows > 0).Take(Worst)];
        if (worst.Length == 0)
        {
            return;
        }

        TextTable table = new(">events", ">highest", ">at", "worst videos");
        foreach (WatchedVideo video in worst)
        {
            table.Row(MetricText.Count(video.Events.Count), MetricText.Fraction(video.Highest), MetricText.Time(video.HighestTime),
                video.Path);
        }

        terminal.Output.WriteLine();
        table.Write(terminal.Results);
    }

    private static void WriteFaults(Terminal terminal, FalseAlarms alarms)
    {
        WatchedVideo[] faulty = [.. alarms.Watched.Where(video => video.Error is not null)];
        if (faulty.Length == 0)
        {
            return;
        }

        TextTable table = new(">watched", "status", "not read to the end");
        foreach (WatchedVideo video in faulty)
        {
            table.Row(MetricText.Time(video.Seconds), video.Status, $"{video.Path}: {video.Error}");
        }

        terminal.Output.WriteLine();
        table.Write(terminal.Results);
    }
}
