namespace CudaTrainer.Kernels.Cpu;

/// <summary>A grey picture in up to four sizes, each half the one before, down to sides of at least 6 pixels.</summary>
internal sealed unsafe class Pyramid
{
    private const int MostLevels = 4;
    private const int LeastSide = 6;

    private readonly PlaneSet _planes;
    private readonly (int Columns, int Rows)[] _sizes;

    public Pyramid(int columns, int rows)
    {
        List<(int Columns, int Rows)> sizes = [(columns, rows)];
        while (sizes.Count < MostLevels && sizes[^1].Columns / 2 >= LeastSide && sizes[^1].Rows / 2 >= LeastSide)
        {
            sizes.Add((sizes[^1].Columns / 2, sizes[^1].Rows / 2));
        }

        _sizes = [.. sizes];
        _planes = new PlaneSet(_sizes.Length, columns, rows);
    }

    public int Levels => _sizes.Length;

    /// <summary>The picture at a level; 0 is the largest.</summary>
    public float* this[int level] => _planes[level];

    public (int Columns, int Rows) Size(int level) => _sizes[level];

    /// <summary>The largest level becomes the means of 2 × 2 pixels of a picture twice its size, the others those of the level
    /// before.</summary>
    /// <param name="picture">[2 · rows, 2 · columns].</param>
    public void Fill(ReadOnlySpan<byte> picture)
    {
        (int columns, int rows) = _sizes[0];
        for (int y = 0; y < rows; y++)
        {
            ReadOnlySpan<byte> upper = picture.Slice(4 * y * columns, 2 * columns);
            ReadOnlySpan<byte> lower = picture.Slice(((4 * y) + 2) * columns, 2 * columns);
            float* target = _planes[0] + ((nint)y * columns);
            for (int x = 0; x < columns; x++)
            {
                target[x] = 0.25f * (upper[2 * x] + upper[(2 * x) + 1] + lower[2 * x] + lower[(2 * x) + 1]);
            }
        }

        Shrink();
    }

    /// <summary>Fills all levels but the largest, which is there.</summary>
    public void Shrink()
    {
        for (int level = 1; level < Levels; level++)
        {
            (int columns, int rows) = _sizes[level];
            int wide = _sizes[level - 1].Columns;
            for (int y = 0; y < rows; y++)
            {
                float* upper = _planes[level - 1] + (2 * (nint)y * wide), lower = upper + wide;
                float* target = _planes[level] + ((nint)y * columns);
                for (int x = 0; x < columns; x++)
                {
                    target[x] = 0.25f * (upper[2 * x] + upper[(2 * x) + 1] + (lower[2 * x] + lower[(2 * x) + 1]));
                }
            }
        }
    }
}
