namespace CudaTrainer.Training.Parallel;

/// <summary>The consecutive samples of a batch that one replica has.</summary>
/// <param name="First">The first one's place in the batch.</param>
/// <param name="Count">How many; 0 for the last replicas where there are fewer samples than replicas.</param>
internal readonly record struct Shard(int First, int Count)
{
    /// <summary>
    /// The shard of replica <paramref name="rank"/>: sizes differ by at most one, the first replicas have the larger ones.
    /// </summary>
    public static Shard Of(int samples, int rank, int replicas)
    {
        int least = samples / replicas, larger = samples % replicas;
        return new Shard((rank * least) + Math.Min(rank, larger), least + (rank < larger ? 1 : 0));
    }

    /// <summary>Replicas that have samples: the first ones.</summary>
    public static int Busy(int samples, int replicas) => Math.Min(samples, replicas);
}
