using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CudaTrainer.Data.Video;

/// <summary>Which frames are sampled, compared with the rule of <see cref="FrameSampler"/>.</summary>
public enum FrameTiming
{
    /// <summary>The rule itself.</summary>
    Plain,

    /// <summary>Half the distance of two samples later; the last sample is the last frame.</summary>
    Later,

    /// <summary>Half the distance of two samples earlier; the first sample is the first frame.</summary>
    Earlier,

    /// <summary>Evenly over the middle 80 % of the video.</summary>
    Slower,
}

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
        for (int i = 0; i < indices.Length; i++)
        {
            indices[i] = FrameIndex(totalFrames, indices.Length, i);
        }
    }

    /// <summary>The rule as native code calls it, which has checked the ranges.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    internal static long FrameIndexForNative(long totalFrames, int sampleCount, int sample) =>
        FrameIndexUnchecked(totalFrames, sampleCount, sample);

    /// <summary>
    /// As <see cref="FrameIndex(long, int, int)"/> with another timing. Of a video that is shorter than the sample and hence repeated,
    /// another frame is the first; one sample is the first frame.
    /// </summary>
    public static long FrameIndex(long totalFrames, int sampleCount, int sample, FrameTiming timing)
    {
        long plain = FrameIndex(totalFrames, sampleCount, sample);
        return timing == FrameTiming.Plain ? plain : TimedUnchecked(totalFrames, sampleCount, sample, timing);
    }

    /// <summary>The rule as native code calls it.</summary>
    internal static unsafe delegate* unmanaged[Cdecl]<long, int, int, long> ForNative(FrameTiming timing) => timing switch
    {
        FrameTiming.Later => &LaterForNative,
        FrameTiming.Earlier => &EarlierForNative,
        FrameTiming.Slower => &SlowerForNative,
        _ => &FrameIndexForNative,
    };

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static long LaterForNative(long totalFrames, int sampleCount, int sample) =>
        TimedUnchecked(totalFrames, sampleCount, sample, FrameTiming.Later);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static long EarlierForNative(long totalFrames, int sampleCount, int sample) =>
        TimedUnchecked(totalFrames, sampleCount, sample, FrameTiming.Earlier);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static long SlowerForNative(long totalFrames, int sampleCount, int sample) =>
        TimedUnchecked(totalFrames, sampleCount, sample, FrameTiming.Slower);

    private static long TimedUnchecked(long totalFrames, int sampleCount, int sample, FrameTiming timing)
    {
        long last = totalFrames - 1, steps = sampleCount - 1;
        if (totalFrames < sampleCount)
        {
            int shift = timing switch { FrameTiming.Later => 1, FrameTiming.Earlier => -1, _ => 0 };
            return (sample + shift + totalFrames) % totalFrames;
        }

        return steps == 0 ? 0 : timing switch
        {
            FrameTiming.Later => Math.Min(last, ((2L * sample) + 1) * last / (2 * steps)),
            FrameTiming.Earlier => Math.Max(0, ((2L * sample) - 1) * last / (2 * steps)),
            _ => (steps + (8L * sample)) * last / (10 * steps),
        };
    }

    private static long FrameIndexUnchecked(long totalFrames, int sampleCount, int sample) =>
        totalFrames < sampleCount ? sample % totalFrames
        : sampleCount == 1 ? 0
        : sample * (totalFrames - 1) / (sampleCount - 1);
}
