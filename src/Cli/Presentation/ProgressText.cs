using System.Globalization;
using System.Text;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Cli.Presentation;

/// <summary>A stage's progress in one line.</summary>
internal static class ProgressText
{
    public static string Of(StageProgress progress)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"{progress.Stage} {progress.Done}/{progress.Total} {progress.Unit}");
        if (progress.Total > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" ({100L * progress.Done / progress.Total}%)");
        }

        if (progress.Rate > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $", {progress.Rate:0.#} {progress.RateUnit}");
        }

        if (progress.Failures > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $", {progress.Failures} failed");
        }

        if (progress.Remaining is { } remaining && progress.Done < progress.Total)
        {
            text.Append(CultureInfo.InvariantCulture, $", {Duration(remaining)} left");
        }

        if (progress.Epoch is { } epoch)
        {
            text.Append(CultureInfo.InvariantCulture,
                $", epoch {epoch.Epoch}/{epoch.Epochs} loss {epoch.Loss:F4} accuracy {100 * epoch.Accuracy:0.0}%, lr " +
                    $"{epoch.LearningRate:0.00e+0}, |g| {epoch.GradientNorm:0.###}");
            if (epoch.LossScale > 1)
            {
                text.Append(CultureInfo.InvariantCulture, $", scale {epoch.LossScale:0}");
            }

            text.Append(CultureInfo.InvariantCulture, $", {epoch.MemoryBytes / (1024.0 * 1024):0} MiB");
        }

        return text.ToString();
    }

    /// <summary>For example <c>0.4 s</c>, <c>42 s</c>, <c>3 min 05 s</c>, <c>2 h 07 min</c>.</summary>
    public static string Duration(TimeSpan time)
    {
        var rounded = TimeSpan.FromSeconds(Math.Round(time.TotalSeconds));
        return time.TotalSeconds switch
        {
            < 9.95 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s"),
            < 59.5 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0} s"),
            < 3599.5 => string.Create(CultureInfo.InvariantCulture, $"{rounded.Minutes} min {rounded.Seconds:00} s"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{(int)rounded.TotalHours} h {rounded.Minutes:00} min"),
        };
    }
}
