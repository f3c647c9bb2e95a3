using System.Globalization;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Studies;

/// <summary>
/// Which settings a search draws, and from what: <c>learning-rate=1e-4..1e-2 log; batch-size=8,16,32</c>. A range of whole numbers gives
/// whole numbers; <c>log</c> draws evenly in the logarithm.
/// </summary>
internal sealed class SearchSpace
{
    /// <summary>Ranges around what does well with few clips and with many.</summary>
    public const string Usual = "learning-rate=1e-4..1e-2 log; weight-decay=1e-4..1e-1 log; dropout=0..0.6; label-smoothing=0,0.05,0.1; " +
        "batch-size=8,16,32,64; model=frame-mlp,attention-mil,linear";

    private const string Form = "NAME=FROM..TO, NAME=FROM..TO log or NAME=A,B,C, with semicolons between";

    private readonly Dimension[] _dimensions;

    private SearchSpace(Dimension[] dimensions) => _dimensions = dimensions;

    /// <summary>Names of the settings, in the order given.</summary>
    public IReadOnlyList<string> Names => [.. _dimensions.Select(dimension => dimension.Name)];

    /// <exception cref="FormatException">The text is no space; the message says which part and what was expected.</exception>
    public static SearchSpace Parse(string text)
    {
        const StringSplitOptions Parts = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;
        Dimension[] dimensions = [.. text.Split(';', Parts).Select(ParseOne)];
        return dimensions.Length == 0 ? throw new FormatException($"nothing to search; expected {Form}")
            : dimensions.GroupBy(dimension => dimension.Name).FirstOrDefault(group => group.Count() > 1) is { } twice
                ? throw new FormatException($"{twice.Key} is given twice")
            : new SearchSpace(dimensions);
    }

    /// <summary>Values that may be drawn, among them the ends of every range: those that are wrong are wrong before anything is trained.
    /// </summary>
    public IEnumerable<KeyValuePair<string, string>> Extremes =>
        _dimensions.SelectMany(dimension => dimension.Extremes.Select(value => KeyValuePair.Create(dimension.Name, value)));

    /// <summary>A draw: names of settings with the texts of their values.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Draw(Random random) =>
        [.. _dimensions.Select(dimension => KeyValuePair.Create(dimension.Name, dimension.Draw(random)))];

    private static Dimension ParseOne(string text)
    {
        string[] parts = text.Split('=', 2, StringSplitOptions.TrimEntries);
        if (parts is not [{ Length: > 0 } name, { Length: > 0 } values])
        {
            throw new FormatException($"\"{text}\" is not {Form}");
        }

        Setting setting = Setting.Of(typeof(TrainingOptions)).FirstOrDefault(candidate => candidate.Name == name)
            ?? throw new FormatException($"{name} is no option of training");
        if (!IsSearchable(setting))
        {
            throw new FormatException(setting.Property.Name == nameof(TrainingOptions.Epochs)
                ? $"{name} is what trainings are given of; {SettingName.Of(setting.Property.Name)} sets the most"
                : $"{name} cannot be searched: it decides no training on features that are there");
        }

        if (values.Split("..", StringSplitOptions.TrimEntries) is not [var from, var to])
        {
            return new Choices(name, values.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
        }

        bool isLog = to.EndsWith(" log", StringComparison.Ordinal);
        to = isLog ? to[..^" log".Length].TrimEnd() : to;
        return Number(from) is { } least && Number(to) is { } most && least < most && (!isLog || least > 0)
            ? new Range(name, least, most, isLog, setting.Property.PropertyType == typeof(int))
            : throw new FormatException(
                $"\"{values}\" of {name} is no range; expected {(isLog ? "positive " : "")}numbers, the smaller first");
    }

    /// <summary>What is left are settings of places, of features and of single runs.</summary>
    private static bool IsSearchable(Setting setting) => setting.Property.Name != nameof(TrainingOptions.Epochs)
        && (setting.Role & (SettingRole.Place | SettingRole.SingleRun)) == 0
        && (setting.Role.HasFlag(SettingRole.OfSteps)
            || setting.Property.Name is nameof(TrainingOptions.Model) or nameof(TrainingOptions.UseClassWeights));

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            ? number
            : null;

    private abstract record Dimension(string Name)
    {
        public abstract IEnumerable<string> Extremes { get; }

        public abstract string Draw(Random random);
    }

    private sealed record Choices(string Name, string[] Values) : Dimension(Name)
    {
        public override IEnumerable<string> Extremes => Values;

        public override string Draw(Random random) => Values[random.Next(Values.Length)];
    }

    private sealed record Range(string Name, double Least, double Most, bool IsLog, bool IsWhole) : Dimension(Name)
    {
        public override IEnumerable<string> Extremes => [At(0), At(1)];

        public override string Draw(Random random) => At(random.NextDouble());

        private string At(double share)
        {
            double value = IsLog ? Least * Math.Pow(Most / Least, share) : Least + ((Most - Least) * share);
            return IsWhole
                ? Math.Round(value).ToString(CultureInfo.InvariantCulture)
                : Math.Clamp(value, Least, Most).ToString("G3", CultureInfo.InvariantCulture);
        }
    }
}
