namespace CudaTrainer.Engine;

/// <summary>A run cannot go on for a reason the user can act on: the message says what was wrong, the hint what to do about it.</summary>
public class RunException : Exception
{
    public RunException(string message, string? hint = null, Exception? innerException = null)
        : base(message, innerException) => Hint = hint;

    /// <summary>What to do, in one sentence; null when the message says it all.</summary>
    public string? Hint { get; }
}
