using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CudaTrainer.Engine.Data.Video;

/// <summary>Which frames of a video stand for it.</summary>
/// <remarks>
/// n samples of a video of <c>total</c> frames are the frames ⌊i·(total−1)/(n−1)⌋, i = 0..n−1: first and last frame included,
/// the rest evenly between. A video shorter than n is repeated: 0..total−1, 0..total−1, … until there are n. A single sample is
/// the first frame. The division is of integers, hence exact; <c>floor(linspace(0, total-1, n))</c> in floating point agrees
/// except where its rounding lands a hair below a whole number. Native code asks this class, so that the rule exists once.
/// </remarks>
public static class FrameSampler
{
    /// <summary>The frame that sample <paramref name="sample"/> of <paramref name="sampleCount"/> is taken from.</summary>
    /// <param name="totalFrames">Frames in the video, 1 to <see cref="int.MaxValue"/>.</param>
    /// <param name="sampleCount">Samples taken, at least 1.</param>
    /// <param name="sample">0 to <paramref name="sampleCount"/> − 1.</param>
    public static long FrameIndex(long totalFrames, int sampleCount, int sample)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(totalFrames, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(totalFrames, int.MaxValue);
        ArgumentOutOfRangeException.ThrowIfLessThan(sampleCount, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(sample);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sample, sampleCount);
        return FrameIndexUnchecked(totalFrames, sampleCount, sample);
    }

    /// <summary>All indices of a video at once; there are as many samples as <paramref name="indices"/> has elements.</summary>
    public static void FrameIndices(long totalFrames, Span<long> indices)
    {
        for (var i = 0; i < indices.Length; i++)
        {
            indices[i] = FrameIndex(totalFrames, indices.Length, i);
        }
    }

    /// <summary>The rule as native code calls it, which has checked the ranges.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    internal static long FrameIndexForNative(long totalFrames, int sampleCount, int sample) =>
        FrameIndexUnchecked(totalFrames, sampleCount, sample);

    private static long FrameIndexUnchecked(long totalFrames, int sampleCount, int sample) =>
        totalFrames < sampleCount ? sample % totalFrames
        : sampleCount == 1 ? 0
        : sample * (totalFrames - 1) / (sampleCount - 1);
}
