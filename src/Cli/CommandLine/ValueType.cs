using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace CudaTrainer.Cli.CommandLine;

internal delegate bool ValueParser<TValue>(string text, [MaybeNullWhen(false)] out TValue value);

/// <summary>How values of one type are written on the command line.</summary>
/// <param name="Placeholder">Stands for the value in help.</param>
/// <param name="Kind">For the reference, for example <c>whole number</c>.</param>
/// <param name="Expectation">Ends the message "… is not …", for example <c>a whole number</c>.</param>
internal sealed record ValueType<TValue>(
    string Placeholder, string Kind, string Expectation, ValueParser<TValue> TryParse, Func<TValue, string> Format);

internal static class ValueTypes
{
    public static ValueType<int> Integer { get; } = new(
        "N",
        "whole number",
        "a whole number",
        (string text, out int value) => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value),
        value => value.ToString(CultureInfo.InvariantCulture));

    public static ValueType<double> Number { get; } = new("X", "number", "a number", TryParseNumber, FormatNumber);

    public static ValueType<double?> OptionalNumber { get; } = new(
        "X",
        "number",
        "a number",
        (string text, out double? value) =>
        {
            bool parsed = TryParseNumber(text, out double number);
            value = number;
            return parsed;
        },
        value => value is null ? "" : FormatNumber(value.Value));

    public static ValueType<IReadOnlyList<double>> Numbers { get; } = new(
        "X,X…",
        "numbers",
        "a list of numbers separated by commas",
        TryParseNumbers,
        values => string.Join(',', values.Select(FormatNumber)));

    public static ValueType<bool> Switch { get; } = new("", "switch", "true or false", bool.TryParse, value => value ? "on" : "off");

    /// <summary>A switch that the run decides when nobody sets it.</summary>
    public static ValueType<bool?> OptionalSwitch { get; } = new(
        "",
        "switch",
        "true or false",
        (string text, out bool? value) =>
        {
            bool parsed = bool.TryParse(text, out bool set);
            value = set;
            return parsed;
        },
        value => value is null ? "" : value.Value ? "on" : "off");

    public static ValueType<string> Text(string placeholder, string kind) =>
        new(placeholder, kind, $"a {kind}", (string text, [MaybeNullWhen(false)] out string value) => (value = text).Length > 0,
            value => value);

    public static ValueType<string?> OptionalText(string placeholder, string kind) =>
        new(placeholder, kind, $"a {kind}", (string text, out string? value) => (value = text).Length > 0, value => value ?? "");

    /// <summary>
    /// An enum, its names in lower case with hyphens; written as in code (in training_config.json) they are understood as well.
    /// </summary>
    public static ValueType<TEnum> Choice<TEnum>()
        where TEnum : struct, Enum
    {
        string choices = string.Join('|', Enum.GetValues<TEnum>().Select(Hyphenated));
        return new(
            "NAME",
            "name",
            $"one of {choices.Replace("|", ", ", StringComparison.Ordinal)}",
            (string text, out TEnum value) =>
            {
                foreach (var candidate in Enum.GetValues<TEnum>())
                {
                    if (Suggestion.Key(Hyphenated(candidate)) == Suggestion.Key(text))
                    {
                        value = candidate;
                        return true;
                    }
                }

                value = default;
                return false;
            },
            Hyphenated);
    }

    /// <summary><c>PerParameter</c> → <c>per-parameter</c>.</summary>
    public static string Hyphenated<TEnum>(TEnum value)
        where TEnum : struct, Enum =>
        string.Concat(value.ToString()
            .Select((letter, i) => char.IsUpper(
            letter) && i > 0 ? $"-{char.ToLowerInvariant(letter)}" : $"{char.ToLowerInvariant(letter)}"));

    private static bool TryParseNumber(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);

    /// <summary>As people type it: <c>0.001</c>, <c>1e-7</c>.</summary>
    private static string FormatNumber(double value)
    {
        string text = value.ToString(CultureInfo.InvariantCulture);
        int exponent = text.IndexOf('E');
        return exponent < 0
            ? text
            : $"{text[..exponent]}e{int.Parse(text.AsSpan(exponent + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)}";
    }

    private static bool TryParseNumbers(string text, [MaybeNullWhen(false)] out IReadOnlyList<double> values)
    {
        List<double> parsed = [];
        foreach (string part in text.Split(','))
        {
            if (!TryParseNumber(part.Trim(), out double value))
            {
                values = null;
                return false;
            }

            parsed.Add(value);
        }

        values = parsed;
        return true;
    }
}
