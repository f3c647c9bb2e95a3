using System.Globalization;

namespace CudaTrainer.Training;

/// <summary>The numbers an option accepts. NaN is in no range.</summary>
public readonly record struct OptionRange
{
    private OptionRange(double minimum, double maximum, bool aboveMinimum, bool belowMaximum) =>
        (Minimum, Maximum, AboveMinimum, BelowMaximum) = (minimum, maximum, aboveMinimum, belowMaximum);

    public double Minimum { get; }

    public double Maximum { get; }

    /// <summary>Whether the minimum itself is excluded.</summary>
    public bool AboveMinimum { get; }

    /// <summary>Whether the maximum itself is excluded.</summary>
    public bool BelowMaximum { get; }

    public static OptionRange AtLeast(double minimum) => new(minimum, double.MaxValue, false, false);

    public static OptionRange Above(double minimum) => new(minimum, double.MaxValue, true, false);

    public static OptionRange Between(double minimum, double maximum) => new(minimum, maximum, false, false);

    public static OptionRange AtLeastAndBelow(double minimum, double maximum) => new(minimum, maximum, false, true);

    public static OptionRange AboveAndAtMost(double minimum, double maximum) => new(minimum, maximum, true, false);

    public bool Contains(double value) =>
        (AboveMinimum ? value > Minimum : value >= Minimum) && (BelowMaximum ? value < Maximum : value <= Maximum);

    public override string ToString()
    {
        string minimum = Minimum.ToString(CultureInfo.InvariantCulture), maximum = Maximum.ToString(CultureInfo.InvariantCulture);
        return Maximum == double.MaxValue
            ? AboveMinimum ? $"more than {minimum}" : $"{minimum} or more"
            : (AboveMinimum, BelowMaximum) switch
            {
                (false, false) => $"{minimum} to {maximum}",
                (false, true) => $"{minimum} or more, less than {maximum}",
                (true, false) => $"more than {minimum}, up to {maximum}",
                _ => $"between {minimum} and {maximum}",
            };
    }
}
