using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Walks over the output tiles of a batch: images, rows of tiles, tiles. Counting up is much cheaper than two divisions a
/// tile.</summary>
internal struct TileCursor
{
    private const int TileSize = WinogradTransform.TileSize;

    private readonly int _height;
    private readonly int _width;

    public TileCursor(in ConvProblem problem, int tile)
    {
        _height = problem.Height;
        _width = problem.Width;
        (int row, int column) = Math.DivRem(tile, Tiles(_width));
        (Image, row) = Math.DivRem(row, Tiles(_height));
        Y = row * TileSize;
        X = column * TileSize;
    }

    public int Image { get; private set; }

    /// <summary>The first row of the tile's output.</summary>
    public int Y { get; private set; }

    /// <summary>The first column of the tile's output.</summary>
    public int X { get; private set; }

    public static int Count(in ConvProblem problem) => problem.Images * Tiles(problem.Height) * Tiles(problem.Width);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance()
    {
        X += TileSize;
        if (X >= _width)
        {
            X = 0;
            Y += TileSize;
            if (Y >= _height)
            {
                Y = 0;
                Image++;
            }
        }
    }

    private static int Tiles(int pixels) => (pixels + TileSize - 1) / TileSize;
}
