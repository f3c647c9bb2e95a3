namespace CudaTrainer.Training.Parallel;

/// <summary>
/// Who sends what when in an all-reduce around a ring: rank r sends to r + 1 and receives from r − 1, modulo the number of ranks R.
/// </summary>
/// <remarks>
/// <para>The n elements are cut into R chunks. Two passes of R − 1 steps each, and in each step every rank sends one chunk and receives
/// one:</para>
/// <list type="number">
/// <item>reduce-scatter: rank r sends chunk r − s in step s and adds what it receives to its own chunk r − s − 1. A chunk c starts with
/// rank c and collects the values of c + 1, c + 2, … on its way, so its sum is ((x_c + x_{c+1}) + x_{c+2}) + …, an order that depends on c
/// and R alone.
/// After the last step rank r owns chunk r + 1: it alone has its sum;</item>
/// <item>all-gather: rank r sends chunk r + 1 − s in step s and overwrites chunk r − s with what it receives. All ranks end with copies of
/// one owner's bits.</item>
/// </list>
/// <para>
/// Each rank writes its own memory only. What orders the ranks are the messages: a rank sends a chunk in step s that it has finished in
/// step s − 1, and starts step s + 1 when both messages of step s are done. The chunk that a step sends is never the one that it receives,
/// so the two messages may be under way together. A rank sends 2 (R − 1) / R · n elements in all.
/// </para>
/// </remarks>
internal static class RingSchedule
{
    /// <summary>Chunks begin at multiples of 64 bytes, for elements of 4 bytes.</summary>
    public const int ElementsPerLine = 16;

    /// <summary>Steps of each of the two passes.</summary>
    public static int Steps(int size) => size - 1;

    /// <summary>The rank that a rank sends to.</summary>
    public static int Next(int rank, int size) => rank + 1 == size ? 0 : rank + 1;

    /// <summary>The rank that a rank receives from.</summary>
    public static int Previous(int rank, int size) => rank == 0 ? size - 1 : rank - 1;

    /// <summary>The chunk that a rank sends in a step of the reduce-scatter.</summary>
    public static int ReduceSends(int rank, int size, int step) => Chunk(rank - step, size, step);

    /// <summary>The chunk that a rank receives in a step of the reduce-scatter, and adds to its own.</summary>
    public static int ReduceReceives(int rank, int size, int step) => Chunk(rank - step - 1, size, step);

    /// <summary>The chunk whose sum a rank has after the reduce-scatter.</summary>
    public static int Owned(int rank, int size) => Next(rank, size);

    /// <summary>The chunk that a rank sends in a step of the all-gather.</summary>
    public static int GatherSends(int rank, int size, int step) => Chunk(rank + 1 - step, size, step);

    /// <summary>The chunk that a rank receives in a step of the all-gather.</summary>
    public static int GatherReceives(int rank, int size, int step) => Chunk(rank - step, size, step);

    /// <summary>Where a chunk lies: sizes differ by at most one line of 64 bytes, and chunks may be empty.</summary>
    /// <param name="count">Elements in all.</param>
    /// <param name="size">Ranks, hence chunks.</param>
    /// <param name="chunk">Which one.</param>
    public static (long Begin, long Count) Bounds(long count, int size, int chunk)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfNegative(chunk);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(chunk, size);
        long begin = Edge(count, size, chunk);
        return (begin, Edge(count, size, chunk + 1) - begin);
    }

    private static long Edge(long count, int size, int chunk)
    {
        long lines = (count + ElementsPerLine - 1) / ElementsPerLine;
        return Math.Min(count, lines * chunk / size * ElementsPerLine);
    }

    private static int Chunk(int number, int size, int step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(step, size - 1);
        return ((number % size) + size) % size;
    }
}
