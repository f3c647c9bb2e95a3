using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>A tiny set of features in which violent clips differ by their mean, so that training has something to find.</summary>
internal static class FeatureFolder
{
    public const int Frames = 4, Dimension = 16;

    public static string Write(string folder, int train = 24, int held = 12, int classes = 2)
    {
        Directory.CreateDirectory(folder);
        Random random = new(1);
        WriteSplit(folder, "train", train, random, classes);
        WriteSplit(folder, "val", held, random, classes);
        WriteSplit(folder, "test", held, random, classes);
        return folder;
    }

    private static void WriteSplit(string folder, string split, int clips, Random random, int classes)
    {
        using var features = NpyWriter.Create(Path.Combine(folder, $"{split}_features.npy"), ElementType.F32, clips, Frames, Dimension);
        using var labels = NpyWriter.Create(Path.Combine(folder, $"{split}_labels.npy"), ElementType.I64, clips);
        float[] row = new float[Frames * Dimension];
        for (int i = 0; i < clips; i++)
        {
            long label = classes > 2 ? i % classes : i % 3 == 0 ? 1 : 0;
            for (int j = 0; j < row.Length; j++)
            {
                row[j] = random.NextSingle() + (label * ((j % Dimension) < 4 ? 1 : 0));
            }

            features.Append<float>(row);
            labels.Append<long>([label]);
        }

        features.Complete();
        labels.Complete();
    }
}
