namespace CudaTrainer.Training.Parallel;

/// <summary>How long a <see cref="Heartbeat"/> waits for what.</summary>
internal sealed record HeartbeatOptions
{
    /// <summary>Between two signs of life.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Without a sign of life for so long, a rank is lost.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For all ranks to connect to rank 0 at the start.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>For one of rank 0's addresses to answer.</summary>
    public TimeSpan Attempt { get; init; } = TimeSpan.FromSeconds(3);
}
