using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Loops over the planes of a <see cref="PlaneSet"/>. Edges continue outwards with the value of the edge.</summary>
/// <remarks>
/// Nothing is fused and sums run in one order, so that every level gives the same bits. Vectors are always whole: what one writes beyond
/// the end of its row is overwritten when the next row is written.
/// </remarks>
internal static unsafe class Planes<TSimd, TVec>
    where TSimd : struct, ISimd<TVec>
    where TVec : unmanaged
{
    /// <summary>Twice the mean over (2 radius + 1)² pixels, nearly Gaussian: standard deviation 2 for radius 2, 4.5 for radius 5.</summary>
    /// <param name="source">[rows, columns].</param>
    /// <param name="target">[rows, columns]; may be the source.</param>
    /// <param name="scratch">A plane.</param>
    public static void Blur(float* source, float* target, float* scratch, int columns, int rows, int radius)
    {
        Box(source, target, scratch, columns, rows, radius);
        Box(target, target, scratch, columns, rows, radius);
    }

    /// <summary>Weights 1 2 1 across and down.</summary>
    /// <inheritdoc cref="Blur" path="/param"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Soften(float* source, float* target, float* scratch, int columns, int rows)
    {
        TVec quarter = TSimd.Set(0.25f), half = TSimd.Set(0.5f);
        nint stride = columns + 2;
        for (int y = 0; y < rows; y++)
        {
            float* row = Row(source, y, columns, rows);
            float* above = Row(source, y - 1, columns, rows), below = Row(source, y + 1, columns, rows);
            float* sum = scratch + (y * stride);
            for (int x = 0; x < columns; x += TSimd.Width)
            {
                TSimd.Store(sum + 1 + x, TSimd.Add(
                    TSimd.Multiply(quarter, TSimd.Add(TSimd.Load(above + x), TSimd.Load(below + x))),
                    TSimd.Multiply(half, TSimd.Load(row + x))));
            }

            ExtendEdges(sum, columns, 1);
        }

        for (int y = 0; y < rows; y++)
        {
            float* row = scratch + (y * stride), result = target + ((nint)y * columns);
            for (int x = 0; x < columns; x += TSimd.Width)
            {
                TSimd.Store(result + x, TSimd.Add(
                    TSimd.Multiply(quarter, TSimd.Add(TSimd.Load(row + x), TSimd.Load(row + x + 2))),
                    TSimd.Multiply(half, TSimd.Load(row + x + 1))));
            }
        }
    }

    /// <summary>Half the difference of the two neighbours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gradient(float* source, float* across, float* down, int columns, int rows)
    {
        TVec half = TSimd.Set(0.5f);
        for (int y = 0; y < rows; y++)
        {
            float* row = Row(source, y, columns, rows);
            float* above = Row(source, y - 1, columns, rows), below = Row(source, y + 1, columns, rows);
            float* dx = across + ((nint)y * columns), dy = down + ((nint)y * columns);
            for (int x = 0; x < columns; x += TSimd.Width)
            {
                TSimd.Store(dy + x, TSimd.Multiply(half, TSimd.Subtract(TSimd.Load(below + x), TSimd.Load(above + x))));
            }

            for (int x = 1; x < columns - 1; x += TSimd.Width)
            {
                TSimd.Store(dx + x, TSimd.Multiply(half, TSimd.Subtract(TSimd.Load(row + x + 1), TSimd.Load(row + x - 1))));
            }

            dx[0] = 0.5f * (row[1] - row[0]);
            dx[columns - 1] = 0.5f * (row[columns - 1] - row[columns - 2]);
        }
    }

    /// <summary>source at (x + u, y + v), bilinear.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Warp(float* source, float* u, float* v, float* target, int columns, int rows)
    {
        float right = columns - 1, bottom = rows - 1;
        for (int y = 0; y < rows; y++)
        {
            for (int x = 0; x < columns; x++, u++, v++, target++)
            {
                float px = x + *u, py = y + *v;
                px = px > 0 ? px < right ? px : right : 0;
                py = py > 0 ? py < bottom ? py : bottom : 0;
                int x0 = (int)px, y0 = (int)py;
                float fx = px - x0, fy = py - y0;
                float* upper = source + ((nint)y0 * columns) + x0, lower = upper + (y0 < rows - 1 ? columns : 0);
                int next = x0 < columns - 1 ? 1 : 0;
                float first = upper[0] + (fx * (upper[next] - upper[0])), second = lower[0] + (fx * (lower[next] - lower[0]));
                *target = first + (fy * (second - first));
            }
        }
    }

    /// <summary>√(x² + y²).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Lengths(float* x, float* y, float* length, int count)
    {
        for (int i = 0; i < count; i += TSimd.Width)
        {
            TSimd.Store(length + i, Length(TSimd.Load(x + i), TSimd.Load(y + i)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Length(TVec x, TVec y) => TSimd.Sqrt(TSimd.Add(TSimd.Multiply(x, x), TSimd.Multiply(y, y)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Abs(TVec x) => TSimd.Max(x, TSimd.Subtract(TSimd.Zero, x));

    /// <summary>|left − right|.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Distances(float* left, float* right, float* distance, int count)
    {
        for (int i = 0; i < count; i += TSimd.Width)
        {
            TSimd.Store(distance + i, Abs(TSimd.Subtract(TSimd.Load(left + i), TSimd.Load(right + i))));
        }
    }

    /// <summary>Numbers above a threshold.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int CountAbove(float* values, int count, float threshold)
    {
        // Sums of ones are exact in any order.
        TVec above = TSimd.Zero, one = TSimd.Set(1), limit = TSimd.Set(threshold);
        int i = 0;
        for (; i <= count - TSimd.Width; i += TSimd.Width)
        {
            above = TSimd.Add(above, TSimd.SelectGreater(TSimd.Load(values + i), limit, one, TSimd.Zero));
        }

        int sum = (int)TSimd.Sum(above);
        for (; i < count; i++)
        {
            sum += values[i] > threshold ? 1 : 0;
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Box(float* source, float* target, float* scratch, int columns, int rows, int radius)
    {
        float** above = stackalloc float*[PlaneSet.MostRadius];
        float** below = stackalloc float*[PlaneSet.MostRadius];
        nint stride = columns + (2 * radius);
        for (int y = 0; y < rows; y++)
        {
            for (int k = 0; k < radius; k++)
            {
                above[k] = Row(source, y - k - 1, columns, rows);
                below[k] = Row(source, y + k + 1, columns, rows);
            }

            float* row = Row(source, y, columns, rows), sums = scratch + (y * stride);
            for (nint x = 0; x < columns; x += TSimd.Width)
            {
                TVec sum = TSimd.Load(row + x);
                for (int k = 0; k < radius; k++)
                {
                    sum = TSimd.Add(sum, TSimd.Add(TSimd.Load(above[k] + x), TSimd.Load(below[k] + x)));
                }

                TSimd.Store(sums + radius + x, sum);
            }

            ExtendEdges(sums, columns, radius);
        }

        TVec weight = TSimd.Set(1.0f / (((2 * radius) + 1) * ((2 * radius) + 1)));
        for (int y = 0; y < rows; y++)
        {
            float* row = scratch + (y * stride) + radius, result = target + ((nint)y * columns);
            for (nint x = 0; x < columns; x += TSimd.Width)
            {
                TVec sum = TSimd.Load(row + x);
                for (nint k = 1; k <= radius; k++)
                {
                    sum = TSimd.Add(sum, TSimd.Add(TSimd.Load(row + x - k), TSimd.Load(row + x + k)));
                }

                TSimd.Store(result + x, TSimd.Multiply(sum, weight));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* Row(float* plane, int y, int columns, int rows) => plane + ((nint)Math.Clamp(y, 0, rows - 1) * columns);

    /// <summary>Repeats the first and the last of <paramref name="columns"/> numbers, which begin at <paramref name="radius"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ExtendEdges(float* row, int columns, int radius)
    {
        for (int k = 0; k < radius; k++)
        {
            row[k] = row[radius];
            row[radius + columns + k] = row[radius + columns - 1];
        }
    }
}
