using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Scanning;

namespace CudaTrainer.Engine.Tests.Scanning;

/// <summary>Scanned files that were never files: drawn metadata, by which classes cannot be told apart.</summary>
internal static class ScannedClips
{
    private static readonly int[] Rows = [240, 360, 480, 720];
    private static readonly double[] Rates = [15, 24, 25, 29.97, 30];
    private static readonly string[] Codecs = ["h264", "mpeg4", "vp9"];

    /// <summary>Every source has its camera; its clips differ in length and size.</summary>
    /// <param name="labelOf">By source and number within the source.</param>
    public static ScannedFile[] Draw(int sources, int clipsOfEach, Func<int, int, int> labelOf, int seed = 1) =>
        Draw([.. Enumerable.Repeat(clipsOfEach, sources)], labelOf, seed);

    /// <inheritdoc cref="Draw(int, int, Func{int, int, int}, int)"/>
    public static ScannedFile[] Draw(int[] clipsOfSources, Func<int, int, int> labelOf, int seed = 1)
    {
        var random = new SplitMix64((ulong)seed);
        List<ScannedFile> files = [];
        for (int source = 0; source < clipsOfSources.Length; source++)
        {
            int rows = Pick(Rows);
            int columns = random.Next(2) == 0 ? rows * 4 / 3 : rows * 16 / 9;
            double rate = Pick(Rates);
            string codec = Pick(Codecs);
            double kilobits = 200 + random.Next(2000);
            for (int clip = 0; clip < clipsOfSources[source]; clip++)
            {
                int frames = 60 + random.Next(60);
                files.Add(Of($"s{source:00}-{clip:00}", labelOf(source, clip)) with
                {
                    Frames = frames,
                    Width = columns,
                    Height = rows,
                    FrameRate = rate,
                    Seconds = frames / rate,
                    Codec = codec,
                    Bytes = (long)(kilobits * (0.9 + (0.2 * random.NextDouble())) * 125 * frames / rate),
                    Source = $"s{source:00}",
                });
            }
        }

        return [.. files];

        T Pick<T>(T[] of) => of[random.Next(of.Length)];
    }

    /// <summary>The same for all but name and class.</summary>
    public static ScannedFile Of(string name, int label) => new(
        $"{ClassLabel.Name(label)}/{name}.mp4", ClassLabel.Name(label), DataScan.Ok, "", null, 75, 320, 240, 25, 3, "h264", 100_000, "mov",
            name);
}
