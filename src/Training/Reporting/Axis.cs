using System.Globalization;

namespace CudaTrainer.Training.Reporting;

/// <summary>One axis of a chart: its range, widened to whole ticks, and the ticks.</summary>
internal sealed record Axis(string Label, double From, double To, IReadOnlyList<double> Ticks, double Step)
{
    /// <summary>An axis that shows every one of these numbers, or its end for one beyond.</summary>
    /// <param name="values">Those that are not finite are not shown.</param>
    /// <param name="ticks">About so many steps.</param>
    /// <param name="whole">Ticks at whole numbers only.</param>
    /// <param name="least">The range goes no lower.</param>
    /// <param name="most">The range goes no higher.</param>
    public static Axis Around(string label, IEnumerable<double> values, int ticks, bool whole = false,
        double least = double.NegativeInfinity, double most = double.PositiveInfinity)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        foreach (double value in values.Where(double.IsFinite).Select(value => Math.Clamp(value, least, most)))
        {
            low = Math.Min(low, value);
            high = Math.Max(high, value);
        }

        if (low > high)
        {
            (low, high) = (0, 1);
        }

        if (low == high)
        {
            double room = whole ? 1 : Math.Max(Math.Abs(low) / 10, 1e-9);
            (low, high) = (low - room, high + room);
        }

        double step = NiceStep((high / ticks) - (low / ticks), whole);
        double from = Math.Max(Math.Floor((low / step) + 1e-9) * step, least),
            to = Math.Min(Math.Ceiling((high / step) - 1e-9) * step, most);
        return Between(label, from, to, step);
    }

    /// <summary>An axis of exactly this range.</summary>
    public static Axis Between(string label, double from, double to, double step)
    {
        List<double> ticks = [];
        long first = (long)Math.Ceiling((from / step) - 1e-9), last = (long)Math.Floor((to / step) + 1e-9);
        for (long i = first; i <= last; i++)
        {
            ticks.Add(i * step);
        }

        return new Axis(label, from, to, ticks, step);
    }

    /// <summary>0 to 1 by fifths.</summary>
    public static Axis Unit(string label) => Between(label, 0, 1, 0.2);

    /// <summary>1, 2 or 5 times a power of ten, at least <paramref name="least"/>.</summary>
    public static double NiceStep(double least, bool whole)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least)));
        double step = (least / power) switch
        {
            <= 1 + 1e-9 => 1,
            <= 2 + 1e-9 => 2,
            <= 5 + 1e-9 => 5,
            _ => 10,
        };
        return whole ? Math.Max(1, Math.Round(step * power)) : step * power;
    }

    /// <summary>0 at the start of the axis, 1 at its end.</summary>
    public double Place(double value) => (value - From) / (To - From);

    /// <summary>A tick with as many digits as tell it from its neighbours.</summary>
    public string Text(double tick)
    {
        if (Math.Abs(tick) < Step / 1e6)
        {
            return "0";
        }

        if (Step < 1e-3 || Math.Abs(To) >= 1e6)
        {
            return tick.ToString("0.##e0", CultureInfo.InvariantCulture);
        }

        int decimals = Math.Max(0, (int)Math.Ceiling(-Math.Log10(Step) - 1e-9));
        return tick.ToString((decimals == 0 ? "#,0" : "0." + new string('0', decimals)), CultureInfo.InvariantCulture);
    }
}
