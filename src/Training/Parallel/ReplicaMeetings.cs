namespace CudaTrainer.Training.Parallel;

/// <summary>The meetings of a process's replicas: of all, or of the first few that have samples.</summary>
internal class ReplicaMeetings
{
    private readonly Rendezvous[] _meetings;
    private readonly byte[]?[] _bytes;

    public ReplicaMeetings(int size)
    {
        Size = size;
        _meetings = [.. Enumerable.Range(1, size).Select(members => new Rendezvous(members))];
        _bytes = new byte[size][];
    }

    public int Size { get; }

    /// <param name="parts">How many meet; 0 = all.</param>
    public void Meet(int parts = 0) => _meetings[(parts == 0 ? Size : parts) - 1].Arrive();

    public byte[] Gather(int rank, ReadOnlySpan<byte> mine)
    {
        _bytes[rank] = mine.ToArray();
        Meet();
        byte[] all = [.. _bytes.SelectMany(bytes => bytes!)];
        Meet();
        return all;
    }

    public void Abort()
    {
        foreach (Rendezvous meeting in _meetings)
        {
            meeting.Abort();
        }
    }
}
