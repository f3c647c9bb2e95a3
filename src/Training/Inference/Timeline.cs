using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Inference;

/// <summary>The answer for one window of a video. Times in seconds from its beginning.</summary>
/// <param name="Violent">p(violent); of other classes than the known pair NaN.</param>
/// <param name="Smoothed">The mean of the windows around it, which events follow from; of other classes for <see cref="Label"/>, or the
/// likeliest where the window is called nothing.</param>
public sealed record WindowScore(double Start, double End, double Violent, double Smoothed)
{
    /// <summary>From the clips that the model learned from, in limits: above 1 it is unfamiliar; null if the model does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Distance { get; init; }

    /// <summary>What the window is called; null for the known pair, and where it is called nothing.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Label { get; init; }

    /// <summary>Of each class by its name, smoothed; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Probabilities { get; init; }

    /// <summary>Of each class by label, as the model gave them; null for the known pair.</summary>
    internal double[]? Scores { get; init; }

    /// <summary>What its pictures look like; null where no motion was measured.</summary>
    internal PictureStatistics? Pictures { get; init; }

    /// <summary>Picture heights a second (<see cref="Drift.DriftObservation.SpeedOf"/>); null where no motion was measured.</summary>
    internal double? Speed { get; init; }

    /// <summary>The time that the window speaks for.</summary>
    internal double Centre => (Start + End) / 2;

    /// <summary>Of a window as the model answered, not smoothed yet.</summary>
    internal static WindowScore Of(double start, double end, ClipAnswer answer) =>
        new(Math.Round(start, 6), Math.Round(end, 6), answer.Violent, double.NaN)
        {
            Distance = answer.Distance,
            Scores = answer.Probabilities,
        };
}

/// <summary>
/// A stretch of a video that is called violent, or by one of other classes. Times in seconds from its beginning.
/// </summary>
/// <param name="Peak">The highest smoothed p(violent), or probability of the class.</param>
/// <param name="PeakTime">The centre of the window that has it.</param>
public sealed record ViolenceEvent(double Start, double End, double Peak, double PeakTime)
{
    /// <summary>The class; null for the known pair, whose events are violent.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Label { get; init; }
}

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
        var smoothed = new WindowScore[windows.Count];
        foreach ((int i, int first, int past) in Around(windows, seconds))
        {
            double sum = 0;
            for (int j = first; j < past; j++)
            {
                sum += windows[j].Violent;
            }

            smoothed[i] = windows[i] with { Smoothed = sum / (past - first) };
        }

        return smoothed;
    }

    /// <summary>The same for classes other than the known pair.</summary>
    /// <param name="windows">By time, with scores.</param>
    /// <param name="classes">By label.</param>
    /// <param name="rule">By what windows are called.</param>
    public static IReadOnlyList<WindowScore> SmoothClasses(IReadOnlyList<WindowScore> windows, double seconds, ClassList classes,
        DecisionRule rule)
    {
        var smoothed = new WindowScore[windows.Count];
        foreach ((int i, int first, int past) in Around(windows, seconds))
        {
            double[] means = [.. Enumerable.Range(0, classes.Count).Select(label =>
                Enumerable.Range(first, past - first).Average(j => windows[j].Scores![label]))];
            int called = rule.Called(means);
            smoothed[i] = windows[i] with
            {
                Smoothed = called == DecisionRule.Nothing ? means.Max() : means[called],
                Label = called == DecisionRule.Nothing ? null : classes[called],
                Probabilities = new OrderedDictionary<string, double>(classes.Names.Zip(means, KeyValuePair.Create)),
            };
        }

        return smoothed;
    }

    /// <summary>Each window with the first of those around it and the one behind them.</summary>
    private static IEnumerable<(int Window, int First, int Past)> Around(IReadOnlyList<WindowScore> windows, double seconds)
    {
        // Centres that are just as far away must not fall to either side by rounding.
        double reach = (seconds / 2) + 1e-9;
        int first = 0;
        for (int i = 0; i < windows.Count; i++)
        {
            while (windows[i].Centre - windows[first].Centre > reach)
            {
                first++;
            }

            int past = i + 1;
            while (past < windows.Count && windows[past].Centre - windows[i].Centre <= reach)
            {
                past++;
            }

            yield return (i, first, past);
        }
    }

    /// <summary>
    /// Stretches of one class each, by what every window is called; none where that is nothing. That of a class with a threshold goes on
    /// while its probability is not below <paramref name="release"/> and no other class reaches its own threshold.
    /// </summary>
    /// <param name="windows">By time, smoothed.</param>
    /// <param name="classes">By label.</param>
    /// <param name="release">NaN: a stretch ends where another class is called.</param>
    public static IReadOnlyList<ViolenceEvent> Stretches(IReadOnlyList<WindowScore> windows, ClassList classes, DecisionRule rule,
        double release)
    {
        List<ViolenceEvent> stretches = [];
        int[] called = new int[windows.Count];
        for (int i = 0; i < called.Length; i++)
        {
            called[i] = windows[i].Label is { } name && classes.TryParse(name, out int label) ? label : DecisionRule.Nothing;
            if (i > 0 && rule.HasThreshold(called[i - 1]) && !rule.HasThreshold(called[i]) && Of(i, called[i - 1]) >= release)
            {
                called[i] = called[i - 1];
            }
        }

        for (int begin = 0, end; begin < windows.Count; begin = end)
        {
            int peak = begin;
            for (end = begin + 1; end < windows.Count && called[end] == called[begin]; end++)
            {
                peak = Of(end, called[begin]) > Of(peak, called[begin]) ? end : peak;
            }

            if (called[begin] != DecisionRule.Nothing)
            {
                stretches.Add(new ViolenceEvent(
                    Boundary(windows, begin), Boundary(windows, end), Of(peak, called[begin]), windows[peak].Centre)
                {
                    Label = classes[called[begin]],
                });
            }
        }

        return stretches;

        double Of(int window, int label) => label == DecisionRule.Nothing ? double.NaN : windows[window].Probabilities![classes[label]];
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
