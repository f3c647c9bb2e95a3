namespace CudaTrainer.Engine.Parallel;

/// <summary>
/// A ring all-reduce of n numbers over R ranks in two rounds of R − 1 hops (Patarasuk and Yuan 2009). The numbers are cut into R chunks. In every hop each rank receives
/// one chunk from its left neighbour, rank − 1, which that one completed in the hop before, and nobody else touches:
/// <list type="bullet">
/// <item>adding up, hop s: rank r receives chunk r − 1 − s and adds it to its own; after the last hop it has the whole sum of chunk r + 1;</item>
/// <item>handing on, hop s: rank r receives chunk r − s, a whole sum, and puts it in place of its own.</item>
/// </list>
/// Chunk c is added up in the order c, c + 1, …, c + R − 1 whoever looks: the same bits in every run and on every rank. Every rank sends and receives 2·n·(R − 1)/R numbers.
/// </summary>
internal static class RingSchedule
{
    /// <summary>Chunks begin at multiples of it: 128 bytes of floats, 64 of halves.</summary>
    private const long Line = 32;

    public static int Left(int rank, int size) => (rank + size - 1) % size;

    public static int Right(int rank, int size) => (rank + 1) % size;

    /// <summary>The chunk that arrives at <paramref name="rank"/> in this hop of adding up.</summary>
    public static int Added(int rank, int hop, int size) => (rank + (2 * size) - 1 - hop) % size;

    /// <summary>The chunk that arrives at <paramref name="rank"/> in this hop of handing on.</summary>
    public static int Taken(int rank, int hop, int size) => (rank + size - hop) % size;

    /// <summary>Where a chunk lies; some may be empty.</summary>
    public static (long First, long Count) Chunk(long count, int chunk, int size)
    {
        long lines = (count + Line - 1) / Line;
        long first = Math.Min(count, lines * chunk / size * Line), end = Math.Min(count, lines * (chunk + 1) / size * Line);
        return (first, end - first);
    }
}
