using System.Text.RegularExpressions;
using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

/// <summary>Options are called by their properties wherever the command line is not known, and only the command line spells them.</summary>
public partial class SettingNameTests
{
    private static readonly string[] Sources =
    [
        .. new[] { "Engine", "Data", "Formats", "Training", "Live", "Serve", "Kernels", "Synthetic" }.SelectMany(project =>
            Directory.EnumerateFiles(Path.Combine(Repository.Root, "src", project), "*.cs", SearchOption.AllDirectories)),
    ];

    [Fact]
    public void Nothing_below_the_command_line_spells_an_option()
    {
        HashSet<string> options = [.. Program.Commands.SelectMany(command => command.Options).Select(option => option.Name)];

        Sources.Length.ShouldBeGreaterThan(300);
        Sources.SelectMany(file => OptionPattern().Matches(File.ReadAllText(file)).Select(match => match.Value).Where(options.Contains)
                .Select(option => $"{Path.GetFileName(file)}: {option}"))
            .ShouldBeEmpty();
    }

    [Fact]
    public void Every_setting_that_a_text_names_is_one()
    {
        HashSet<string> properties = [.. Program.Commands.SelectMany(command => command.Options).Select(option => option.Property.Name)];
        string[] named = [.. Sources.SelectMany(file => NamePattern().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["name"].Value)];

        named.Length.ShouldBeGreaterThan(50);
        named.Except(properties).ShouldBeEmpty();
    }

    [Fact]
    public void Help_names_settings_as_they_are_typed()
    {
        foreach (OptionDefinition option in Program.Commands.SelectMany(command => command.Options))
        {
            PlaceholderPattern().IsMatch(option.Description + option.Default).ShouldBeFalse($"{option.Name}: {option.Description}");
        }

        Program.Commands.Single(command => command.Name == "predict").Options.Single(option => option.Name == "--stride")
            .Default.ShouldBe("half of --window");
    }

    [GeneratedRegex(@"(?<![\w-])--[a-z][a-z-]*")]
    private static partial Regex OptionPattern();

    [GeneratedRegex("""SettingName\.Of\((nameof\([\w.]*?(?<name>\w+)\)|"(?<name>\w+)")\)""")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"\{[A-Z]\w*\}")]
    private static partial Regex PlaceholderPattern();
}
