namespace CudaTrainer.Kernels.Cpu;

/// <summary>How the tiles of a Winograd convolution are cut into blocks.</summary>
internal readonly struct WinogradPlan
{
    /// <summary>Blocks are cut at multiples of this, which every register tile's height divides.</summary>
    private const int Group = 12;

    private readonly int _tiles;
    private readonly int _groups;

    private WinogradPlan(int tiles, int groups, int blocks)
    {
        _tiles = tiles;
        _groups = groups;
        Blocks = blocks;
    }

    public int Blocks { get; }

    /// <summary>Tiles of the largest block, a multiple of 12.</summary>
    public int LargestBlock => (_groups + Blocks - 1) / Blocks * Group;

    /// <summary>
    /// The weights are read once for each block of tiles: few tiles if the weights stay in the caches, so that the tiles do too, and many
    /// if the weights come from memory, so that it keeps up (96 tiles are 48 operations a byte). Blocks are nearly equal, and a multiple of
    /// <paramref name="threads"/>.
    /// </summary>
    public static WinogradPlan Choose(in ConvProblem problem, int threads)
    {
        const int weightBytesPerTile = 96 << 10;
        long weightBytes = (long)WinogradTransform.Points * sizeof(float) * problem.InChannels * problem.OutChannels;
        int groupsPerBlock = (int)Math.Clamp(weightBytes / (weightBytesPerTile * Group), 2, 8);
        int tiles = TileCursor.Count(in problem);
        int groups = GemmPacking.RoundUp(tiles, Group) / Group;
        int blocks = GemmPacking.RoundUp((groups + groupsPerBlock - 1) / groupsPerBlock, threads);
        return new WinogradPlan(tiles, groups, Math.Max(1, Math.Min(blocks, groups)));
    }

    /// <summary>The tiles of a block.</summary>
    public (int Begin, int End) Tiles(int block) => (Boundary(block), Boundary(block + 1));

    private int Boundary(int block) => Math.Min(_tiles, (int)((long)_groups * block / Blocks) * Group);
}
