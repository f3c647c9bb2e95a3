namespace CudaTrainer.Engine.Formats.TensorBoard;

/// <summary>Histograms as TensorBoard's own summary writer makes them (tensorboard/plugins/histogram/summary_v2.py): equally wide buckets from the least to the largest value.</summary>
internal static class HistogramBuckets
{
    /// <summary>Lower edge, upper edge, count.</summary>
    public const int Columns = 3;

    public const int Count = 30;

    /// <summary>Counts the finite values. When all are equal, all edges are that value and the last bucket has the count; without any, everything is 0.</summary>
    /// <param name="buckets">[<see cref="Count"/>, <see cref="Columns"/>], overwritten.</param>
    public static void Fill(ReadOnlySpan<float> values, Span<double> buckets)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(buckets.Length, Count * Columns);
        buckets.Clear();
        float least = float.PositiveInfinity, largest = float.NegativeInfinity;
        foreach (float value in values)
        {
            if (float.IsFinite(value))
            {
                least = Math.Min(least, value);
                largest = Math.Max(largest, value);
            }
        }

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

        double perWidth = width > 0 ? 1 / width : double.PositiveInfinity;
        foreach (float value in values)
        {
            if (float.IsFinite(value))
            {
                int bucket = value < largest ? Math.Min(Count - 1, (int)(((double)value - least) * perWidth)) : Count - 1;
                buckets[(bucket * Columns) + 2]++;
            }
        }
    }
}
