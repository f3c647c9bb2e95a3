namespace CudaTrainer.Training.Reporting;

/// <summary>Text for a POSIX shell.</summary>
internal static class ShellWord
{
    /// <summary>The word, quoted if the shell would not take it as it is.</summary>
    public static string Quote(string word) =>
        word.Length > 0 && word.All(letter => char.IsLetterOrDigit(letter) || "-_./:=,+@%".Contains(letter))
            ? word
            : "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
