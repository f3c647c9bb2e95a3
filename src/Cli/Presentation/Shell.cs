namespace CudaTrainer.Cli.Presentation;

/// <summary>Text for a POSIX shell.</summary>
internal static class Shell
{
    /// <summary>What to type to run this program: as the launcher was called, so that printed commands can be copied.</summary>
    public static string Program { get; } = Quote(Environment.GetEnvironmentVariable("CUDATRAINER_COMMAND") is { Length: > 0 } command ? command : "cudatrainer");

    /// <summary>The word, quoted if the shell would not take it as it is.</summary>
    public static string Quote(string word) =>
        word.Length > 0 && word.All(letter => char.IsLetterOrDigit(letter) || "-_./:=,+@%".Contains(letter))
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
