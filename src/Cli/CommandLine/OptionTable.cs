using System.Collections;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>
/// The options of a command, defined once: parsing, help, the configuration file, docs/cli.md and the tests all read this table.
/// </summary>
/// <param name="defaults">What the command runs on when no option is given.</param>
internal sealed class OptionTable<TOptions>(TOptions defaults) : IReadOnlyList<OptionDefinition<TOptions>>
{
    private readonly List<OptionDefinition<TOptions>> _options = [];

    public TOptions Defaults => defaults;

    public int Count => _options.Count;

    public OptionDefinition<TOptions> this[int index] => _options[index];

    /// <summary>Adds an option.</summary>
    /// <param name="range">Accepted values for help; that of the engine's validation when left out.</param>
    /// <param name="defaultText">Replaces the default in help, where the record's value does not say it.</param>
    public OptionTable<TOptions> Add<TValue>(
        string name,
        OptionGroup group,
        ValueType<TValue> type,
        Func<TOptions, TValue> get,
        Func<TOptions, TValue, TOptions> set,
        string description,
        string? range = null,
        string? defaultText = null)
    {
        _options.Add(new OptionDefinition<TOptions, TValue>(type, get, set)
        {
            Name = name,
            Group = group,
            Placeholder = type.Placeholder,
            Kind = type.Kind,
            Default = defaultText ?? type.Format(get(defaults)),
            Range = range ?? OptionValidation.RangeOf(name)?.ToString() ?? (type.Kind == "name" ? type.Expectation : null),
            Description = description,
            IsSwitch = type.Placeholder.Length == 0,
        });
        return this;
    }

    /// <summary>Takes over the options of a part of the record (or of its base), except those named.</summary>
    public OptionTable<TOptions> Include<TPart>(
        OptionTable<TPart> table, Func<TOptions, TPart> get, Func<TOptions, TPart, TOptions> set, params ReadOnlySpan<string> except)
    {
        foreach (var option in table)
        {
            if (!except.Contains(option.Name))
            {
                _options.Add(new PartOption<TPart, TOptions>(option, get, set)
                {
                    Name = option.Name,
                    Group = option.Group,
                    Placeholder = option.Placeholder,
                    Kind = option.Kind,
                    Default = option.Default,
                    Range = option.Range,
                    Description = option.Description,
                    IsSwitch = option.IsSwitch,
                });
            }
        }

        return this;
    }

    public IEnumerator<OptionDefinition<TOptions>> GetEnumerator() => _options.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
