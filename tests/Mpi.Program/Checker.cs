using System.Runtime.InteropServices;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Mpi.Program;

/// <summary>Counts what holds and says what does not.</summary>
internal sealed class Checker(MpiWorld world)
{
    public int Passed { get; private set; }

    public int Failed { get; private set; }

    public void That(string what, bool holds, string detail = "")
    {
        if (holds)
        {
            Passed++;
            return;
        }

        Failed++;
        Console.WriteLine($"rank {world.Rank}: WRONG: {what} {detail}");
    }

    /// <summary>Compares bits.</summary>
    public void Same(string what, ReadOnlySpan<float> expected, ReadOnlySpan<float> found)
    {
        int at = MemoryMarshal.Cast<float, int>(expected).CommonPrefixLength(MemoryMarshal.Cast<float, int>(found));
        bool same = at == expected.Length && at == found.Length;
        That(what, same, same ? string.Empty : $"element {at} of {expected.Length}: expected {expected[at]:R}, found {found[at]:R}");
    }

    public void SameOnAllRanks(string what, ReadOnlySpan<float> values)
    {
        ReadOnlySpan<byte> mine = MemoryMarshal.AsBytes(values);
        byte[] all = new byte[mine.Length * world.Size];
        world.AllGather(mine, all);
        for (int rank = 0; rank < world.Size; rank++)
        {
            That($"{what}: the same bits as rank {rank}", mine.SequenceEqual(all.AsSpan(rank * mine.Length, mine.Length)));
        }
    }
}
