using System.Globalization;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Cli.Presentation;

/// <summary>The dataset by split and class. Class 1, violent, is the positive class.</summary>
internal static class DatasetTable
{
    public static TextTable Of(IReadOnlyList<SplitRow> splits)
    {
        TextTable table = new("split", ">clips", ">nonviolent (0)", ">violent (1)", ">sources", ">left out");
        foreach (SplitRow split in splits)
        {
            AddRow(table, split);
        }

        if (splits.Count > 1)
        {
            AddRow(table, new SplitRow(
                "all", splits.Sum(s => s.Nonviolent), splits.Sum(s => s.Violent), splits.Sum(s => s.Sources), splits.Sum(s => s.Failed)));
        }

        return table;
    }

    private static void AddRow(TextTable table, SplitRow split)
    {
        int clips = split.Nonviolent + split.Violent;
        table.Row(
            split.Split,
            MetricText.Count(clips),
            Share(split.Nonviolent, clips),
            Share(split.Violent, clips),
            split.Sources > 0 ? MetricText.Count(split.Sources) : "-",
            MetricText.Count(split.Failed));
    }

    private static string Share(int part, int whole) => string.Create(
        CultureInfo.InvariantCulture, $"{part} ({(whole == 0 ? "-" : MetricText.Percent((double)part / whole))})");
}
