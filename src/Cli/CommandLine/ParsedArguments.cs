namespace CudaTrainer.Cli.CommandLine;

/// <summary>An option as it was given: on the command line, or in the configuration file.</summary>
/// <param name="Name">The option's own name, also for a negative switch.</param>
/// <param name="Text">Its value; <c>true</c> or <c>false</c> for a switch.</param>
/// <param name="Origin">Where it was given, for a person.</param>
internal readonly record struct GivenOption(string Name, string Text, string Origin = GivenOption.CommandLine)
{
    public const string CommandLine = "command line";
}

/// <summary>A command line taken apart. Values are still text.</summary>
/// <param name="Options">In the order given.</param>
/// <param name="Arguments">What is not an option, such as the files of <c>predict</c>.</param>
/// <param name="Events">Whether progress is wanted as JSON.</param>
/// <param name="Problems">What could not be understood, each a line for the user.</param>
internal sealed record ParsedArguments(
    IReadOnlyList<GivenOption> Options, IReadOnlyList<string> Arguments, string? ConfigFile, bool Quiet, bool Debug,
        bool Events, IReadOnlyList<string> Problems);
