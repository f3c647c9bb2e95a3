using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Text for a POSIX shell.</summary>
internal static class Shell
{
    /// <summary>What to type to run this program: as the launcher was called, so that printed commands can be copied.</summary>
    public static string Program
    {
        get;
    } = ShellWord.Quote(Environment.GetEnvironmentVariable("CUDATRAINER_COMMAND") is { Length: > 0 } command ? command : "cudatrainer");
}
