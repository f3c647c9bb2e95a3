namespace CudaTrainer.Serve;

/// <summary>A request that is refused, and how that is said.</summary>
/// <param name="status">HTTP's status code.</param>
/// <param name="code">For programs.</param>
/// <param name="message">For people.</param>
internal sealed class ApiException(int status, string code, string message) : Exception(message)
{
    public int Status => status;

    public JobError Error => new(code, Message);

    /// <summary>Seconds after which trying again makes sense.</summary>
    public int? RetryAfter { get; init; }
}
