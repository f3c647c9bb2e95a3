using System.Text.Json.Serialization;

namespace CudaTrainer.Training.Inference;

/// <summary>The answer for one window of a video. Times in seconds from its beginning.</summary>
/// <param name="Violent">p(violent).</param>
/// <param name="Smoothed">The mean of the windows around it, which events follow from.</param>
public sealed record WindowScore(double Start, double End, double Violent, double Smoothed)
{
    /// <summary>From the clips that the model learned from, in limits: above 1 it is unfamiliar; null if the model does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Distance { get; init; }

    /// <summary>The time that the window speaks for.</summary>
    internal double Centre => (Start + End) / 2;
}

/// <summary>A stretch of a video that is called violent. Times in seconds from its beginning.</summary>
/// <param name="Peak">The highest smoothed p(violent).</param>
/// <param name="PeakTime">The centre of the window that has it.</param>
public sealed record ViolenceEvent(double Start, double End, double Peak, double PeakTime);

/// <summary>From the answers for windows to events.</summary>
internal static class Timeline
{
    /// <summary>
    /// Replaces each smoothed probability by the mean over all windows whose centres lie within ± <paramref name="seconds"/>/2 of its own:
    /// a centred moving average.
    /// </summary>
    /// <param name="windows">By time.</param>
    /// <param name="seconds">0 leaves the probabilities as they are.</param>
    public static IReadOnlyList<WindowScore> Smooth(IReadOnlyList<WindowScore> windows, double seconds)
    {
        // Centres that are just as far away must not fall to either side by rounding.
        double reach = (seconds / 2) + 1e-9;
        var smoothed = new WindowScore[windows.Count];
        int first = 0;
        for (int i = 0; i < windows.Count; i++)
        {
            while (windows[i].Centre - windows[first].Centre > reach)
            {
                first++;
            }

            double sum = 0;
            int count = 0;
            for (int j = first; j < windows.Count && windows[j].Centre - windows[i].Centre <= reach; j++)
            {
                sum += windows[j].Violent;
                count++;
            }

            smoothed[i] = windows[i] with { Smoothed = sum / count };
        }

        return smoothed;
    }

    /// <summary>
    /// Events by hysteresis: one begins where the smoothed probability reaches <paramref name="threshold"/> and ends where it falls below
    /// <paramref name="release"/>.
    /// A window speaks for the time that is nearer to its centre than to any other's; the first from the beginning, the last to the end.
    /// </summary>
    /// <param name="windows">By time.</param>
    /// <param name="release">At most the threshold.</param>
    public static IReadOnlyList<ViolenceEvent> Events(IReadOnlyList<WindowScore> windows, double threshold, double release)
    {
        List<ViolenceEvent> events = [];
        int begin = -1, peak = -1;
        for (int i = 0; i < windows.Count; i++)
        {
            double probability = windows[i].Smoothed;
            if (begin >= 0 && probability < release)
            {
                Add(i);
                begin = -1;
            }

            if (begin < 0 && probability >= threshold)
            {
                begin = peak = i;
            }

            if (begin >= 0 && probability > windows[peak].Smoothed)
            {
                peak = i;
            }
        }

        if (begin >= 0)
        {
            Add(windows.Count);
        }

        return events;

        void Add(int end) =>
            events.Add(new ViolenceEvent(Boundary(windows, begin), Boundary(windows, end), windows[peak].Smoothed, windows[peak].Centre));
    }

    /// <summary>Where window <paramref name="i"/> begins to speak; for their number, the end of the last.</summary>
    internal static double Boundary(IReadOnlyList<WindowScore> windows, int i) =>
        i == 0 ? windows[0].Start : i == windows.Count ? windows[^1].End : (windows[i - 1].Centre + windows[i].Centre) / 2;
}
