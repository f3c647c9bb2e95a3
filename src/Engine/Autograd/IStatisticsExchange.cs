using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Autograd;

/// <summary>
/// How the replicas of a model put small tensors together in the middle of a step. All replicas that have samples call it the same number
/// of times with the same sizes.
/// </summary>
public interface IStatisticsExchange
{
    /// <summary>Replicas that have samples in this step; each has one part.</summary>
    int Parts { get; }

    /// <summary>Gathers one tensor of each replica, in the order of the replicas. Queued like an op.</summary>
    /// <param name="part">This replica's [n].</param>
    /// <param name="gathered">Output: [Parts, n], the same on every replica.</param>
    void AllGather(Tensor part, Tensor gathered);
}
