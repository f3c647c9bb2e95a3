namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// Optical flow by plain loops over pictures, in single precision and in the order of additions that the kernel promises, so that results
/// are compared bit for bit.
/// </summary>
internal sealed record FlowReference(int Columns, int Rows, float[] Values)
{
    /// <summary>Edges continue outwards.</summary>
    private float this[int x, int y] => Values[(Math.Clamp(y, 0, Rows - 1) * Columns) + Math.Clamp(x, 0, Columns - 1)];

    public FlowReference Blur(int radius)
    {
        return Box(Box(this));

        FlowReference Box(FlowReference source)
        {
            float weight = 1.0f / (((2 * radius) + 1) * ((2 * radius) + 1));
            FlowReference down = source.Map((x, y) =>
            {
                float sum = source[x, y];
                for (int k = 1; k <= radius; k++)
                {
                    sum += source[x, y - k] + source[x, y + k];
                }

                return sum;
            });
            return source.Map((x, y) =>
            {
                float sum = down[x, y];
                for (int k = 1; k <= radius; k++)
                {
                    sum += down[x - k, y] + down[x + k, y];
                }

                return sum * weight;
            });
        }
    }

    public FlowReference Soften()
    {
        FlowReference down = Map((x, y) => (0.25f * (this[x, y - 1] + this[x, y + 1])) + (0.5f * this[x, y]));
        return Map((x, y) => (0.25f * (down[x - 1, y] + down[x + 1, y])) + (0.5f * down[x, y]));
    }

    public FlowReference Across() => Map((x, y) => 0.5f * (this[x + 1, y] - this[x - 1, y]));

    public FlowReference Down() => Map((x, y) => 0.5f * (this[x, y + 1] - this[x, y - 1]));

    public FlowReference Halve() => new FlowReference(Columns / 2, Rows / 2, new float[Columns / 2 * (Rows / 2)]).Map((x, y) =>
        0.25f * (this[2 * x, 2 * y] + this[(2 * x) + 1, 2 * y] + (this[2 * x, (2 * y) + 1] + this[(2 * x) + 1, (2 * y) + 1])));

    public FlowReference Warp(FlowReference u, FlowReference v) => Map((x, y) => Bilinear(x + u[x, y], y + v[x, y]));

    /// <summary>Where the pixels went, in pixels.</summary>
    public static (FlowReference U, FlowReference V) Between(FlowReference from, FlowReference to, int levels = 4)
    {
        if (levels == 1 || from.Columns / 2 < 6 || from.Rows / 2 < 6)
        {
            FlowReference still = from.Map((_, _) => 0);
            return Refine(from, to, still, still);
        }

        (FlowReference u, FlowReference v) = Between(from.Halve(), to.Halve(), levels - 1);
        return Refine(from, to, Enlarge(u), Enlarge(v));

        FlowReference Enlarge(FlowReference flow) => from.Map((x, y) => 2 * flow.Bilinear((x - 0.5f) * 0.5f, (y - 0.5f) * 0.5f));
    }

    private static (FlowReference U, FlowReference V) Refine(FlowReference from, FlowReference to, FlowReference u, FlowReference v)
    {
        FlowReference gx = from.Across(), gy = from.Down();
        FlowReference xx = gx.Map((x, y) => gx[x, y] * gx[x, y]).Blur(2), xy = gx.Map((x, y) => gx[x, y] * gy[x, y]).Blur(2),
            yy = gx.Map((x, y) => gy[x, y] * gy[x, y]).Blur(2);
        for (int round = 0; round < 4; round++)
        {
            FlowReference warped = to.Warp(u, v), meanU = u.Blur(2), meanV = v.Blur(2), oldU = u, oldV = v;
            FlowReference along = from.Map((x, y) => (gx[x, y] * oldU[x, y]) + (gy[x, y] * oldV[x, y]) - (warped[x, y] - from[x, y]));
            FlowReference bu = from.Map((x, y) => gx[x, y] * along[x, y]).Blur(2), bv = from.Map((x, y) => gy[x, y] * along[x, y]).Blur(2);
            u = from.Map((x, y) => Solve(x, y).U);
            v = from.Map((x, y) => Solve(x, y).V);

            (float U, float V) Solve(int x, int y)
            {
                float a = xx[x, y] + 2, b = xy[x, y], c = yy[x, y] + 2;
                float p = bu[x, y] + (2 * meanU[x, y]), q = bv[x, y] + (2 * meanV[x, y]), scale = 1 / ((a * c) - (b * b));
                float du = (((c * p) - (b * q)) * scale) - oldU[x, y], dv = (((a * q) - (b * p)) * scale) - oldV[x, y];
                return (oldU[x, y] + Math.Clamp(du, -2, 2), oldV[x, y] + Math.Clamp(dv, -2, 2));
            }
        }

        return (u, v);
    }

    private float Bilinear(float x, float y)
    {
        x = Math.Clamp(x, 0, Columns - 1);
        y = Math.Clamp(y, 0, Rows - 1);
        int x0 = (int)x, y0 = (int)y;
        float fx = x - x0, fy = y - y0;
        float above = this[x0, y0] + (fx * (this[x0 + 1, y0] - this[x0, y0]));
        float below = this[x0, y0 + 1] + (fx * (this[x0 + 1, y0 + 1] - this[x0, y0 + 1]));
        return above + (fy * (below - above));
    }

    private FlowReference Map(Func<int, int, float> value) =>
        this with { Values = [.. Enumerable.Range(0, Columns * Rows).Select(i => value(i % Columns, i / Columns))] };
}
