using System.Globalization;

namespace CudaTrainer.Training.Reporting;

/// <summary>Numbers as people read them; a number that does not exist is a dash.</summary>
internal static class Numbers
{
    private const string None = "–";

    public static string Percent(double fraction) => double.IsFinite(fraction) ? Invariant($"{100 * fraction:0.0} %") : None;

    /// <summary>A percentage without decimals and without its sign.</summary>
    public static string Whole(double fraction) => double.IsFinite(fraction) ? Invariant($"{100 * fraction:0}") : None;

    public static string Fraction(double value) => double.IsFinite(value) ? Invariant($"{value:0.000}") : None;

    public static string Loss(double value) => double.IsFinite(value) ? Invariant($"{value:0.0000}") : None;

    public static string Count(double value) => double.IsFinite(value) ? Invariant($"{value:#,0}") : None;

    /// <summary>Three or four digits whatever its size.</summary>
    public static string General(double value) => !double.IsFinite(value) ? None
        : value != 0 && Math.Abs(value) is < 1e-3 or >= 1e6 ? Invariant($"{value:0.##e0}")
        : Invariant($"{value:0.####}");

    public static string Duration(double seconds) => !double.IsFinite(seconds) ? None
        : seconds < 1 ? Invariant($"{1000 * seconds:0} ms")
        : seconds < 60 ? Invariant($"{seconds:0.0} s")
        : seconds < 3600 ? Invariant($"{(int)seconds / 60} min {(int)seconds % 60:00} s")
        : Invariant($"{(int)seconds / 3600} h {(int)seconds / 60 % 60:00} min");

    public static string Size(long bytes) => bytes < 1000 ? Invariant($"{bytes} B") : bytes < 1e6 ? Invariant($"{bytes / 1e3:0.0} kB") : Invariant($"{bytes / 1e6:0.0} MB");

    public static string Plural(int count, string one) => Invariant($"{count:#,0} {one}{(count == 1 ? string.Empty : "s")}");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
