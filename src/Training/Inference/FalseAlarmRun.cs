using CudaTrainer.Engine;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Training.Inference;

/// <summary>Watches videos in which nothing violent happens.</summary>
internal static class FalseAlarmRun
{
    /// <summary>The videos that <paramref name="path"/> stands for: <see cref="VideoPaths.Find"/>.</summary>
    /// <exception cref="RunException">There is nothing of that name, or no video in it.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static IReadOnlyList<string> VideosAt(string path, IRunObserver observer, CancellationToken stop)
    {
        IReadOnlyList<string> videos = VideoPaths.Find([path], observer, stop).Videos;
        return videos is [string only] && only == path && !Path.Exists(path)
            ? throw new RunException($"'{path}' does not exist.", "Name a folder of videos in which nothing violent happens.")
            : videos;
    }

    /// <param name="options">Those of predict, with windows.</param>
    /// <param name="videos">Distinct paths.</param>
    /// <param name="showsHeader">Whether the observer is told what answers.</param>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static FalseAlarms Execute(PredictionOptions options, IReadOnlyList<string> videos, bool showsHeader, IRunObserver observer,
        CancellationToken stop)
    {
        using Predictor predictor = Predictor.Open(options, countsAlarms: true, stop);
        if (showsHeader)
        {
            observer.Header(predictor.Header);
        }

        WindowPlan plan = WindowPlan.Of(options.Windows) ?? throw new ArgumentException("There are no windows.", nameof(options));
        IReadOnlyDictionary<string, Prediction> predictions = PredictionRun.ByWindow(predictor, videos, plan, observer, stop);

        // What is not a number is above no threshold: a broken model would seem to be a perfect one.
        if (!predictions.Values.SelectMany(prediction => prediction.Windows!).All(window => double.IsFinite(window.Smoothed)))
        {
            throw new RunException($"The model '{options.Checkpoint}' does not answer with numbers.", "Its weights may be damaged.");
        }

        return FalseAlarms.Of(videos.Select(path => predictions[path]), plan, options.Windows.Smooth, predictor.Threshold,
            predictor.Release);
    }
}
