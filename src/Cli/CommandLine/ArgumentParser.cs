using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>Which command a command line names, if any, and its parts.</summary>
/// <param name="Command">Null when no command, or an unknown one, was named.</param>
/// <param name="Group">The group of commands that was named alone, such as <c>cache</c>; null where none was.</param>
/// <param name="Json">Whether results are wanted as JSON.</param>
internal sealed record CommandLineRequest(CliCommand? Command, bool Help, bool Version, ParsedArguments Arguments, string? Group = null,
    bool Json = false);

/// <summary>
/// Takes a command line apart with System.CommandLine. Values stay text and every mistake is collected, so that all of them can be
/// reported together, in the program's own words.
/// </summary>
internal sealed partial class ArgumentParser
{
    // Room for repeated options, which are then reported by name.
    private static readonly ArgumentArity AnyNumber = new(0, 1000);

    private static readonly string[] ProgressForms = ["text", "json"];

    private readonly IReadOnlyList<CliCommand> _commands;
    private readonly RootCommand _root = new();
    private readonly Dictionary<Command, CliCommand> _commandOf = [];
    private readonly Option<bool> _help = Flag("--help", "-h", "-?");
    private readonly Option<bool> _version = Flag("--version");
    private readonly Option<bool> _quiet = Flag("--quiet", "-q");
    private readonly Option<bool> _debug = Flag("--debug");
    private readonly Option<string[]> _config = new(ConfigOption) { Arity = AnyNumber };
    private readonly Option<string[]> _progress = new(ProgressOption) { Arity = AnyNumber, Recursive = true };
    private readonly SuggestDirective _suggest = new();

    public const string ConfigOption = "--config";

    /// <summary>How every command shows what it is at: <c>text</c> or <c>json</c>.</summary>
    public const string ProgressOption = "--progress";

    private const string HelpWord = "help";

    public ArgumentParser(IReadOnlyList<CliCommand> commands)
    {
        _commands = commands;
        _root.Options.Clear();
        _root.Directives.Clear();
        _root.Directives.Add(_suggest);
        foreach (Option<bool> option in new[] { _help, _version, _quiet, _debug })
        {
            option.Recursive = true;
            _root.Options.Add(option);
        }

        _progress.CompletionSources.Add(ProgressForms);
        _root.Options.Add(_progress);
        foreach (CliCommand command in commands)
        {
            AddCommand(command);
        }
    }

    /// <summary>
    /// Writes how the command line behind a <c>[suggest]</c> or <c>[suggest:CURSOR]</c> can go on, at its end or at the cursor, as shells
    /// ask it that complete words.
    /// </summary>
    /// <returns>False if nobody asked.</returns>
    public bool Complete(IReadOnlyList<string> arguments, TextWriter output)
    {
        // The directive itself ends in an exception where the cursor is no place in a line.
        if (arguments is not [string first, ..] || !SuggestForm().IsMatch(first))
        {
            return false;
        }

        // System.CommandLine would take the line's beginning for the cursor.
        if (first == "[suggest]")
        {
            arguments = [$"[suggest:{arguments.Skip(1).LastOrDefault("").Length}]", .. arguments.Skip(1)];
        }

        ParseResult parse = Parse(arguments, []);
        if (parse.GetResult(_suggest) is null)
        {
            return false;
        }

        // Where nothing can follow, the directive would write an empty line, which a shell would offer as a word.
        StringWriter words = new();
        parse.Invoke(new InvocationConfiguration { Output = words });
        if (!string.IsNullOrWhiteSpace(words.ToString()))
        {
            output.Write(words);
        }

        return true;
    }

    /// <param name="arguments"><c>help COMMAND</c> is <c>COMMAND --help</c>.</param>
    public CommandLineRequest Parse(IReadOnlyList<string> arguments)
    {
        List<string> problems = [];
        if (arguments is [HelpWord, ..])
        {
            arguments = [.. arguments.Skip(1), _help.Name];
        }

        if (arguments is [['[', ..] directive, ..])
        {
            problems.Add($"unexpected argument \"{directive}\"");
        }

        ParseResult parse = Parse(arguments, problems);
        CliCommand? command = _commandOf.GetValueOrDefault(parse.CommandResult.Command);
        bool help = IsGiven(parse, _help), version = IsGiven(parse, _version), quiet = IsGiven(parse, _quiet),
            debug = IsGiven(parse, _debug);
        string? progress = SingleValue(parse.GetResult(_progress), ProgressOption, "text or json", problems);
        if (progress is not null && !ProgressForms.Contains(progress))
        {
            problems.Add($"{ProgressOption}: \"{progress}\" is unknown; expected text or json");
        }

        bool events = progress == "json";
        if (command is null)
        {
            string[] unknown = [.. parse.UnmatchedTokens];
            string? group = parse.CommandResult.Command == _root ? null : parse.CommandResult.Command.Name;
            if (unknown.Length > 0)
            {
                problems.Add(UnknownCommand(parse, unknown));
            }
            else if (group is not null && !help)
            {
                problems.Add(Needs(parse.CommandResult.Command));
            }

            return new(null, help, version, new([], [], null, quiet, debug, events, problems), group,
                arguments.Contains(CliCommand.JsonOption));
        }

        List<GivenOption> given = GivenOptions(parse, command, problems);
        List<string> positional = Positional(parse, command, problems);
        string? config = SingleValue(parse.GetResult(_config), ConfigOption, "a JSON or YAML file", problems);
        return new(command, help, version, new(given, positional, config, quiet, debug, events, problems),
            Json: CliCommand.AsksForJson(given));
    }

