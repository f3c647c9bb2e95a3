using System.Globalization;
using System.Numerics;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>How values of one type are written on the command line.</summary>
/// <param name="Placeholder">Stands for the value in help; empty for a switch.</param>
/// <param name="Kind">For the reference, for example <c>whole number</c>.</param>
/// <param name="Expectation">Ends the message "… is not …", for example <c>a whole number</c>.</param>
/// <param name="Parse">Returns null for a text of another kind.</param>
internal sealed record ValueType(string Placeholder, string Kind, string Expectation, Func<string, object?> Parse)
{
    private static readonly ValueType Integer = new("N", "whole number", "a whole number",
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value : null);

    private static readonly ValueType Number = new("X", "number", "a number", ParseNumber);

    private static readonly ValueType Numbers = new("X,X…", "numbers", "a list of numbers separated by commas", ParseNumbers);

    private static readonly ValueType Probabilities = new("P|CLASS=P,…", "number, or one for each of some classes",
        "a number, or CLASS=P,CLASS=P with each class once", Thresholds.Parse);

    private static readonly ValueType Switch = new("", "switch", "true or false",
        text => bool.TryParse(text, out bool value) ? value : null);

    /// <summary>All values, where they can be listed.</summary>
    public IReadOnlyList<string> Choices { get; private init; } = [];

    /// <summary>Whether a text is a whole number where one is expected, but none that 32 bits hold.</summary>
    public bool IsTooLarge(string text) => this == Integer && Integer.Parse(text) is null
        && BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _);

    public static ValueType Of(Setting setting)
    {
        Type type = setting.Property.PropertyType;
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type == typeof(int) ? Integer
            : type == typeof(double) ? Number
            : type == typeof(bool) ? Switch
            : type == typeof(IReadOnlyList<double>) ? Numbers
            : type == typeof(Thresholds) ? Probabilities
            : type.IsEnum ? Choice(type)
            : new(setting.Placeholder, setting.Kind, $"a {setting.Kind}", text => text.Length > 0 ? text : null);
    }

    /// <summary>
    /// An enum, its names in lower case with hyphens; written as in code (in training_config.json) they are understood as well.
    /// </summary>
    private static ValueType Choice(Type type)
    {
        string[] choices = [.. Enum.GetNames(type).Select(Setting.Hyphenated)];
        return new("NAME", "name", $"one of {string.Join(", ", choices)}", Parse) { Choices = choices };

        object? Parse(string text) =>
            Array.FindIndex(choices, choice => Suggestion.Key(choice) == Suggestion.Key(text)) is >= 0 and int index
                ? Enum.GetValues(type).GetValue(index)
                : null;
    }

    private static object? ParseNumber(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null;

    private static double[]? ParseNumbers(string text)
    {
        object?[] values = [.. text.Split(',').Select(part => ParseNumber(part.Trim()))];
        return values.Contains(null) ? null : [.. values.Cast<double>()];
    }
}
