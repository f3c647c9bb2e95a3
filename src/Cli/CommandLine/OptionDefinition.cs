using System.Reflection;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>A setting as an option of a command. Parsing, help, the configuration file, docs/cli.md and the tests all read it.</summary>
internal sealed class OptionDefinition
{
    private readonly Setting _setting;
    private readonly PropertyInfo[] _path;
    private readonly ValueType _type;
    private readonly object _defaults;

    /// <param name="path">From the record the command runs on to the one that has the setting.</param>
    /// <param name="defaults">What the command runs on when no option is given.</param>
    private OptionDefinition(Setting setting, PropertyInfo[] path, object defaults)
    {
        _setting = setting;
        _path = path;
        _defaults = defaults;
        _type = ValueType.Of(setting);
    }

    /// <summary>With its dashes, for example <c>--batch-size</c>.</summary>
    public string Name => "--" + _setting.Name;

    /// <summary>The other form of a switch: <c>--shuffle</c> has <c>--no-shuffle</c>.</summary>
    public string Negative => "--no-" + _setting.Name;

    /// <summary>A switch has no value.</summary>
    public bool IsSwitch => Placeholder.Length == 0;

    /// <summary>The property of the options record.</summary>
    public PropertyInfo Property => _setting.Property;

    public SettingGroup Group => _setting.Group;

    /// <summary>Stands for the value in help, for example <c>N</c>; empty for a switch.</summary>
    public string Placeholder => _type.Placeholder;

    /// <summary>What the value is, for example <c>whole number</c>.</summary>
    public string Kind => _type.Kind;

    /// <summary>As it would be typed; empty if the option is not set by default.</summary>
    public string Default => _setting.Default is { } text ? Expanded(text) : Format(_defaults);

    /// <summary>Accepted values, or null if any.</summary>
    public string? Range => _setting.Range ?? (_type.Choices.Count > 0 ? _type.Expectation : null);

    /// <summary>The accepted values where they can be listed.</summary>
    public IReadOnlyCollection<string> Choices => _setting.Names ?? _type.Choices;

    public string Description => Expanded(_setting.Help);

    /// <summary>The options of a command that runs on <typeparamref name="TOptions"/>: its settings and those of its parts.</summary>
    public static IReadOnlyList<OptionDefinition> Of<TOptions>()
        where TOptions : class, new()
    {
        TOptions defaults = new();
        List<OptionDefinition> options = [];
        Add(typeof(TOptions), [], []);
        return options;

        void Add(Type record, PropertyInfo[] path, SettingsAttribute[] limits)
        {
            foreach (PropertyInfo property in record.GetProperties())
            {
                if (property.GetCustomAttribute<SettingsAttribute>() is { } limit
                    && !limits.Any(outer => property.Name == outer.Without))
                {
                    Add(property.PropertyType, [.. path, property], [.. limits, limit]);
                }
            }

            options.AddRange(Setting.Of(record)
                .Where(setting => !limits.Any(limit => (setting.Role & limit.Except) != 0 || setting.Property.Name == limit.Without))
                .Select(setting => new OptionDefinition(setting, path, defaults)));
        }
    }

    /// <summary>Without dashes.</summary>
    public string SettingName => _setting.Name;

    /// <summary>Whether it may be given several times, and all values count.</summary>
    public bool TakesSeveral => _setting.Values is not null;

    /// <summary>
    /// Sets the option in a record that nobody else has seen yet; one that takes several values gets one more.
    /// </summary>
    /// <exception cref="FormatException">The text is not of the option's kind; the message says what was found and expected.</exception>
    public void Set(object options, string text)
    {
        if (_setting.Values is { } values)
        {
            values.SetValue(Part(options), (string[])[.. (IEnumerable<string>)values.GetValue(Part(options))!, (string)Value(text)]);
        }
        else
        {
            _setting.Property.SetValue(Part(options), Value(text));
        }
    }

    private object Value(string text) => _type.Parse(text) ?? throw new FormatException(_type.IsTooLarge(text)
        ? $"{text} is out of range; expected {_setting.WholeNumbers}"
        : $"\"{text}\" is not {_type.Expectation}");

    /// <summary>The option's value in <paramref name="options"/>, as it would be typed.</summary>
    public string Format(object options) => _setting.Shown(Part(options));

    /// <summary>With the settings that stand in braces as they are typed; other words in braces stay.</summary>
    private static string Expanded(string text) => string.Concat(text.Split('{', '}').Select((part, i) =>
        i % 2 == 0 ? part : char.IsUpper(part[0]) ? Formats.SettingName.Of(part) : $"{{{part}}}"));

    /// <summary>The record that has the option.</summary>
    /// <param name="options">What the command runs on.</param>
    public object Part(object options) => _path.Aggregate(options, (record, property) => property.GetValue(record)!);
}
