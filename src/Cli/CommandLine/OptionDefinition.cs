namespace CudaTrainer.Cli.CommandLine;

/// <summary>Headings under which help and the reference list options, in this order.</summary>
internal enum OptionGroup
{
    Data,
    Model,
    Loss,
    Optimiser,
    Precision,
    Server,
    Output,
    Debug,
}

/// <summary>What parsing, help, the configuration file and the reference need to know of an option.</summary>
internal interface IOptionInfo
{
    /// <summary>With its dashes, for example <c>--batch-size</c>.</summary>
    string Name { get; }

    OptionGroup Group { get; }

    /// <summary>Stands for the value in help, for example <c>N</c>; empty for a switch.</summary>
    string Placeholder { get; }

    /// <summary>What the value is, for example <c>whole number</c>.</summary>
    string Kind { get; }

    /// <summary>As it would be typed; empty if the option is not set by default.</summary>
    string Default { get; }

    /// <summary>Accepted values, or null if any.</summary>
    string? Range { get; }

    string Description { get; }

    /// <summary>A switch has no value and also exists as <c>--no-NAME</c>.</summary>
    bool IsSwitch { get; }
}

/// <summary>One option of a command: its name, its text in help, and where its value goes.</summary>
/// <typeparam name="TOptions">The record the command runs on.</typeparam>
internal abstract class OptionDefinition<TOptions> : IOptionInfo
{
    public required string Name { get; init; }

    public required OptionGroup Group { get; init; }

    public required string Placeholder { get; init; }

    public required string Kind { get; init; }

    public required string Default { get; init; }

    public string? Range { get; init; }

    public required string Description { get; init; }

    public bool IsSwitch { get; init; }

    /// <summary>The negative form of a switch: <c>--shuffle</c> gives <c>--no-shuffle</c>.</summary>
    public static string Negative(string name) => "--no-" + name[2..];

    /// <summary>The options with this one set.</summary>
    /// <exception cref="FormatException">The text is not of the option's kind; the message says what was found and expected.</exception>
    public abstract TOptions Apply(TOptions options, string text);

    /// <summary>The option's value in <paramref name="options"/>, as it would be typed.</summary>
    public abstract string Format(TOptions options);
}

/// <summary>An option whose value is a <typeparamref name="TValue"/>.</summary>
internal sealed class OptionDefinition<TOptions, TValue>(
    ValueType<TValue> type, Func<TOptions, TValue> get, Func<TOptions, TValue, TOptions> set) : OptionDefinition<TOptions>
{
    public override TOptions Apply(TOptions options, string text) =>
        type.TryParse(text, out var value) ? set(options, value) : throw new FormatException($"\"{text}\" is not {type.Expectation}");

    public override string Format(TOptions options) => type.Format(get(options));
}

/// <summary>An option of a part of <typeparamref name="TOptions"/>, or of its base record.</summary>
internal sealed class PartOption<TPart, TOptions>(
    OptionDefinition<TPart> option, Func<TOptions, TPart> get, Func<TOptions, TPart, TOptions> set) : OptionDefinition<TOptions>
{
    public override TOptions Apply(TOptions options, string text) => set(options, option.Apply(get(options), text));

    public override string Format(TOptions options) => option.Format(get(options));
}
