using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>The families of numbers, each with the whole of the working memory.</summary>
internal sealed unsafe partial class MotionDescriptor<TSimd, TVec>
{
    private static ReadOnlySpan<int> RanksOf64 => [0, 1, 2, 3, 6, 10, 16, 24, 32];

    /// <summary>Shares of the pixels between an edge and the next, and above the last.</summary>
    private void PutHistogram(ref FeatureWriter output, float* field, ReadOnlySpan<float> edges)
    {
        int above = Planes<TSimd, TVec>.CountAbove(field, _count, edges[0]);
        for (int k = 1; k <= edges.Length; k++)
        {
            int next = k < edges.Length ? Planes<TSimd, TVec>.CountAbove(field, _count, edges[k]) : 0;
            output.Put((float)(above - next) / _count);
            above = next;
        }
    }

    /// <summary>Divergence, curl, shear and the size of all four derivatives, in 1/s.</summary>
    /// <param name="u">Horizontal speeds; they may lie in the first plane of the working memory.</param>
    /// <param name="v">Vertical speeds; they may lie in its second plane.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PutDerivatives(ref FeatureWriter output, float* u, float* v)
    {
        float* ux = _work[2], uy = _work[3], vx = _work[4], vy = _work[5];
        Planes<TSimd, TVec>.Gradient(u, ux, uy, _columns, FieldRows);
        Planes<TSimd, TVec>.Gradient(v, vx, vy, _columns, FieldRows);
        TVec across = TSimd.Set(1.0f / PixelWidth), down = TSimd.Set(FieldRows);
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TVec a = TSimd.Multiply(TSimd.Load(ux + i), across), b = TSimd.Multiply(TSimd.Load(uy + i), down);
            TVec c = TSimd.Multiply(TSimd.Load(vx + i), across), d = TSimd.Multiply(TSimd.Load(vy + i), down);
            TSimd.Store(ux + i, Planes<TSimd, TVec>.Abs(TSimd.Add(a, d)));
            TSimd.Store(uy + i, Planes<TSimd, TVec>.Abs(TSimd.Subtract(c, b)));
            TSimd.Store(vx + i, Planes<TSimd, TVec>.Length(TSimd.Subtract(a, d), TSimd.Add(b, c)));
            TSimd.Store(vy + i, TSimd.Sqrt(TSimd.Add(
                TSimd.Add(TSimd.Multiply(a, a), TSimd.Multiply(b, b)), TSimd.Add(TSimd.Multiply(c, c), TSimd.Multiply(d, d)))));
        }

