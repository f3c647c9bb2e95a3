using System.Runtime.InteropServices;
using CudaTrainer.Engine.Formats;
using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Bench.Compare;

/// <summary>Made-up features for <c>train --features-dir</c>. A few hundred different clips are repeated as often as it takes.</summary>
internal static class FeatureFolder
{
    private const int Frames = 20;
    private const int Different = 256;
    private const int ValClips = 64;

    /// <param name="folder">Overwritten.</param>
    /// <param name="clips">Training clips.</param>
    /// <param name="zeros">Part of the features that is 0.</param>
    public static void Write(string folder, int clips, double zeros)
    {
        Directory.CreateDirectory(folder);
        var random = new Random(23);
        float[] rows = new float[Different * Frames * Vgg19.Features];
        for (int i = 0; i < rows.Length; i++)
        {
            float normal = (random.NextSingle() + random.NextSingle() + random.NextSingle() + random.NextSingle() - 2) * 1.732f;
            rows[i] = zeros == 0 ? normal : random.NextSingle() < zeros ? 0 : Math.Abs(normal);
        }

        Write(folder, "train", clips, rows);
        Write(folder, "val", ValClips, rows);
    }

    private static void Write(string folder, string split, int clips, float[] rows)
    {
        const int rowLength = Frames * Vgg19.Features;
        using NpyWriter writer = NpyWriter.Create(Path.Combine(folder, $"{split}_features.npy"), ElementType.F32, clips, Frames, Vgg19.Features);
        for (int clip = 0; clip < clips; clip++)
        {
            writer.AppendBytes(MemoryMarshal.AsBytes(rows.AsSpan(clip % Different * rowLength, rowLength)));
        }

        writer.Complete();
        NpyFile.Write<long>(Path.Combine(folder, $"{split}_labels.npy"), [.. Enumerable.Range(0, clips).Select(i => (long)(i % 2))], clips);
    }
}
