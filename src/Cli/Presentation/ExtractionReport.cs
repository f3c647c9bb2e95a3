using System.Globalization;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What an extraction ends with on standard output.</summary>
internal static class ExtractionReport
{
    public static void Write(Terminal terminal, ExtractionResult result, FeatureOptions options)
    {
        terminal.Results.Write(DatasetTable.Of(result.Splits));
        var output = terminal.Output;
        output.WriteLine();
        string time = ProgressText.Duration(TimeSpan.FromSeconds(result.Seconds));
        output.WriteLine(result.Misses == 0
            ? $"All {result.Hits} clips were in the cache already ({time})."
            : string.Create(
                CultureInfo.InvariantCulture, $"{result.Misses} clips extracted, {result.Hits} from the cache, in {time} ({result.FramesPerSecond:0.0} frames/s)."));
        foreach (string failed in result.Failed)
        {
            output.WriteLine($"left out: {failed}");
        }

        output.WriteLine($"Features are in {options.CacheDir}");
    }
}