        output.PutUpper(Spread.Of(ux, _count));
        output.PutUpper(Spread.Of(uy, _count));
        output.PutUpper(Spread.Of(vx, _count));
        output.PutSpread(Spread.Of(vy, _count));
    }

    /// <summary>Mean speed in grids of cells, the fastest first.</summary>
    private void PutCells(ref FeatureWriter output, float* speed)
    {
        Span<float> all = stackalloc float[64];
        for (int side = 2; side <= 8; side *= 2)
        {
            Span<float> cells = all[..(side * side)];
            MeansOfCells(speed, side, cells);
            cells.Sort();
            cells.Reverse();
            for (int i = 0; i < (side < 8 ? cells.Length : RanksOf64.Length); i++)
            {
                output.Put(cells[side < 8 ? i : RanksOf64[i]]);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MeansOfCells(float* speed, int side, Span<float> cells)
    {
        for (int cy = 0; cy < side; cy++)
        {
            int top = cy * FieldRows / side, bottom = (cy + 1) * FieldRows / side;
            Span<float> line = cells.Slice(cy * side, side);
            line.Clear();

            // The cells of a line side by side: their sums do not wait for each other.
            for (int y = top; y < bottom; y++)
            {
                for (int cx = 0; cx < side; cx++)
                {
                    int right = (cx + 1) * _columns / side;
                    float sum = line[cx];
                    for (int x = cx * _columns / side; x < right; x++)
                    {
                        sum += speed[(y * _columns) + x];
                    }

                    line[cx] = sum;
                }
            }

            for (int cx = 0; cx < side; cx++)
            {
                line[cx] /= (((cx + 1) * _columns / side) - (cx * _columns / side)) * (bottom - top);
            }
        }
    }

    /// <summary>How much of the motion around a pixel has one direction: |mean flow| against mean speed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PutCoherence(ref FeatureWriter output, float* u, float* v, int radius)
    {
        float* speed = _now.Speed, meanU = _work[0], meanV = _work[1], meanSpeed = _work[2], together = _work[3], scratch = _work[4];
        Planes<TSimd, TVec>.Blur(u, meanU, scratch, _columns, FieldRows, radius);
        Planes<TSimd, TVec>.Blur(v, meanV, scratch, _columns, FieldRows, radius);
        Planes<TSimd, TVec>.Blur(speed, meanSpeed, scratch, _columns, FieldRows, radius);
        Planes<TSimd, TVec>.Lengths(meanU, meanV, together, _count);
        float weighted = 0, weight = 0, apart = 0;
        for (int i = 0; i < _count; i++)
        {
            weighted += speed[i] * together[i] / (meanSpeed[i] + 1e-3f);
            weight += speed[i];
            apart += meanSpeed[i] > together[i] ? meanSpeed[i] - together[i] : 0;
        }

        output.Put(weighted / (weight + 1e-6f));
        output.Put(apart / _count);
    }

    /// <summary>The pixels that move: how far they spread, how fast they are, how much they agree, and speed times its local
    /// mean.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PutMovers(ref FeatureWriter output, float* u, float* v)
    {
        float* speed = _now.Speed, around = _work[0];
        Planes<TSimd, TVec>.Blur(speed, around, _work[1], _columns, FieldRows, 2);
        float weight = 0, squares = 0, crowded = 0, wx = 0, wy = 0, wu = 0, wv = 0;
        int movers = 0;
        for (int y = 0; y < FieldRows; y++)
        {
            for (int x = 0; x < _columns; x++)
            {
                int i = (y * _columns) + x;
                if (speed[i] > Lively)
                {
                    movers++;
                    weight += speed[i];
                    squares += speed[i] * speed[i];
                    crowded += speed[i] * around[i];
                    wx += speed[i] * x;
                    wy += speed[i] * y;
                    wu += speed[i] * u[i];
                    wv += speed[i] * v[i];
                }
            }
        }

        if (movers == 0)
        {
            output.PutZeros(7);
            return;
        }

        float centreX = wx / weight, centreY = wy / weight, meanU = wu / weight, meanV = wv / weight;
        float sxx = 0, syy = 0, apart = 0;
        for (int y = 0; y < FieldRows; y++)
        {
            for (int x = 0; x < _columns; x++)
            {
                int i = (y * _columns) + x;
                if (speed[i] > Lively)
                {
                    float dx = (x - centreX) * PixelWidth, dy = (y - centreY) / FieldRows, du = u[i] - meanU, dv = v[i] - meanV;
                    sxx += speed[i] * dx * dx;
                    syy += speed[i] * dy * dy;
                    apart += speed[i] * ((du * du) + (dv * dv));
                }
            }
        }

        float width = MathF.Sqrt(sxx / weight), height = MathF.Sqrt(syy / weight);
        output.Put(width);
        output.Put(height);
        output.Put(width / (height + 0.02f));
        output.Put(weight / movers);
        output.Put(MathF.Sqrt((meanU * meanU) + (meanV * meanV)) * weight / squares);
        output.Put(MathF.Sqrt(apart / weight));
        output.Put(crowded / movers);
    }

    /// <summary>Grey levels: what changes, what the flow leaves unexplained, and both against the texture there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PutDifferences(ref FeatureWriter output, float* difference, float* residual, float* moved)
    {
        float* from = _from[0], slope = _work[0], down = _work[1], contrast = _work[2], scratch = _work[3], ratio = _work[4],
            blurred = _work[5];
        Spread changed = Spread.Of(difference, _count), left = Spread.Of(residual, _count);
        Planes<TSimd, TVec>.Gradient(from, slope, down, _columns, FieldRows);
        Planes<TSimd, TVec>.Lengths(slope, down, slope, _count);
        output.PutSpread(changed);
        PutHistogram(ref output, difference, GreyLevels);
        output.PutUpper(changed, 1.0f / (Mean(slope) + 1.0f));
        output.PutSpread(left);
        output.Put(left.Mean / (changed.Mean + 0.3f));

        // Local standard deviation, without the rounding of a mean of squares less a squared mean.
        Planes<TSimd, TVec>.Blur(from, blurred, scratch, _columns, FieldRows, 5);
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TVec apart = TSimd.Subtract(TSimd.Load(from + i), TSimd.Load(blurred + i));
            TSimd.Store(contrast + i, TSimd.Multiply(apart, apart));
        }

        Planes<TSimd, TVec>.Blur(contrast, contrast, scratch, _columns, FieldRows, 5);
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TVec inverse = TSimd.Divide(TSimd.Set(1), TSimd.Add(TSimd.Sqrt(TSimd.Load(contrast + i)), TSimd.Set(3)));
            TSimd.Store(contrast + i, TSimd.Multiply(TSimd.Load(residual + i), inverse));
            TSimd.Store(ratio + i, TSimd.Multiply(TSimd.Load(difference + i), inverse));
        }

        output.PutSpread(Spread.Of(contrast, _count));
        output.PutSpread(Spread.Of(ratio, _count));

        // The flow across edges, at two sizes.
        PutRatio(ref output, difference, slope, ratio);
        Planes<TSimd, TVec>.Blur(difference, blurred, scratch, _columns, FieldRows, 2);
        Planes<TSimd, TVec>.Blur(slope, slope, scratch, _columns, FieldRows, 2);
        PutRatio(ref output, blurred, slope, ratio);

        // Differences where the flow is large, and where there is none.
        float meanMoved = Mean(moved), dm = MeanProduct(difference, moved), rm = MeanProduct(residual, moved);
        float still = 0, quick = 0;
        int stills = 0, quicks = 0;
        for (int i = 0; i < _count; i++)
        {
            bool isStill = moved[i] < 0.1f, isQuick = moved[i] > 0.6f;
            still += isStill ? difference[i] : 0;
            quick += isQuick ? difference[i] : 0;
            stills += isStill ? 1 : 0;
            quicks += isQuick ? 1 : 0;
        }

        float perPixel = 1.0f / (meanMoved + 1e-3f);
        output.Put(dm);
        output.Put(rm);
        output.Put(dm * perPixel);
        output.Put(rm * perPixel);
        output.Put(stills > 0 ? still / stills : 0);
        output.Put(quicks > 0 ? quick / quicks : 0);
    }

    /// <summary>The spread of difference / (slope + 2).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PutRatio(ref FeatureWriter output, float* difference, float* slope, float* ratio)
    {
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TSimd.Store(ratio + i, TSimd.Divide(TSimd.Load(difference + i), TSimd.Add(TSimd.Load(slope + i), TSimd.Set(2))));
        }

        output.PutSpread(Spread.Of(ratio, _count));
    }

    /// <summary>How the flow itself changed since the pair before, place by place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PutAcceleration(ref FeatureWriter output, float seconds)
    {
        float* change = _work[0], du = _work[1], dv = _work[2], scratch = _work[3], length = _work[4], speed = _now.Speed;
        TVec rate = TSimd.Set(1.0f / seconds);
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TSimd.Store(du + i, TSimd.Multiply(TSimd.Subtract(TSimd.Load(_now.U + i), TSimd.Load(_before.U + i)), rate));
            TSimd.Store(dv + i, TSimd.Multiply(TSimd.Subtract(TSimd.Load(_now.V + i), TSimd.Load(_before.V + i)), rate));
        }

        Planes<TSimd, TVec>.Lengths(du, dv, change, _count);
        output.PutSpread(Spread.Of(change, _count));
        Planes<TSimd, TVec>.Blur(du, du, scratch, _columns, FieldRows, 2);
        Planes<TSimd, TVec>.Blur(dv, dv, scratch, _columns, FieldRows, 2);
        Planes<TSimd, TVec>.Lengths(du, dv, length, _count);
        output.PutSpread(Spread.Of(length, _count));

        Planes<TSimd, TVec>.Lengths(_now.U, _now.V, length, _count);
        float now = Mean(length);
        Planes<TSimd, TVec>.Lengths(_before.U, _before.V, length, _count);
        float before = Mean(length);
        output.Put(Mean(change) * seconds / (now + before + 0.01f));
        output.Put(MeanProduct(speed, change) * seconds / (MeanProduct(speed, speed) + 1e-4f));

        Planes<TSimd, TVec>.Distances(speed, _before.Speed, length, _count);
        output.PutUpper(Spread.Of(length, _count));
    }
}
