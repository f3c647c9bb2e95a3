using System.Globalization;
using CudaTrainer.Engine.Tracing;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Where the time went, as a table and a sentence for each stage.</summary>
internal static class ProfileReport
{
    public static void Write(Terminal terminal, ProfileSummary profile)
    {
        var table = new TextTable("stage", "what", ">total ms", ">share", ">calls", ">mean ms");
        foreach (ProfileRow row in profile.Rows)
        {
            table.Row(row.Stage, row.Name, Milliseconds(row.Seconds), row.Share is { } share ? MetricText.Percent(share) : "beside",
                row.Calls.ToString(CultureInfo.InvariantCulture), Milliseconds(row.Seconds / row.Calls));
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        foreach (string sentence in profile.Sentences)
        {
            terminal.Output.WriteLine(sentence);
        }

        if (profile.Dropped > 0)
        {
            terminal.Output.WriteLine($"{profile.Dropped} spans more were added up but not written: the file has the first ones");
        }
    }

    private static string Milliseconds(double seconds) => (seconds * 1e3).ToString("0.00", CultureInfo.InvariantCulture);
}
