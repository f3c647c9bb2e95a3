using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;

namespace CudaTrainer.Training.Options;

/// <summary>A property of an options record with what its <see cref="SettingAttribute"/> says of it.</summary>
internal sealed class Setting
{
    private static readonly ConcurrentDictionary<Type, IReadOnlyList<Setting>> Known = new();

    private readonly SettingAttribute _declaration;
    private readonly string[]? _names;

    private Setting(PropertyInfo property, SettingAttribute declaration)
    {
        Property = property;
        _declaration = declaration;
        Name = declaration.Name ?? Hyphenated(property.Name);
        _names = declaration.NamesOf is { } type ? [.. (IEnumerable<string>)type.GetProperty("Names")!.GetValue(null)!] : null;
    }

    public PropertyInfo Property { get; }

    /// <summary>As people type it, for example <c>batch-size</c>.</summary>
    public string Name { get; }

    public SettingGroup Group => _declaration.Group;

    public SettingRole Role => _declaration.Role;

    public string Help => _declaration.Help;

    public string Placeholder => _declaration.Placeholder;

    public string Kind => _declaration.Kind;

    /// <summary>The list of its values where it may be given several times; else null.</summary>
    public PropertyInfo? Values => _declaration.Values is { } name ? Property.DeclaringType!.GetProperty(name) : null;

    /// <summary>What holds unless it is set, where the initial value does not say it.</summary>
    public string? Default => _declaration.Default;

    /// <summary>The texts accepted; null for any.</summary>
    public IReadOnlyList<string>? Names => _names;

    /// <summary>Values accepted, for a person; null for any.</summary>
    public string? Range => _declaration.Accepts ?? (_names is null ? Numbers : string.Join(", ", _names));

    /// <summary>Whole numbers accepted, both ends given; only for a setting that is one.</summary>
    public string WholeNumbers
    {
        get
        {
            double least = double.IsNaN(_declaration.AtLeast) ? _declaration.Above + 1 : _declaration.AtLeast;
            double most = double.IsNaN(_declaration.AtMost) ? _declaration.Below - 1 : _declaration.AtMost;
            return string.Create(CultureInfo.InvariantCulture,
                $"{(double.IsNaN(least) ? int.MinValue : least)} to {(double.IsNaN(most) ? int.MaxValue : most)}");
        }
    }

    private string? Numbers => (
        Text(_declaration.AtLeast), Text(_declaration.Above), Text(_declaration.AtMost), Text(_declaration.Below)) switch
    {
        ({ } least, _, { } most, _) => $"{least} to {most}",
        ({ } least, _, _, { } below) => $"{least} or more, less than {below}",
        ({ } least, _, _, _) => $"{least} or more",
        (_, { } above, { } most, _) => $"more than {above}, up to {most}",
        (_, { } above, _, _) => $"more than {above}",
        _ => null,
    };

    /// <summary>The settings that a record declares itself or inherits, those of its base first.</summary>
    public static IReadOnlyList<Setting> Of(Type record) => Known.GetOrAdd(record, static type =>
    [
        .. type.BaseType is { } parent ? Of(parent) : [],
        .. from property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
           let declaration = property.GetCustomAttribute<SettingAttribute>()
           where declaration is not null
           select new Setting(property, declaration),
    ]);

    /// <summary><c>BatchSize</c> → <c>batch-size</c>.</summary>
    public static string Hyphenated(string name) =>
        string.Concat(name.Select((letter, i) => char.IsUpper(letter) && i > 0 ? $"-{char.ToLowerInvariant(letter)}"
            : $"{char.ToLowerInvariant(letter)}"));

    /// <summary>Whether a number is in range. What is not finite is in none.</summary>
    public bool Accepts(double value) =>
        double.IsFinite(value) && !(value < _declaration.AtLeast) && !(value <= _declaration.Above) && !(value > _declaration.AtMost)
            && !(value >= _declaration.Below);

    /// <summary>The name of the setting that a property is, in whatever record of options.</summary>
    public static string NameOf(string property) =>
        Of(typeof(TrainingOptions)).FirstOrDefault(setting => setting.Property.Name == property)?.Name ?? Hyphenated(property);

    /// <summary>The value in <paramref name="options"/> as people type it, such as <c>1e-7</c>; empty where it is not set.</summary>
    public string Shown(object options) => (Values ?? Property).GetValue(options) switch
    {
        null => string.Empty,
        bool value => value ? "on" : "off",
        double number => Typed(number),
        IEnumerable<double> numbers => string.Join(',', numbers.Select(Typed)),
        IEnumerable<string> texts => string.Join(", ", texts),
        Enum value => Hyphenated($"{value}"),
        var value => $"{value}",
    };

    /// <summary>The value in <paramref name="options"/> exactly, for comparing.</summary>
    internal string TextIn(object options) => (Values ?? Property).GetValue(options) switch
    {
        IEnumerable<string> texts => string.Join('\n', texts),
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        IEnumerable<double> numbers => string.Join(',', numbers.Select(number => number.ToString("R", CultureInfo.InvariantCulture))),
        var value => $"{value}",
    };

    /// <summary>What is wrong with the setting's value in <paramref name="options"/>; null if it is accepted.</summary>
    internal string? Problem(object options) => Property.GetValue(options) switch
    {
        int number when !Accepts(number) => OutOfRange(number),
        double number when !Accepts(number) => OutOfRange(number),
        Thresholds thresholds when thresholds.Values.Any(number => !Accepts(number)) =>
            OutOfRange(thresholds.Values.First(number => !Accepts(number))),
        Enum value when !Enum.IsDefined(value.GetType(), value) =>
            $"{value} is not one of {string.Join(", ", Enum.GetNames(value.GetType()))}",
        string name when _names is not null && !_names.Contains(name) => $"\"{name}\" is unknown; expected one of {Range}",
        _ => null,
    };

    internal static string Typed(double value)
    {
        string text = value.ToString(CultureInfo.InvariantCulture);
        int exponent = text.IndexOf('E');
        return exponent < 0
            ? text
            : $"{text[..exponent]}e{int.Parse(text.AsSpan(exponent + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)}";
    }

    private string OutOfRange(double value) =>
        string.Create(CultureInfo.InvariantCulture, $"{value} is out of range; expected {Range}");

    private static string? Text(double value) => double.IsNaN(value) ? null : value.ToString(CultureInfo.InvariantCulture);
}
