using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Commands;

internal sealed record ManOptions;

/// <summary>The manual page.</summary>
/// <param name="commands">Every command, this one too.</param>
internal sealed class ManCommand(Func<IReadOnlyList<CliCommand>> commands) : CliCommand<ManOptions>
{
    public override string Name => "man";

    public override string Summary => "Prints the manual page: every command and option.";

    public override IReadOnlyList<string> Usages => ["| man -l -", "> /usr/local/share/man/man1/cudatrainer.1"];

    protected override bool OpensFiles => false;

    protected override int Run(ManOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        terminal.Output.Write(ManPage.Of(commands(), ProgramVersion.Text));
        return ExitCode.Ok;
    }
}
