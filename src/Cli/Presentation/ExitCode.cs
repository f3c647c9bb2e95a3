namespace CudaTrainer.Cli.Presentation;

/// <summary>What a process returns.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    public const int Failed = 1;

    public const int Usage = 2;

    /// <summary>Interrupted with everything saved: 128 + SIGINT.</summary>
    public const int Interrupted = 130;
}
