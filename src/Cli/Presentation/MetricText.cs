using System.Globalization;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Numbers as people read them; <c>-</c> where there is none.</summary>
internal static class MetricText
{
    public static string Percent(double fraction) =>
        double.IsNaN(fraction) ? "-" : (100 * fraction).ToString("0.0", CultureInfo.InvariantCulture) + "%";

    public static string Fraction(double value) => double.IsNaN(value) ? "-" : value.ToString("0.000", CultureInfo.InvariantCulture);

    public static string Loss(double value) => double.IsNaN(value) ? "-" : value.ToString("0.0000", CultureInfo.InvariantCulture);

    public static string Count(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>For example <c>1:02:03.5</c>.</summary>
    public static string Time(double seconds)
    {
        if (double.IsNaN(seconds))
        {
            return "-";
        }

        var time = TimeSpan.FromSeconds(Math.Round(seconds, 1));
        return string.Create(CultureInfo.InvariantCulture,
            $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}.{time.Milliseconds / 100}");
    }

    public static string Size(long bytes) => bytes switch
    {
        < 1L << 10 => $"{bytes} B",
        < 1L << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.0} KiB"),
        < 1L << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1073741824.0:0.0} GiB"),
    };
}
