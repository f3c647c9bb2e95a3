using System.Globalization;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What an extraction ends with on standard output.</summary>
internal static class ExtractionReport
{
    public static void Write(Terminal terminal, ExtractionResult result)
    {
        DatasetTable.Of(result.Splits).Write(terminal.Results);
        TextWriter output = terminal.Output;
        output.WriteLine();
        string speed = result.FramesPerSecond > 0
            ? string.Create(CultureInfo.InvariantCulture, $" ({result.FramesPerSecond:0.0} frames/s)")
            : "";
        output.WriteLine($"clips      {result.Misses} extracted{speed}, {result.Hits} from the cache, {result.Failed.Count} left out (listed in {{split}}_videos.csv)");
        output.WriteLine($"backbone   {result.Backbone}");
        output.WriteLine($"time       {TrainingReport.Stages(result.Stages)}");
        output.WriteLine($"files      {result.CacheDir}");
    }
}
