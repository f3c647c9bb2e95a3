using System.Globalization;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Cli.Presentation;

/// <summary>The dataset by split and class, labels in brackets. Of the known pair class 1, violent, is the positive class.</summary>
internal static class DatasetTable
{
    public static TextTable Of(IReadOnlyList<SplitRow> splits)
    {
        string[] classes = [.. splits.Take(1).SelectMany(split => split.Clips.Keys)];
        TextTable table = new(["split", ">clips", .. classes.Select((name, label) => $">{name} ({label})"), ">sources", ">left out"]);
        foreach (SplitRow split in splits)
        {
            AddRow(table, split.Split, [.. classes.Select(name => split.Clips[name])], split.Sources, split.Failed);
        }

        if (splits.Count > 1)
        {
            AddRow(table, "all", [.. classes.Select(name => splits.Sum(split => split.Clips[name]))], splits.Sum(s => s.Sources),
                splits.Sum(s => s.Failed));
        }

        return table;
    }

    private static void AddRow(TextTable table, string split, int[] counts, int sources, int failed)
    {
        int clips = counts.Sum();
        table.Row(
        [
            split,
            MetricText.Count(clips),
            .. counts.Select(count => new Cell(Share(count, clips))),
            sources > 0 ? MetricText.Count(sources) : "-",
            MetricText.Count(failed),
        ]);
    }

    private static string Share(int part, int whole) => string.Create(
        CultureInfo.InvariantCulture, $"{part} ({(whole == 0 ? "-" : MetricText.Percent((double)part / whole))})");
}
