namespace CudaTrainer.Kernels.Device;

/// <summary>Where each of several parameters begins in one flat array: [P + 1], not decreasing, the last the end.</summary>
internal static unsafe class Segments
{
    /// <summary>The last of the parameters that begins at or before <paramref name="place"/>, by bisection; 0 without parameters.</summary>
    public static int Find(long* segments, int parameters, long place)
    {
        int low = 0, high = parameters;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (segments[middle] <= place)
            {
                low = middle;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
