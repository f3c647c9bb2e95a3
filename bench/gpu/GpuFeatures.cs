using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Bench.Gpu;

/// <summary><c>bench features</c>: random features of clips, of which the violent ones differ by their mean, to train on where there is no
/// video.</summary>
internal static class GpuFeatures
{
    /// <param name="folder">Made if it is not there.</param>
    /// <param name="smoke">Few and short.</param>
    public static void Write(string folder, bool smoke)
    {
        Directory.CreateDirectory(folder);
        (int train, int held, int frames, int dimension) = smoke ? (24, 12, 4, 16) : (640, 128, 20, Vgg19.Features);
        int seed = 0;
        foreach ((string split, int clips) in new[] { ("train", train), ("val", held), ("test", held) })
        {
            using var features = NpyWriter.Create(Path.Combine(folder, $"{split}_features.npy"), ElementType.F32, clips, frames, dimension);
            using var labels = NpyWriter.Create(Path.Combine(folder, $"{split}_labels.npy"), ElementType.I64, clips);
            for (int i = 0; i < clips; i++)
            {
                long label = i % 3 == 0 ? 1 : 0;
                float[] row = NativeArray.RandomManaged(frames * dimension, ++seed);
                for (int j = 0; label == 1 && j < row.Length; j += 4)
                {
                    row[j] += 0.5f;
                }

                features.Append<float>(row);
                labels.Append<long>([label]);
            }

            features.Complete();
            labels.Complete();
        }
    }
}