    /// <summary>Words <c>@FILE</c> give way to what the file holds; where there is no such file, they are words like others.</summary>
    private ParseResult Parse(IReadOnlyList<string> arguments, List<string> problems)
    {
        ParserConfiguration configuration = new() { EnablePosixBundling = false };
        TryReplaceToken read = configuration.ResponseFileTokenReplacer!;
        configuration.ResponseFileTokenReplacer = (string file, out IReadOnlyList<string>? words, out string? error) =>
        {
            (words, error) = (null, null);
            if (!File.Exists(file))
            {
                return false;
            }

            string? problem = ResponseFileProblem(file);
            if (problem is null && read(file, out words, out error))
            {
                return words is not null;
            }

            problems.Add($"@{file}: {problem ?? error}");
            return false;
        };
        return _root.Parse(arguments, configuration);
    }

    /// <summary>
    /// Why a file cannot be read as words; null if it can. One that names another could name itself, which System.CommandLine follows
    /// without end.
    /// </summary>
    private static string? ResponseFileProblem(string file)
    {
        byte[] head = new byte[4096];
        using (FileStream stream = File.OpenRead(file))
        {
            if (head.AsSpan(0, stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)).Contains((byte)0))
            {
                return "is no text; to give it as an argument, write \"--\" before it";
            }
        }

        foreach (string line in File.ReadLines(file))
        {
            if (line.TrimStart().StartsWith('@'))
            {
                return $"the line \"{line.Trim()}\" begins with @; a file of words cannot name another, give both on the command line";
            }
        }

