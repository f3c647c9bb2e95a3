using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

/// <summary>What <c>train</c> would run on, and who said so.</summary>
internal sealed class ConfigPrintCommand : CliCommand
{
    private readonly TrainCommand _train = new();

    public override string Name => "config print";

    public override string Summary => "Shows the value of every option of train, and where it comes from; trains nothing.";

    public override IReadOnlyList<string> Usages => ["[--config FILE.json] [options of train]"];

    public override IReadOnlyList<string> Notes =>
        ["With --json a file for --config. What train would refuse is said, but is no error here."];

    public override bool TakesConfig => true;

    public override IReadOnlyList<OptionDefinition> Options => _train.Options;

    public override int Execute(ParsedArguments arguments, Terminal terminal)
    {
        List<string> problems = [.. arguments.Problems];
        IReadOnlyList<GivenOption> given = _train.Given(arguments, problems);
        TrainOptions options = _train.Bind(given, problems, out _);
        if (problems.Count > 0)
        {
            return terminal.UsageErrors(Name, problems);
        }

        if (options.Json)
        {
            terminal.WriteJson(options.Run);
        }
        else
        {
            Write(options, given, terminal);
        }

        foreach (OptionProblem problem in OptionValidation.Validate(options.Run))
        {
            terminal.WriteWarning($"train would refuse this: {problem}");
        }

        return ExitCode.Ok;
    }

    private void Write(TrainOptions options, IReadOnlyList<GivenOption> given, Terminal terminal)
    {
        // Of two the later one counts, as it does in binding.
        var origins = new Dictionary<string, string>();
        foreach (GivenOption option in given)
        {
            origins[option.Name] = option.Origin;
        }

        TextTable table = new("option", "value", "from");
        foreach (IGrouping<SettingGroup, OptionDefinition> group
            in _train.Options.GroupBy(option => option.Group).OrderBy(group => group.Key))
        {
            foreach (OptionDefinition option in group)
            {
                string value = option.Format(options);
                table.Row(option.Name, value.Length > 0 ? value : option.Default, origins.GetValueOrDefault(option.Name, "default"));
            }
        }

        table.Write(terminal.Results);
    }
}
