using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Commands;

internal sealed record CompletionOptions;

/// <summary>The script by which a shell completes words.</summary>
internal sealed class CompletionCommand : CliCommand<CompletionOptions>
{
    public override string Name => "completion";

    public override string Summary => "Prints the script by which a shell completes words.";

    public override IReadOnlyList<string> Usages => [string.Join('|', CompletionScript.Shells)];

    public override IReadOnlyList<string> Notes =>
    [
        "For one session of bash or zsh: source <(cudatrainer completion bash); of fish: cudatrainer completion fish | source. " +
            "docs/install.md says where the shells look for such scripts.",
    ];

    public override string ArgumentPlaceholder => "SHELL";

    public override IReadOnlyList<string> ArgumentChoices => CompletionScript.Shells;

    protected override bool OpensFiles => false;

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) => arguments.Count == 1 ? null : "name one shell";

    protected override int Run(CompletionOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        terminal.Output.Write(CompletionScript.Of(arguments[0]));
        return ExitCode.Ok;
    }
}
