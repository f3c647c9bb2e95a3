using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.OnnxRuntime;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>A command, as the parser, help and the reference see it.</summary>
internal abstract class CliCommand
{
    internal const string JsonOption = "--json";

    /// <summary>What runs backbones that are ONNX files; loads nothing until a network is opened.</summary>
    private protected static readonly OnnxRuntimeRunner Runner = new();

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

    /// <summary>What these arguments may be; empty if that cannot be listed.</summary>
    public virtual IReadOnlyList<string> ArgumentChoices => [];

    /// <summary>Whether <c>--config FILE</c> may give options.</summary>
    public virtual bool TakesConfig => false;

    /// <summary>Whether its JSON is an object a line.</summary>
    public virtual bool WritesJsonLines => false;

    public abstract IReadOnlyList<OptionDefinition> Options { get; }

    /// <summary>Whether results are wanted as JSON; of several values the last holds.</summary>
    internal static bool AsksForJson(IReadOnlyList<GivenOption> given) =>
        given.LastOrDefault(option => option.Name == JsonOption).Text == "true";

    /// <returns>The exit code.</returns>
    public abstract int Execute(ParsedArguments arguments, Terminal terminal);
}

/// <summary>A command that runs on a record of options.</summary>
internal abstract class CliCommand<TOptions> : CliCommand
    where TOptions : class, new()
{
    private const string PresetOption = "--preset";

    private IReadOnlyList<OptionDefinition>? _options;

    public override IReadOnlyList<OptionDefinition> Options => _options ??= OptionDefinition.Of<TOptions>();

    public sealed override int Execute(ParsedArguments arguments, Terminal terminal)
    {
        List<string> problems = [.. arguments.Problems];
        IReadOnlyList<GivenOption> given = Given(arguments, problems);
        (terminal.Json, terminal.JsonLines) = (AsksForJson(given), WritesJsonLines);
        TOptions options = Bind(given, problems, out HashSet<string> misread);
        if ((ArgumentProblem(arguments.Arguments) ?? ChoiceProblem(arguments.Arguments)) is { } problem)
        {
            problems.Add($"{ArgumentPlaceholder}: {problem}");
        }

        problems.AddRange(OptionValidation.OfSettings(options).Concat(Validate(options))
            .Where(problem => !misread.Contains(problem.Setting)).Select(problem => problem.ToString()));
        if (problems.Count > 0)
        {
            return terminal.UsageErrors(Name, problems);
        }

        if (OpensFiles)
        {
            RequireOpenFiles();
        }

        return Run(options, arguments.Arguments, terminal);
    }

    /// <summary>Whether it works with files, of which a process may be allowed too few.</summary>
    protected virtual bool OpensFiles => true;

    /// <summary>What is wrong with the arguments that are not options; null if nothing is.</summary>
    protected virtual string? ArgumentProblem(IReadOnlyList<string> arguments) => null;

    private string? ChoiceProblem(IReadOnlyList<string> arguments) =>
        ArgumentChoices.Count > 0 && arguments.Except(ArgumentChoices).FirstOrDefault() is { } unknown
            ? $"\"{unknown}\" is unknown; expected one of {string.Join(", ", ArgumentChoices)}"
            : null;

    /// <summary>Everything wrong with values that could be read, besides those of the record's own settings.</summary>
    protected virtual IEnumerable<OptionProblem> Validate(TOptions options) => [];

    /// <returns>The exit code.</returns>
    protected abstract int Run(TOptions options, IReadOnlyList<string> arguments, Terminal terminal);

    /// <summary>Too few would be noticed in the middle of the work, as a library that is missing or a file that cannot be opened.</summary>
    private static void RequireOpenFiles()
    {
        if (OpenFiles.Raise() is var limit and < OpenFiles.Needed)
        {
            throw new RunException($"This process may have only {limit} files open at a time; it needs {OpenFiles.Needed}.",
                "Raise the limit in the shell that starts it: ulimit -n 1024.");
        }
    }

    /// <summary>The options of the preset, then of the configuration file, then of the command line: later ones win.</summary>
    internal IReadOnlyList<GivenOption> Given(ParsedArguments arguments, List<string> problems)
    {
        // Of an option that takes several values those of the file do not join those of the command line.
        HashSet<string> again = [.. Options.Where(option => option.TakesSeveral).Select(option => option.Name)
            .Intersect(arguments.Options.Select(option => option.Name))];
        List<GivenOption> given = [.. (arguments.ConfigFile is { } config ? ConfigFile.Read(config, Options, problems) : [])
            .Where(option => !again.Contains(option.Name)), .. arguments.Options];
        if (given.LastOrDefault(option => option.Name == PresetOption).Text is not { } preset)
        {
            return given;
        }

        if (!Presets.Names.Contains(preset))
        {
            problems.Add($"{PresetOption}: \"{preset}\" is unknown; expected one of {string.Join(", ", Presets.Names)}");
            return [.. given.Where(option => option.Name != PresetOption)];
        }

        // A command may have only some of train's options.
        return [.. Presets.Of(preset).Select(option => new GivenOption($"--{option.Setting}", option.Value, $"preset {preset}"))
            .Where(option => Options.Any(own => own.Name == option.Name)), .. given];
    }

    /// <summary>The defaults with every given option applied.</summary>
    /// <param name="misread">
    /// Properties whose value could not be read; the default stands in for them, and must not be judged.
    /// </param>
    internal TOptions Bind(IEnumerable<GivenOption> given, List<string> problems, out HashSet<string> misread)
    {
        Dictionary<string, OptionDefinition> byName = Options.ToDictionary(option => option.Name);
        TOptions options = new();
        misread = [];
        given = [.. given];
        HashSet<string> names = [.. given.Select(option => byName[option.Name].SettingName)];
        foreach (object part in Options.Select(option => option.Part(options)).Distinct(ReferenceEqualityComparer.Instance).OfType<object>())
        {
            if (part is VideoOptions)
            {
                Tell(part, nameof(VideoOptions.OnnxRunner), Runner);
            }

            // Without a preset the recipe may follow the data where nobody said otherwise.
            if (part is FeatureOptions && given.All(option => option.Name != PresetOption))
            {
                Tell(part, nameof(FeatureOptions.Given), names);
            }
        }

        foreach ((string name, string text, _) in given)
        {
            try
            {
                byName[name].Set(options, text);
            }
            catch (FormatException exception)
            {
                misread.Add(byName[name].Property.Name);
                problems.Add($"{name}: {exception.Message}");
            }
        }

        return options;
    }

    /// <summary>Sets what is no option in a record that nobody else has seen yet.</summary>
    private static void Tell(object part, string property, object value) => part.GetType().GetProperty(property)!.SetValue(part, value);
}
