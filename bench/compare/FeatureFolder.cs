using System.Runtime.InteropServices;
using CudaTrainer.Formats;

namespace CudaTrainer.Bench.Compare;

/// <summary>Made-up features for <c>train --features-dir</c>. A few hundred different clips are repeated as often as it takes.</summary>
internal static class FeatureFolder
{
    private const int Different = 256;
    private const int ValClips = 64;

    /// <param name="folder">Overwritten.</param>
    /// <param name="clips">Training clips.</param>
    /// <param name="zeros">Part of the features that is 0.</param>
    public static void Write(string folder, int clips, double zeros, int inputs = OwnStep.Inputs)
    {
        Directory.CreateDirectory(folder);
        float[] rows = OwnStep.Features(zeros, Different, inputs);
        Write(folder, "train", clips, inputs, rows);
        Write(folder, "val", ValClips, inputs, rows);
    }

    private static void Write(string folder, string split, int clips, int inputs, float[] rows)
    {
        int rowLength = OwnStep.Time * inputs;
        using NpyWriter writer = NpyWriter.Create(Path.Combine(folder, $"{split}_features.npy"), ElementType.F32, clips, OwnStep.Time,
            inputs);
        for (int clip = 0; clip < clips; clip++)
        {
            writer.AppendBytes(MemoryMarshal.AsBytes(rows.AsSpan(clip % Different * rowLength, rowLength)));
        }

        writer.Complete();
        NpyFile.Write<long>(Path.Combine(folder, $"{split}_labels.npy"), [.. Enumerable.Range(0, clips).Select(i => (long)(i % 2))], clips);
    }
}
