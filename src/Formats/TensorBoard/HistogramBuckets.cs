using System.Numerics;
using System.Runtime.InteropServices;

namespace CudaTrainer.Formats.TensorBoard;

/// <summary>
/// Histograms as TensorBoard's own summary writer makes them (tensorboard/plugins/histogram/summary_v2.py): equally wide buckets from the
/// least to the largest value.
/// </summary>
internal static class HistogramBuckets
{
    /// <summary>Lower edge, upper edge, count.</summary>
    public const int Columns = 3;

    public const int Count = 30;

    /// <summary>
    /// Counts the finite values. When all are equal, all edges are that value and the last bucket has the count; without any, everything is
    /// 0.
    /// </summary>
    /// <param name="buckets">[<see cref="Count"/>, <see cref="Columns"/>], overwritten.</param>
    public static void Fill(ReadOnlySpan<float> values, Span<double> buckets)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(buckets.Length, Count * Columns);
        buckets.Clear();
        (float least, float largest) = Range(values);
        if (least > largest)
        {
            return;
        }

        double width = ((double)largest - least) / Count;
        for (int i = 0; i < Count; i++)
        {
            buckets[i * Columns] = least + (i * width);
            buckets[(i * Columns) + 1] = i + 1 < Count ? least + ((i + 1) * width) : largest;
        }

        Span<long> counts = stackalloc long[Count];
        counts.Clear();
        double perWidth = 1 / width;
        foreach (float value in values)
        {
            if (float.IsFinite(value))
            {
                // Where all values are equal, 0 times infinity is no number, hence in the last bucket.
                double position = (value - (double)least) * perWidth;
                counts[position < Count ? (int)position : Count - 1]++;
            }
        }

        for (int i = 0; i < Count; i++)
        {
            buckets[(i * Columns) + 2] = counts[i];
        }
    }

    /// <summary>The range of the finite values; infinity and minus infinity where there are none.</summary>
    private static (float Least, float Largest) Range(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        var leasts = new Vector<float>(float.PositiveInfinity);
        var largests = new Vector<float>(float.NegativeInfinity);
        foreach (Vector<float> vector in vectors)
        {
            Vector<int> finite = Vector.LessThanOrEqual(Vector.Abs(vector), new Vector<float>(float.MaxValue));
            leasts = Vector.Min(leasts, Vector.ConditionalSelect(finite, vector, new Vector<float>(float.PositiveInfinity)));
            largests = Vector.Max(largests, Vector.ConditionalSelect(finite, vector, new Vector<float>(float.NegativeInfinity)));
        }

        float least = float.PositiveInfinity, largest = float.NegativeInfinity;
        for (int i = 0; i < Vector<float>.Count; i++)
        {
            (least, largest) = (Math.Min(least, leasts[i]), Math.Max(largest, largests[i]));
        }

        foreach (float value in values[(vectors.Length * Vector<float>.Count)..])
        {
            if (float.IsFinite(value))
            {
                (least, largest) = (Math.Min(least, value), Math.Max(largest, value));
            }
        }

        return (least, largest);
    }
}
