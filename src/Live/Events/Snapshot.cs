using CudaTrainer.Data.Video;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Pictures;

namespace CudaTrainer.Live.Events;

/// <summary>
/// A strip of frames of the window with the highest probability: those with the most attention, or evenly apart without it.
/// </summary>
internal static class Snapshot
{
    /// <summary>Frames of a strip at most.</summary>
    public const int Frames = 4;

    /// <summary>Seconds of the frames to show, in order.</summary>
    public static double[] Choose(LiveAnswer answer)
    {
        double[] sampled = [.. answer.FrameSeconds.Distinct().Order()];
        if (sampled.Length == 0)
        {
            return [.. Enumerable.Range(0, Frames).Select(i => answer.From + ((answer.To - answer.From) * i / Frames))];
        }

        if (answer.Attention is { } attention)
        {
            // A frame may stand at several places of a short window.
            return [.. answer.FrameSeconds.Zip(attention).GroupBy(pair => pair.First, (seconds, pairs) =>
                    (Seconds: seconds, Weight: pairs.Sum(pair => pair.Second)))
                .OrderByDescending(frame => frame.Weight).ThenBy(frame => frame.Seconds).Take(Frames)
                .Select(frame => frame.Seconds).Order()];
        }

        long[] places = new long[Math.Min(Frames, sampled.Length)];
        FrameSampler.FrameIndices(sampled.Length, places);
        return [.. places.Select(place => sampled[place])];
    }

    /// <param name="seconds">Of the frames in the session, in order.</param>
    /// <returns>A PNG file; null if none of them decodes.</returns>
    /// <exception cref="VideoException">The packets do not decode.</exception>
    /// <exception cref="IOException">There is no memory for the video.</exception>
    public static byte[]? Draw(PacketClip clip, IReadOnlyList<double> seconds, bool pixelated, CancellationToken stop)
    {
        using MemoryFile video = new(clip);
        (int width, int height) = pixelated ? Pixelation.SizeFor(video.Size) : SizeFor(video.Size);
        List<byte[]> pictures = [];
        using VideoFrameReader reader = video.Read(width, height, stop);
        byte[]? before = null;
        double beforeAt = double.NegativeInfinity;
        while (pictures.Count < seconds.Count && reader.Next() is { } frame)
        {
            // The nearest: times of frames in a file are rounded to the ticks of its clock.
            double at = clip.Start + frame.Seconds;
            while (pictures.Count < seconds.Count && at >= seconds[pictures.Count])
            {
                bool isNearer = before is null || at - seconds[pictures.Count] <= seconds[pictures.Count] - beforeAt;
                pictures.Add(isNearer ? frame.Rgb : before!);
            }

            (before, beforeAt) = (frame.Rgb, at);
        }

        if (before is not null && pictures.Count < seconds.Count)
        {
            pictures.Add(before);
        }

        return pictures.Count == 0 ? null : Strip(pictures, width, height, pixelated);
    }

    private static (int Width, int Height) SizeFor((int Width, int Height) size)
    {
        double scale = Math.Min(1, (double)KeyFrames.LongestSide / Math.Max(size.Width, size.Height));
        return (Math.Max(1, (int)Math.Round(size.Width * scale)), Math.Max(1, (int)Math.Round(size.Height * scale)));
    }

    private static byte[] Strip(List<byte[]> pictures, int width, int height, bool pixelated)
    {
        byte[] strip = new byte[pictures.Count * width * height * 3];
        int row = width * 3;
        for (int i = 0; i < pictures.Count; i++)
        {
            for (int y = 0; y < height; y++)
            {
                pictures[i].AsSpan(y * row, row).CopyTo(strip.AsSpan(((y * pictures.Count) + i) * row));
            }
        }

        if (pixelated)
        {
            Pixelation.Apply(strip, pictures.Count * width, height);
        }

        return Png.Encode(strip, pictures.Count * width, height);
    }
}
