using CudaTrainer.Engine;

namespace CudaTrainer.Training.Events;

/// <summary>A run has come to its result but cannot write it: whoever asked is to be shown it all the same.</summary>
/// <param name="result">What the run would have returned.</param>
public sealed class UnwrittenResultException(object result, Exception cause)
    : RunException($"The result was found but could not be written: {cause.Message}", null, cause)
{
    public object Result { get; } = result;

    /// <summary>Writes a result that took long to find.</summary>
    /// <exception cref="UnwrittenResultException">It could not be written.</exception>
    internal static void Guard(object result, Action write)
    {
        try
        {
            write();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or RunException)
        {
            throw new UnwrittenResultException(result, exception);
        }
    }
}