        return null;
    }

    [GeneratedRegex(@"^\[suggest(:\d{1,6})?\]$")]
    private static partial Regex SuggestForm();

    private static Option<bool> Flag(string name, params string[] aliases) => new(name, aliases) { Arity = ArgumentArity.Zero };

    private static bool IsGiven(ParseResult parse, Option option) => parse.GetResult(option) is { Implicit: false };

    private void AddCommand(CliCommand command)
    {
        string[] names = command.Name.Split(' ');
        Command parent = _root;
        foreach (string group in names[..^1])
        {
            Command? existing = parent.Subcommands.FirstOrDefault(sub => sub.Name == group);
            if (existing is null)
            {
                existing = new Command(group);
                parent.Subcommands.Add(existing);
            }

            parent = existing;
        }

        var symbol = new Command(names[^1]);
        foreach (OptionDefinition option in command.Options)
        {
            if (option.IsSwitch)
            {
                symbol.Options.Add(Flag(option.Name));
                symbol.Options.Add(Flag(option.Negative));
            }
            else
            {
                Option<string[]> valued = new(option.Name) { Arity = AnyNumber };
                if (option.Choices.Count > 0)
                {
                    valued.CompletionSources.Add([.. option.Choices]);
                }

                symbol.Options.Add(valued);
            }
        }

        if (command.TakesConfig)
        {
            symbol.Options.Add(_config);
        }

        if (command.ArgumentPlaceholder is { } placeholder)
        {
            Argument<string[]> argument = new(placeholder) { Arity = ArgumentArity.ZeroOrMore };
            argument.CompletionSources.Add([.. command.ArgumentChoices]);
            symbol.Arguments.Add(argument);
        }

        parent.Subcommands.Add(symbol);
        _commandOf.Add(symbol, command);
    }

    private static List<GivenOption> GivenOptions(ParseResult parse, CliCommand command, List<string> problems)
    {
        List<GivenOption> given = [];
        var results = parse.CommandResult.Children.OfType<OptionResult>().Where(result => !result.Implicit)
            .ToDictionary(result => result.Option.Name);
        foreach (OptionDefinition option in command.Options)
        {
            results.TryGetValue(option.Name, out OptionResult? result);
            if (!option.IsSwitch)
            {
                given.AddRange(Values(result, option.Name, $"a value ({option.Range ?? option.Kind})", option.TakesSeveral, problems)
                    .Select(text => new GivenOption(option.Name, text)));

                continue;
            }

            bool negated = results.ContainsKey(option.Negative);
            if (result is not null && negated)
            {
                problems.Add($"{option.Name} and {option.Negative} contradict each other");
            }
            else if (result is not null || negated)
            {
                given.Add(new(option.Name, negated ? "false" : "true"));
            }
        }

        return given;
    }

    private static string? SingleValue(OptionResult? result, string name, string expected, List<string> problems) =>
        Values(result, name, expected, several: false, problems).FirstOrDefault();

    /// <param name="several">Whether it may be given more than once.</param>
    private static string[] Values(OptionResult? result, string name, string expected, bool several, List<string> problems)
    {
        if (result is null or { Implicit: true })
        {
            return [];
        }

        // Tokens hold the values of all occurrences together.
        if (result.IdentifierTokenCount > 1 && !several)
        {
            problems.Add($"{name} is given {result.IdentifierTokenCount} times");
            return [];
        }

        string[] values = [.. result.Tokens.Select(token => token.Value).Take(result.IdentifierTokenCount)];
        if (values.FirstOrDefault(value => value.StartsWith("--", StringComparison.Ordinal)) is { } follows)
        {
            problems.Add($"{name} needs {expected}, but {follows} follows");
            return [];
        }

        if (values.Length < result.IdentifierTokenCount)
        {
            problems.Add($"{name} needs {expected}");
            return [];
        }

        return values;
    }

    /// <summary>
    /// Arguments that are not options. What looks like an option is an unknown one (unless <c>--</c> came before), and the word after it
    /// was probably meant as its value.
    /// </summary>
    private List<string> Positional(ParseResult parse, CliCommand command, List<string> problems)
    {
        List<string> positional = [];
        string[] known =
        [
            .. command.Options.Select(option => option.Name),
            .. command.Options.Where(option => option.IsSwitch).Select(option => option.Negative),
            .. _root.Options.Select(option => option.Name), .. command.TakesConfig ? new[] { ConfigOption } : [],
        ];
        HashSet<string> takeValue =
            [.. command.Options.Where(option => !option.IsSwitch).Select(option => option.Name), ConfigOption, ProgressOption];
        bool onlyArguments = false, afterOption = false, afterUnknown = false;
        string? afterSwitch = null;
        foreach (Token token in parse.Tokens)
        {
            string? before = afterSwitch;
            afterSwitch = null;
            if (token.Type == TokenType.DoubleDash)
            {
                onlyArguments = true;
            }
            else if (token.Type != TokenType.Argument || afterOption)
            {
                afterOption = token.Type == TokenType.Option && takeValue.Contains(token.Value);
                afterSwitch = token.Type == TokenType.Option && !afterOption ? token.Value : null;
                afterUnknown = false;
            }
            else if (!onlyArguments && before is not null && SwitchValue(token.Value) is { } on && !Path.Exists(token.Value))
            {
                problems.Add($"{before} takes no value; {InsteadOf(command, before, on)}");
            }
            else if (!onlyArguments && token.Value.Length > 1 && token.Value[0] == '-')
            {
                string name = token.Value.Split('=')[0];
                problems.Add($"unknown option {name}{Suggestion.DidYouMean(name, known)}");
                afterUnknown = !token.Value.Contains('=');
            }
            else if (afterUnknown)
            {
                afterUnknown = false;
            }
            else if (command.ArgumentPlaceholder is null)
            {
                problems.Add($"unexpected argument \"{token.Value}\"");
            }
            else
            {
                positional.Add(token.Value);
            }
        }

        return positional;
    }

    /// <summary>What people write as the value of a switch; null for any other word.</summary>
    private static bool? SwitchValue(string text) => text.ToLowerInvariant() switch
    {
        "true" or "on" or "yes" or "1" => true,
        "false" or "off" or "no" or "0" => false,
        _ => null,
    };

    /// <summary>How to say what was meant by giving a switch a value.</summary>
    private static string InsteadOf(CliCommand command, string name, bool on)
    {
        if (on)
        {
            return $"use {name} alone";
        }

        OptionDefinition? option = command.Options
            .FirstOrDefault(option => option.IsSwitch && (option.Name == name || option.Negative == name));
        return option is null ? "leave it out" : $"use {(option.Name == name ? option.Negative : option.Name)}";
    }

    private string UnknownCommand(ParseResult parse, string[] unknown)
    {
        Command parent = parse.CommandResult.Command;
        string prefix = parent == _root ? "" : parent.Name + " ";
        string typed = unknown.FirstOrDefault(token => !token.StartsWith('-')) ?? unknown[0];
        IEnumerable<string> names = parent == _root
            ? _commands.Select(command => command.Name.Split(' ')[0]).Distinct()
            : parent.Subcommands.Select(sub => prefix + sub.Name);
        if (typed.StartsWith('-'))
        {
            return $"unknown option {typed}{Suggestion.DidYouMean(typed, _root.Options.Select(option => option.Name))}";
        }

        string meant = Suggestion.DidYouMean(prefix + typed, names);
        return $"unknown command \"{prefix}{typed}\"{(meant.Length == 0 && parent != _root ? "; " + Needs(parent) : meant)}";
    }

    private static string Needs(Command group) =>
        $"{group.Name} needs one of: {string.Join(", ", group.Subcommands.Select(sub => sub.Name))}";
}
