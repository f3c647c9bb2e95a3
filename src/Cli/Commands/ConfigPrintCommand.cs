using System.Text.Json;
using System.Text.Json.Nodes;
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
            // What is left open stays so in a file for --config.
            JsonObject all = JsonSerializer.SerializeToNode(options.Run, JsonFormat.Options)!.AsObject();
            foreach (Setting setting in Recipe.Open(options.Run))
            {
                all.Remove(setting.Name.Replace('-', '_'));
            }

            terminal.WriteJson(all);
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

        HashSet<string> open = [.. Recipe.Open(options.Run).Select(setting => "--" + setting.Name)];
        TextTable table = new("option", "value", "from");
        foreach (IGrouping<SettingGroup, OptionDefinition> group
            in _train.Options.GroupBy(option => option.Group).OrderBy(group => group.Key))
        {
            foreach (OptionDefinition option in group)
            {
                string value = option.Format(options);
                if (open.Contains(option.Name))
                {
                    table.Row(option.Name, "as the data asks", "recipe");
                    continue;
                }

                table.Row(option.Name, value.Length > 0 ? value : option.Default, origins.GetValueOrDefault(option.Name, "default"));
            }
        }

        table.Write(terminal.Results);
    }
}
