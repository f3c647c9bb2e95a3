using CudaTrainer.Data.Video;
using CudaTrainer.Training.Pictures;

namespace CudaTrainer.Training.Inference;

/// <summary>A picture out of a video that says why it was called what it was.</summary>
/// <param name="Frame">Its number in the video.</param>
/// <param name="Time">Seconds from the beginning.</param>
/// <param name="Window">The window that it was chosen for.</param>
/// <param name="Attention">Its weight within the window; null for models without attention.</param>
/// <param name="Png">The picture as a PNG file, as displayed, at most <see cref="KeyFrames.LongestSide"/> pixels long and high.</param>
internal sealed record KeyFrame(long Frame, double Time, int Window, double? Attention, int Width, int Height, byte[] Png);

/// <summary>The frames to look at first: those that the model attends to most, in the windows with the highest probabilities.</summary>
internal static class KeyFrames
{
    /// <summary>Pixels of a picture's longer side.</summary>
    public const int LongestSide = 480;

    /// <summary>Which frames to show, by number.</summary>
    /// <remarks>
    /// Windows are taken from the highest probability down, peaks of events first, none that overlaps one taken before; outside events only
    /// the highest one, where there are no events. They share the frames evenly; within a window the heaviest come first, and without
    /// attention frames evenly apart.
    /// </remarks>
    /// <param name="most">Frames.</param>
    public static IReadOnlyList<(long Frame, int Window, double? Attention)> Choose(WindowedPrediction video, int most)
    {
        IReadOnlyList<WindowScore> windows = video.Prediction.Windows!;
        List<int> chosen = [];
        foreach (int candidate in Candidates(windows, video.Prediction.Events!))
        {
            if (chosen.Count < most && !chosen.Any(
                other => windows[other].Start < windows[candidate].End && windows[candidate].Start < windows[other].End))
            {
                chosen.Add(candidate);
            }
        }

        Dictionary<long, (long Frame, int Window, double? Attention)> frames = [];
        for (int i = 0; i < chosen.Count; i++)
        {
            int share = (most / chosen.Count) + (i < most % chosen.Count ? 1 : 0);
            foreach ((long frame, double? attention) in Heaviest(video.Samples[chosen[i]], share))
            {
                frames.TryAdd(frame, (frame, chosen[i], attention));
            }
        }

        return [.. frames.Values.OrderBy(frame => frame.Frame)];
    }

    /// <summary>
    /// Decodes the chosen frames, in a second pass that ends with the last of them. Frames that do not decode are left out.
    /// </summary>
    /// <param name="timeLimit">From one frame to the next.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static IReadOnlyList<KeyFrame> Read(WindowedPrediction video, int most, TimeSpan timeLimit, CancellationToken stop)
    {
        IReadOnlyList<(long Frame, int Window, double? Attention)> chosen = Choose(video, most);
        if (chosen.Count == 0 || video.Video.Width == 0)
        {
            return [];
        }

        double scale = Math.Min(1, (double)LongestSide / Math.Max(video.Video.Width, video.Video.Height));
        int width = Math.Max(1, (int)Math.Round(video.Video.Width * scale)),
            height = Math.Max(1, (int)Math.Round(video.Video.Height * scale));
        List<KeyFrame> frames = [];
        using var stream = new VideoFrameReader(video.Prediction.Path,
            new VideoFrameOptions { Width = width, Height = height, TimeLimit = timeLimit }, stop);
        while (frames.Count < chosen.Count && stream.Next() is { } frame)
        {
            (long number, int window, double? attention) = chosen[frames.Count];
            if (frame.Index == number)
            {
                frames.Add(new KeyFrame(number, frame.Seconds, window, attention, width, height, Png.Encode(frame.Rgb, width, height)));
            }

            stream.Return(frame);
        }

        return frames;
    }

    private static IEnumerable<int> Candidates(IReadOnlyList<WindowScore> windows, IReadOnlyList<ViolenceEvent> events)
    {
        int[] byProbability = [.. Enumerable.Range(0, windows.Count).OrderByDescending(i => windows[i].Smoothed)];
        if (events.Count == 0)
        {
            return byProbability.Take(1);
        }

        IEnumerable<int> peaks = events.OrderByDescending(happening => happening.Peak)
            .Select(happening => Array.Find(byProbability, i => windows[i].Centre == happening.PeakTime));
        return peaks.Concat(
            byProbability.Where(i => events.Any(happening => windows[i].Centre >= happening.Start && windows[i].Centre < happening.End)))
            .Distinct();
    }

    private static IEnumerable<(long Frame, double? Attention)> Heaviest(WindowSample sample, int most)
    {
        if (sample.Attention is { } attention)
        {
            return sample.Frames.Zip(attention)
                .GroupBy(pair => pair.First, (frame, pairs) => (Frame: frame, Attention: (double?)pairs.Sum(pair => pair.Second)))
                .OrderByDescending(frame => frame.Attention).ThenBy(frame => frame.Frame).Take(most);
        }

        long[] distinct = [.. sample.Frames.Distinct()];
        int count = Math.Min(most, distinct.Length);
        long[] places = new long[count];
        FrameSampler.FrameIndices(distinct.Length, places);
        return places.Select(place => (distinct[place], (double?)null));
    }
}
