using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>A command, as the parser, help and the reference see it.</summary>
internal abstract class CliCommand
{
    /// <summary>For example <c>train</c>, or <c>cache info</c>.</summary>
    public abstract string Name { get; }

    /// <summary>One sentence.</summary>
    public abstract string Summary { get; }

    /// <summary>What follows the name in typical uses, for example <c>--dataset-path DIR [options]</c>.</summary>
    public abstract IReadOnlyList<string> Usages { get; }

    /// <summary>Further paragraphs of help.</summary>
    public virtual IReadOnlyList<string> Notes => [];

    /// <summary>Placeholder of the arguments that are not options, or null if there are none.</summary>
    public virtual string? ArgumentPlaceholder => null;

    /// <summary>Whether <c>--config FILE</c> may give options.</summary>
    public virtual bool TakesConfig => false;

    public abstract IReadOnlyList<IOptionInfo> Options { get; }

    /// <returns>The exit code.</returns>
    public abstract int Execute(ParsedArguments arguments, Terminal terminal);
}

/// <summary>A command that runs on a record of options.</summary>
internal abstract class CliCommand<TOptions> : CliCommand
{
    private OptionTable<TOptions>? _table;

    public OptionTable<TOptions> Table => _table ??= CreateTable();

    public override IReadOnlyList<IOptionInfo> Options => Table;

    public sealed override int Execute(ParsedArguments arguments, Terminal terminal)
    {
        List<string> problems = [.. arguments.Problems];
        var options = Bind(Given(arguments, problems), problems, out var misread);
        problems.AddRange(Validate(options, arguments.Arguments).Where(problem => !misread.Contains(problem.Option))
            .Select(problem => problem.ToString()));
        return problems.Count > 0 ? terminal.UsageErrors(Name, problems) : Run(options, arguments.Arguments, terminal);
    }

    protected abstract OptionTable<TOptions> CreateTable();

    /// <summary>Everything wrong with values that could be read.</summary>
    protected virtual IEnumerable<OptionProblem> Validate(TOptions options, IReadOnlyList<string> arguments) => [];

    /// <returns>The exit code.</returns>
    protected abstract int Run(TOptions options, IReadOnlyList<string> arguments, Terminal terminal);

    /// <summary>The options of the preset, then of the configuration file, then of the command line: later ones win.</summary>
    internal IReadOnlyList<GivenOption> Given(ParsedArguments arguments, List<string> problems)
    {
        List<GivenOption> given = [.. arguments.ConfigFile is { } config ? ConfigFile.Read(config, Options, problems) : [],
            .. arguments.Options];
        string? preset = given.LastOrDefault(option => option.Name == Presets.Option).Text;
        if (preset is null)
        {
            return given;
        }

        if (!Presets.TryGet(preset, out IReadOnlyList<GivenOption> options))
        {
            problems.Add($"{Presets.Option}: \"{preset}\" is unknown; expected one of {string.Join(", ", Presets.Names)}");
        }

        // A command may have only some of train's options.
        return [.. options.Where(option => Options.Any(own => own.Name == option.Name)), .. given];
    }

    /// <summary>The defaults with every given option applied.</summary>
    /// <param name="misread">Options whose value could not be read; the default stands in for them, and must not be judged.</param>
    internal TOptions Bind(IEnumerable<GivenOption> given, List<string> problems, out HashSet<string> misread)
    {
        var byName = Table.ToDictionary(option => option.Name);
        var options = Table.Defaults;
        misread = [];
        foreach (var (name, text, _) in given)
        {
            try
            {
                options = byName[name].Apply(options, text);
            }
            catch (FormatException exception)
            {
                misread.Add(name);
                problems.Add($"{name}: {exception.Message}");
            }
        }

        return options;
    }
}
