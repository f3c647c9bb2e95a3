namespace CudaTrainer.Cli.Tests;

/// <summary>The scripts of <c>completion</c>, each in its shell, which asks the built program.</summary>
public sealed class CompletionTests : IDisposable
{
    // Stands for a bash that completes a line: it cuts the line into words as Readline does, at "=", too.
    private const string InBash = """
        source <(cudatrainer completion bash)
        complete -p cudatrainer | grep -q -- '-F _cudatrainer' || exit 3
        COMP_LINE=$1 COMP_POINT=${#1}
        read -ra COMP_WORDS <<<"${1//=/ = }"
        [[ $1 != *' ' ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _cudatrainer "${COMP_WORDS[0]}" "${COMP_WORDS[-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
        """;

    // A zsh with a terminal of its own, in which the line and a tab are typed, and a key that writes down what the line is then.
    private const string InZsh = """
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "autoload -Uz compinit; compinit -u -D; source <(cudatrainer completion zsh)"
        zpty -w shell "show() { print -r -- \$BUFFER >line; exit }; zle -N show; bindkey '^X' show"
        zpty -w -n shell "$1"$'\t\x18'
        while zpty -r shell output; do :; done
        cat line
        """;

    private readonly TemporaryFolder _folder = new();

    public CompletionTests()
    {
        // As it is installed: a program on the path.
        string launcher = _folder.File("cudatrainer", $"#!/bin/sh\nexec dotnet \"{CommandRunner.ProgramFile}\" \"$@\"\n");
        ChildProcess.Run("chmod", ["+x", launcher]).ExitCode.ShouldBe(0);
        _folder.File("clip.mp4", "");
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("cudatrainer tr", "train")]
    [InlineData("cudatrainer cache ", "clear info prune verify")]
    [InlineData("cudatrainer cache i", "info")]
    [InlineData("cudatrainer train --clip-mode ", "global off per-parameter")]
    [InlineData("cudatrainer train --clip-mode=", "global off per-parameter")]
    [InlineData("cudatrainer train --clip-mode=gl", "global")]
    [InlineData("cudatrainer predict 'my clip.mp4' --windo", "--window")]
    [InlineData("cudatrainer completion ", "bash fish zsh")]
    public void Bash_completes_words(string line, string expected) =>
        Words("bash", "-c", InBash, "bash", line).ShouldBe(expected.Split(' '));

    [Fact]
    public void Bash_offers_options_behind_a_hyphen_and_leaves_files_to_itself_elsewhere()
    {
        Words("bash", "-c", InBash, "bash", "cudatrainer predict ").ShouldBeEmpty();
        string[] options = Words("bash", "-c", InBash, "bash", "cudatrainer predict -");

        Program.Commands.Single(command => command.Name == "predict").Options.Select(option => option.Name).ShouldBeSubsetOf(options);
    }

    [Theory]
    [InlineData("cudatrainer tra", "cudatrainer train")]
    [InlineData("cudatrainer train --clip-mode gl", "cudatrainer train --clip-mode global")]
    [InlineData("cudatrainer train --clip-mode=gl", "cudatrainer train --clip-mode=global")]
    [InlineData("cudatrainer predict cl", "cudatrainer predict clip.mp4")]
    [InlineData("cudatrainer cache p", "cudatrainer cache prune")]
    public void Zsh_completes_words(string line, string expected) => Words("zsh", "-f", "-c", InZsh, "zsh", line).ShouldBe([expected]);

    [Theory]
    [InlineData("cudatrainer tr", "train")]
    [InlineData("cudatrainer cache ", "clear info prune verify")]
    [InlineData("cudatrainer train --clip-mode=g", "--clip-mode=global")]
    [InlineData("cudatrainer predict cl", "clip.mp4")]
    [InlineData("cudatrainer predict --checkpoint=cl", "--checkpoint=clip.mp4")]
    [InlineData("cudatrainer predict --windo", "--window")]
    public void Fish_completes_words(string line, string expected) =>
        Words("fish", "-c", $"cudatrainer completion fish | source; complete -C \"{line}\"").ShouldBe(expected.Split(' '));

    [Theory]
    [InlineData("tcsh", "SHELL: \"tcsh\" is unknown; expected one of bash, zsh, fish")]
    [InlineData("", "SHELL: name one shell")]
    public void A_shell_without_a_script_is_refused_with_those_that_have_one(string shells, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside(["completion", .. shells.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldBe($"error: {expected}");
    }

    /// <summary>The lines that a shell prints, in ordinal order. The test is skipped where there is no such shell.</summary>
    private string[] Words(string shell, params string[] arguments)
    {
        Assert.SkipUnless(File.Exists($"/usr/bin/{shell}"), $"{shell} is not installed (Debian: apt-get install {shell})");
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        CommandOutcome outcome = ChildProcess.Run(shell, arguments, _folder.Path,
            [new("PATH", $"{_folder.Path}:{path}"), new("HOME", _folder.Path), new("TERM", "dumb")]);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        return [.. outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(word => word.Trim()).Order(StringComparer.Ordinal)];
    }
}
