using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Dense optical flow after Lucas and Kanade (1981), coarse to fine. With g the gradient of the first picture, f the flow so far and
/// e = to(x + f) − from(x), each round solves at every pixel
/// <code>(Σ g gᵀ + λ I) F = Σ g (g · f − e) + λ mean f        sums and mean over a window of 7 × 7 pixels (two boxes)</code>
/// for the new flow F. What the window sees of texture decides; without any, the flow of its surroundings stays.
/// </summary>
internal sealed unsafe class Flow<TSimd, TVec>(int columns, int rows)
    where TSimd : struct, ISimd<TVec>
    where TVec : unmanaged
{
    private const int Rounds = 4;
    private const int Window = 2;

    /// <summary>In squared grey levels a pixel: a window with a smaller mean of squared gradients counts as without texture.</summary>
    private const float Stiffness = 2;

    /// <summary>Pixels a round.</summary>
    private const float MostStep = 2;

    private readonly PlaneSet _planes = new(12, columns, rows);

    /// <summary>Where the pixels of <paramref name="from"/> went: to(x + u, y + v) ≈ from(x, y), in pixels.</summary>
    /// <param name="from">Of this size.</param>
    /// <param name="to">Likewise.</param>
    /// <param name="u">Output: across [rows, columns], a plane.</param>
    /// <param name="v">Output: down [rows, columns], a plane.</param>
    public void Between(Pyramid from, Pyramid to, float* u, float* v)
    {
        int level = from.Levels - 1;
        (int width, int height) = from.Size(level);
        new Span<float>(u, width * height).Clear();
        new Span<float>(v, width * height).Clear();
        for (; ; )
        {
            Refine(from[level], to[level], u, v, width, height);
            if (level-- == 0)
            {
                return;
            }

            (int Columns, int Rows) coarse = (width, height);
            (width, height) = from.Size(level);
            Enlarge(u, coarse, width, height);
            Enlarge(v, coarse, width, height);
        }
    }

    /// <summary>The flow of a level half the size, in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Enlarge(float* flow, (int Columns, int Rows) coarse, int width, int height)
    {
        float* source = _planes[0];
        new ReadOnlySpan<float>(flow, coarse.Columns * coarse.Rows).CopyTo(new Span<float>(source, coarse.Columns * coarse.Rows));
        for (int y = 0; y < height; y++)
        {
            (int y0, int y1, float fy) = Place(y, coarse.Rows);
            float* upper = source + ((nint)y0 * coarse.Columns), lower = source + ((nint)y1 * coarse.Columns);
            for (int x = 0; x < width; x++)
            {
                (int x0, int x1, float fx) = Place(x, coarse.Columns);
                float above = upper[x0] + (fx * (upper[x1] - upper[x0])), below = lower[x0] + (fx * (lower[x1] - lower[x0]));
                *flow++ = 2 * (above + (fy * (below - above)));
            }
        }
    }

    /// <summary>The two neighbours of a pixel in a row or column of half the size, and the weight of the second.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (int First, int Second, float Weight) Place(int fine, int count)
    {
        float place = (fine - 0.5f) * 0.5f;
        place = place > 0 ? place < count - 1 ? place : count - 1 : 0;
        int first = (int)place;
        return (first, first < count - 1 ? first + 1 : first, place - first);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Refine(float* from, float* to, float* u, float* v, int width, int height)
    {
        int count = width * height;
        float* gx = _planes[0], gy = _planes[1], xx = _planes[2], xy = _planes[3], yy = _planes[4], inverse = _planes[5],
            warped = _planes[6], bu = _planes[7], bv = _planes[8], meanU = _planes[9], meanV = _planes[10], scratch = _planes[11];
        Planes<TSimd, TVec>.Gradient(from, gx, gy, width, height);
        for (int i = 0; i < count; i += TSimd.Width)
        {
            TVec x = TSimd.Load(gx + i), y = TSimd.Load(gy + i);
            TSimd.Store(xx + i, TSimd.Multiply(x, x));
            TSimd.Store(xy + i, TSimd.Multiply(x, y));
            TSimd.Store(yy + i, TSimd.Multiply(y, y));
        }

        Planes<TSimd, TVec>.Blur(xx, xx, scratch, width, height, Window);
        Planes<TSimd, TVec>.Blur(xy, xy, scratch, width, height, Window);
        Planes<TSimd, TVec>.Blur(yy, yy, scratch, width, height, Window);
        TVec stiffness = TSimd.Set(Stiffness), least = TSimd.Set(-MostStep), most = TSimd.Set(MostStep);
        for (int i = 0; i < count; i += TSimd.Width)
        {
            TVec a = TSimd.Add(TSimd.Load(xx + i), stiffness), b = TSimd.Load(xy + i), c = TSimd.Add(TSimd.Load(yy + i), stiffness);
            TSimd.Store(xx + i, a);
            TSimd.Store(yy + i, c);
            TSimd.Store(inverse + i, TSimd.Divide(TSimd.Set(1), TSimd.Subtract(TSimd.Multiply(a, c), TSimd.Multiply(b, b))));
        }

        for (int round = 0; round < Rounds; round++)
        {
            Planes<TSimd, TVec>.Warp(to, u, v, warped, width, height);
            for (int i = 0; i < count; i += TSimd.Width)
            {
                TVec x = TSimd.Load(gx + i), y = TSimd.Load(gy + i);
                TVec along = TSimd.Add(TSimd.Multiply(x, TSimd.Load(u + i)), TSimd.Multiply(y, TSimd.Load(v + i)));
                along = TSimd.Subtract(along, TSimd.Subtract(TSimd.Load(warped + i), TSimd.Load(from + i)));
                TSimd.Store(bu + i, TSimd.Multiply(x, along));
                TSimd.Store(bv + i, TSimd.Multiply(y, along));
            }

            Planes<TSimd, TVec>.Blur(bu, bu, scratch, width, height, Window);
            Planes<TSimd, TVec>.Blur(bv, bv, scratch, width, height, Window);
            Planes<TSimd, TVec>.Blur(u, meanU, scratch, width, height, Window);
            Planes<TSimd, TVec>.Blur(v, meanV, scratch, width, height, Window);
            for (int i = 0; i < count; i += TSimd.Width)
            {
                TVec a = TSimd.Load(xx + i), b = TSimd.Load(xy + i), c = TSimd.Load(yy + i), scale = TSimd.Load(inverse + i);
                TVec p = TSimd.Add(TSimd.Load(bu + i), TSimd.Multiply(stiffness, TSimd.Load(meanU + i)));
                TVec q = TSimd.Add(TSimd.Load(bv + i), TSimd.Multiply(stiffness, TSimd.Load(meanV + i)));
                Step(u + i, TSimd.Multiply(TSimd.Subtract(TSimd.Multiply(c, p), TSimd.Multiply(b, q)), scale), least, most);
                Step(v + i, TSimd.Multiply(TSimd.Subtract(TSimd.Multiply(a, q), TSimd.Multiply(b, p)), scale), least, most);
            }
        }
    }

    /// <summary>Towards the solution, as far as a round may go.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(float* flow, TVec solution, TVec least, TVec most)
    {
        TVec now = TSimd.Load(flow);
        TSimd.Store(flow, TSimd.Add(now, TSimd.Max(least, TSimd.Min(most, TSimd.Subtract(solution, now)))));
    }
}
