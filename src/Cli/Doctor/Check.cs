namespace CudaTrainer.Cli.Doctor;

internal enum CheckStatus
{
    Ok,
    Warn,
    Fail,
}

/// <summary>One thing looked at.</summary>
/// <param name="Found">What was found.</param>
/// <param name="Remedy">What to do about it; null if nothing need be done.</param>
internal sealed record Check(string Name, CheckStatus Status, string Found, string? Remedy = null)
{
    public static Check Ok(string name, string found) => new(name, CheckStatus.Ok, found);

    public static Check Warn(string name, string found, string remedy) => new(name, CheckStatus.Warn, found, remedy);

    public static Check Fail(string name, string found, string remedy) => new(name, CheckStatus.Fail, found, remedy);
}
