namespace CudaTrainer.Formats;

/// <summary>How many files this process may have open at the same time.</summary>
internal static class OpenFiles
{
    /// <summary>The program's own libraries, devices, a data set's features and a few decoders, with room to spare.</summary>
    public const int Needed = 256;

    /// <summary>Raises the limit as far as a process may by itself, if it is below <see cref="Needed"/>.</summary>
    /// <returns>The limit now; a very large number where there is none.</returns>
    public static long Raise() => OperatingSystem.IsLinux() ? Posix.RaiseFileLimit(Needed) : long.MaxValue;
}
