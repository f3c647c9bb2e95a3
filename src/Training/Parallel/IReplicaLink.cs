using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// One replica's connection with the others. Every replica makes the same calls in the same order. After an <see cref="AllReduce"/> all
/// replicas have the same bits: each sum is worked out once, in an order that the sizes fix, and copied to the others.
/// </summary>
internal interface IReplicaLink : IDisposable
{
    /// <summary>This replica's number, from 0.</summary>
    int Rank { get; }

    /// <summary>Replicas in all.</summary>
    int Size { get; }

    /// <summary>What carries the numbers, for a person.</summary>
    string Description { get; }

    LinkFigures Figures { get; }

    /// <summary>
    /// values = Σ over the replicas. Begins after the work queued so far and may run beside work queued later, which leaves
    /// <paramref name="values"/> alone until <see cref="Join"/>.
    /// </summary>
    /// <param name="values">[n] Float32 on this replica's device (Float64 on reference).</param>
    /// <param name="halfOnWire">Numbers travel in half precision; what all replicas end with is rounded to it too.</param>
    void AllReduce(Tensor values, bool halfOnWire);

    /// <summary>Work queued from now on finds the sums of every <see cref="AllReduce"/> so far.</summary>
    void Join();

    /// <summary>Throws if what was queued has failed. To be asked when the device has been waited for.</summary>
    void Confirm();

    /// <summary>Gathers one tensor of each of the first <paramref name="parts"/> replicas; only these call it.</summary>
    /// <param name="part">[n].</param>
    /// <param name="gathered">Output: [parts, n].</param>
    void AllGather(Tensor part, Tensor gathered, int parts);

    /// <summary>Gathers a few bytes of each replica's host in all, in the order of the replicas. Waits.</summary>
    /// <returns>Size · mine.Length bytes.</returns>
    byte[] AllGatherHost(ReadOnlySpan<byte> mine);

    /// <summary>Ends the others' waiting when this replica has failed. Never throws.</summary>
    void Abort();
}

/// <summary>What a replica's communication has come to so far.</summary>
/// <param name="Calls">All-reduces.</param>
/// <param name="Messages">Pieces received from another replica.</param>
/// <param name="Bytes">Received from other replicas.</param>
/// <param name="Seconds">From the moments that numbers were ready to their sums.</param>
/// <param name="ExposedSeconds">Of these, the time in which the replica computed nothing; the rest overlapped with computing.</param>
internal readonly record struct LinkFigures(long Calls, long Messages, long Bytes, double Seconds, double ExposedSeconds)
{
    public static LinkFigures operator +(LinkFigures a, LinkFigures b) =>
        new(a.Calls + b.Calls, a.Messages + b.Messages, a.Bytes + b.Bytes, a.Seconds + b.Seconds, a.ExposedSeconds + b.ExposedSeconds);

    public static LinkFigures operator -(LinkFigures a, LinkFigures b) =>
        new(a.Calls - b.Calls, a.Messages - b.Messages, a.Bytes - b.Bytes, a.Seconds - b.Seconds, a.ExposedSeconds - b.ExposedSeconds);
}

/// <summary>A replica has given up because another one failed; that one's own exception says why.</summary>
internal sealed class ReplicaAbortedException() : Exception("Another replica has failed.");
