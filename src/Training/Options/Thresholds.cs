using System.Globalization;
using System.Text.RegularExpressions;

namespace CudaTrainer.Training.Options;

/// <summary>
/// The least probabilities of what is called: one number, or one for each of some classes, as people write them: <c>0.4</c>,
/// <c>fight=0.2,robbery=0.3</c>.
/// </summary>
public sealed partial record Thresholds
{
    /// <summary>The one number; null where classes have their own.</summary>
    public double? Single { get; private init; }

    /// <summary>By class, in the order written; empty for one number.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> OfClasses { get; private init; } = [];

    /// <summary>Every number.</summary>
    public IEnumerable<double> Values => Single is { } single ? [single] : OfClasses.Select(one => one.Value);

    public static implicit operator Thresholds(double single) => FromDouble(single);

    public static Thresholds FromDouble(double single) => new() { Single = single };

    /// <returns>Null for a text of another kind, or one that names a class twice.</returns>
    public static Thresholds? Parse(string text)
    {
        if (Number(text) is { } single)
        {
            return single;
        }

        List<KeyValuePair<string, double>> classes = [];
        int end = 0;

        // Names may have commas and equals signs in them; what follows the last equals sign before a comma or the end is the number.
        foreach (Match match in OfOneClass().Matches(text))
        {
            string name = match.Groups["name"].Value.Trim();
            if (match.Index != end || name.Length == 0 || Number(match.Groups["number"].Value) is not { } number
                || classes.Any(one => one.Key.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                return null;
            }

            classes.Add(KeyValuePair.Create(name, number));
            end = match.Index + match.Length;
        }

        return classes.Count > 0 && end == text.Length ? new Thresholds { OfClasses = classes } : null;
    }

    public bool Equals(Thresholds? other) => other is not null && Single.Equals(other.Single) && OfClasses.SequenceEqual(other.OfClasses);

    public override int GetHashCode() => Values.Aggregate(0, HashCode.Combine);

    /// <summary>As it would be typed.</summary>
    public override string ToString() => Single is { } single
        ? Setting.Typed(single)
        : string.Join(',', OfClasses.Select(one => $"{one.Key}={Setting.Typed(one.Value)}"));

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null;

    [GeneratedRegex(@"\G(?<name>.+?)=(?<number>[^=,]+)(?:,(?=.)|$)", RegexOptions.Singleline)]
    private static partial Regex OfOneClass();
}
