namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// How much the flow at one place is like the flow a step aside, or there some pairs of pictures earlier: correlations between cells of
/// 4 × 4 pixels over all places, at <see cref="Offsets"/>. People who walk move as one and go on; in a fight limbs next to each other move
/// apart and turn round within a fraction of a second. Left and right count alike where time has passed, and so do up and down.
/// </summary>
/// <remarks>Scalar, in double, in one order: the same bits everywhere.</remarks>
internal sealed class FlowCorrelations
{
    /// <summary>Numbers of an offset: <see cref="Put"/>.</summary>
    private const int PerOffset = 4;

    private const int Cell = 4;

    /// <summary>In squared heights a second: flow slower than its root counts as none.</summary>
    private const double Stillness = 1e-3;

    /// <summary>Pairs back.</summary>
    private const int LongestLag = 7;

    private readonly int _columns;
    private readonly int _rows;
    private readonly float[][] _past;
    private int _pairs;

    /// <param name="columns">Of the flow, a multiple of 4.</param>
    /// <param name="rows">Likewise.</param>
    public FlowCorrelations(int columns, int rows)
    {
        (_columns, _rows) = (columns / Cell, rows / Cell);
        _past = [.. Enumerable.Range(0, LongestLag + 1).Select(_ => new float[3 * _columns * _rows])];
    }

    /// <summary>Numbers within a pair, which come first.</summary>
    public static int OfPair => (PerOffset * Offsets.Count(offset => offset.Lag == 0)) + 1;

    /// <summary>Numbers that tell how the flow is like that of pairs before.</summary>
    public static int OfPast => PerOffset * Offsets.Count(offset => offset.Lag > 0);

    /// <summary>Cells down and aside, and pairs back; those without pairs back first.</summary>
    private static (int Down, int Aside, int Lag)[] Offsets { get; } =
    [
        (0, 1, 0), (0, 2, 0), (0, 4, 0), (1, 0, 0), (2, 0, 0), (4, 0, 0),
        (0, 0, 1), (0, 0, 2), (0, 0, 4), (0, 0, 7), (0, 2, 1), (2, 0, 1), (0, 4, 2), (4, 0, 2),
    ];

    /// <summary>A new scene begins.</summary>
    public void Forget() => _pairs = 0;

    /// <summary>The flow of the next pair.</summary>
    /// <param name="u">Across, in heights a second.</param>
    /// <param name="v">Down.</param>
    public unsafe void Add(float* u, float* v)
    {
        float[] cells = _past[_pairs++ % _past.Length];
        int count = _columns * _rows;
        for (int cell = 0; cell < count; cell++)
        {
            nint first = ((nint)(cell / _columns) * Cell * _columns * Cell) + ((nint)(cell % _columns) * Cell);
            float across = 0, down = 0;
            for (int y = 0; y < Cell; y++)
            {
                for (int x = 0; x < Cell; x++)
                {
                    across += u[first + ((nint)y * _columns * Cell) + x];
                    down += v[first + ((nint)y * _columns * Cell) + x];
                }
            }

            (across, down) = (across / (Cell * Cell), down / (Cell * Cell));
            cells[cell] = across;
            cells[count + cell] = down;
            cells[(2 * count) + cell] = MathF.Sqrt((across * across) + (down * down));
        }
    }

    /// <summary>
    /// Of the pair added last, for each offset, with f and g the flow at both places and means over all places: f·g and its part across,
    /// both over √(f·f × g·g); the correlation of the speeds; f·g over |f||g|. After those within the pair, the share of the motion
    /// that goes across. A lag longer than the scene so far is the scene's.
    /// </summary>
    public void Put(ref FeatureWriter output)
    {
        float[] now = _past[(_pairs - 1) % _past.Length];
        foreach ((int down, int aside, int lag) in Offsets)
        {
            if (lag == 1 && aside == 0 && down == 0)
            {
                output.PutAsIs(ShareAcross(now));
            }

            int back = Math.Min(lag, _pairs - 1);
            if (lag > 0 && back == 0)
            {
                output.PutUnknown(PerOffset);
                continue;
            }

            Products products = default;
            float[] then = _past[(_pairs - 1 - back) % _past.Length];
            Add(then, now, down, aside, ref products);
            if (lag > 0 && aside > 0)
            {
                Add(then, now, down, -aside, ref products);
            }

            if (lag > 0 && down > 0)
            {
                Add(then, now, -down, aside, ref products);
            }

            products.Put(ref output);
        }
    }

    private float ShareAcross(float[] cells)
    {
        int count = _columns * _rows;
        double across = 0, all = 0;
        for (int cell = 0; cell < count; cell++)
        {
            double u = cells[cell], v = cells[count + cell];
            across += u * u;
            all += (u * u) + (v * v);
        }

        return (float)(across / count / ((all / count) + Stillness));
    }

    /// <summary>Every place with the place so many cells from it.</summary>
    private void Add(float[] from, float[] to, int down, int aside, ref Products products)
    {
        int count = _columns * _rows;
        for (int y = Math.Max(0, -down); y < _rows - Math.Max(0, down); y++)
        {
            for (int x = Math.Max(0, -aside); x < _columns - Math.Max(0, aside); x++)
            {
                int a = (y * _columns) + x, b = a + (down * _columns) + aside;
                products.Add(from[a], from[count + a], from[(2 * count) + a], to[b], to[count + b], to[(2 * count) + b]);
            }
        }
    }

    /// <summary>Sums over places of what two flows are together.</summary>
    private struct Products
    {
        private double _across;
        private double _down;
        private double _speeds;
        private double _first;
        private double _second;
        private double _firstSpeed;
        private double _secondSpeed;
        private int _count;

        public void Add(double u1, double v1, double speed1, double u2, double v2, double speed2)
        {
            _across += u1 * u2;
            _down += v1 * v2;
            _speeds += speed1 * speed2;
            _first += speed1 * speed1;
            _second += speed2 * speed2;
            _firstSpeed += speed1;
            _secondSpeed += speed2;
            _count++;
        }

        public readonly void Put(ref FeatureWriter output)
        {
            if (_count == 0)
            {
                // The picture is narrower than the offset.
                output.PutZeros(PerOffset);
                return;
            }

            double across = _across / _count, down = _down / _count, speeds = _speeds / _count, first = _first / _count,
                second = _second / _count, firstSpeed = _firstSpeed / _count, secondSpeed = _secondSpeed / _count;
            double norm = Math.Sqrt(first * second) + Stillness;
            double variances = Math.Max(first - (firstSpeed * firstSpeed), 0) * Math.Max(second - (secondSpeed * secondSpeed), 0);
            output.PutAsIs((float)((across + down) / norm));
            output.PutAsIs((float)(across / norm));
            output.PutAsIs((float)((speeds - (firstSpeed * secondSpeed)) / (Math.Sqrt(variances) + Stillness)));
            output.PutAsIs((float)((across + down) / (speeds + Stillness)));
        }
    }
}
