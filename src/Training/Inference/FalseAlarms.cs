using System.Text.Json.Serialization;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Inference;

/// <summary>One of the videos in which nothing violent happens. Times in seconds from its beginning.</summary>
/// <param name="Seconds">How much of it was watched; 0 where nothing could be read.</param>
/// <param name="Highest">The highest smoothed p(violent); NaN where nothing could be read.</param>
/// <param name="HighestTime">The centre of the window that has it.</param>
/// <param name="WindowsAbove">Windows whose smoothed p(violent) is at or above the threshold.</param>
/// <param name="Events">By time.</param>
/// <param name="Status"><c>ok</c>, or the kind of failure; what was watched before it counts.</param>
/// <param name="Error">What was wrong with the file.</param>
public sealed record WatchedVideo(string Path, double Seconds, double Highest, double HighestTime, int Windows, int WindowsAbove,
    IReadOnlyList<ViolenceEvent> Events, string Status, string? Error);

/// <summary>What a classifier calls violent in videos in which nothing violent happens.</summary>
/// <param name="Videos">Those of which something was watched.</param>
/// <param name="Unreadable">Those of which nothing was.</param>
/// <param name="Hours">Watched, in the time of the videos.</param>
/// <param name="Events">How many there were, every one a false alarm.</param>
/// <param name="PerHour">Events an hour; NaN where nothing was watched.</param>
/// <param name="PerHourInterval">
/// <see cref="PoissonInterval"/>, 95 %: events are taken as independent. Those of one video often have one cause, and then it is too
/// narrow.
/// </param>
/// <param name="Windows">In all videos.</param>
/// <param name="WindowsAbove">Windows whose smoothed p(violent) is at or above the threshold.</param>
/// <param name="WindowShare">The share of them; NaN where nothing was watched.</param>
/// <param name="Threshold">p(violent) from which an event begins.</param>
/// <param name="Release">p(violent) below which an event ends.</param>
/// <param name="Window">Seconds of a window.</param>
/// <param name="Stride">Seconds from the start of one window to the start of the next.</param>
/// <param name="Smooth">Seconds of the moving average.</param>
/// <param name="Watched">
/// Every video, the worst first: by events, then by the highest probability. Those of which nothing was watched are the last.
/// </param>
public sealed record FalseAlarms(int Videos, int Unreadable, double Hours, int Events, double PerHour, Interval PerHourInterval,
    int Windows, int WindowsAbove, double WindowShare, double Threshold, double Release, double Window, double Stride, double Smooth,
    IReadOnlyList<WatchedVideo> Watched)
{
    private const double SecondsPerHour = 3600;

    /// <summary>Counts what was predicted by windows.</summary>
    /// <param name="predictions">One for each video, each with windows and events.</param>
    /// <param name="smooth">Seconds of the moving average.</param>
    public static FalseAlarms Of(IEnumerable<Prediction> predictions, WindowPlan plan, double smooth, double threshold, double release)
    {
        WatchedVideo[] videos = [.. predictions.Select(prediction => Watch(prediction, threshold))
            .OrderByDescending(video => video.Seconds > 0).ThenByDescending(video => video.Events.Count)
            .ThenByDescending(video => video.Highest).ThenBy(video => video.Path, StringComparer.Ordinal)];
        double hours = videos.Sum(video => video.Seconds) / SecondsPerHour;
        int read = videos.Count(video => video.Seconds > 0), events = videos.Sum(video => video.Events.Count),
            windows = videos.Sum(video => video.Windows), above = videos.Sum(video => video.WindowsAbove);
        Interval interval = hours > 0 ? PoissonInterval.Of(events) : new Interval(double.NaN, double.NaN);
        return new FalseAlarms(
            read, videos.Length - read, hours, events, hours > 0 ? events / hours : double.NaN,
            new Interval(interval.Low / hours, interval.High / hours), windows, above, (double)above / windows, threshold, release,
            plan.Length, plan.Stride, smooth, videos);
    }

    private static WatchedVideo Watch(Prediction prediction, double threshold)
    {
        IReadOnlyList<WindowScore> windows = prediction.Windows!;
        WindowScore? highest = windows.MaxBy(window => window.Smoothed);
        return new WatchedVideo(
            prediction.Path, Covered(windows), highest?.Smoothed ?? double.NaN, highest?.Centre ?? double.NaN,
            windows.Count, windows.Count(window => window.Smoothed >= threshold), prediction.Events!, prediction.Status,
            prediction.Error);
    }

    /// <summary>Seconds that lie in at least one window: a gap of the recording was not watched.</summary>
    private static double Covered(IReadOnlyList<WindowScore> windows) =>
        windows.Select((window, i) => window.End - Math.Max(window.Start, i == 0 ? 0 : windows[i - 1].End)).Sum();
}

/// <summary>JSON of <c>false_alarms.json</c>, in the form of the other files of a run.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true)]
[JsonSerializable(typeof(FalseAlarms))]
internal sealed partial class FalseAlarmJson : JsonSerializerContext;
