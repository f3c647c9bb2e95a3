using System.Globalization;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What an extraction ends with on standard output.</summary>
internal static class ExtractionReport
{
    public static void Write(Terminal terminal, ExtractionResult result)
    {
        var output = terminal.Output;
        if (result.Cache is { } cache)
        {
            foreach (var split in cache.Splits)
            {
                string failed = split.Failed.Total > 0 ? $", {split.Failed.Total} left out" : "";
                output.WriteLine(
                    $"{split.Split.ToString().ToLowerInvariant(),-6} {split.Rows.Total} clips: {split.Rows.Nonviolent} nonviolent, {split.Rows.Violent} violent{failed}");
            }

            output.WriteLine($"clips  {cache.Extracted} extracted, {cache.Reused} from the cache, {cache.Failed.Count} failed");
        }

        if (result.FramesPerSecond > 0)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"speed  {result.FramesPerSecond:0.0} frames/s"));
        }

        output.WriteLine($"time   {TrainingReport.Stages(result.Stages)}");
        output.WriteLine($"model  {result.Backbone}");
        output.WriteLine($"files  {result.CacheDir}");
    }
}
