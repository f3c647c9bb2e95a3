using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.Parallel;

/// <summary>Batch statistics put together over a replica's link.</summary>
internal sealed class LinkStatistics(IReplicaLink link, int samples) : IStatisticsExchange
{
    public int Parts { get; } = Shard.Busy(samples, link.Size);

    public void AllGather(Tensor part, Tensor gathered) => link.AllGather(part, gathered, Parts);
}
