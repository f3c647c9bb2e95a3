namespace CudaTrainer.Kernels.Tests;

/// <summary>Seeded random test data: floats, so that a kernel and its double-precision counterpart see the same numbers.</summary>
internal static class Numbers
{
    /// <summary>Uniform in [−<paramref name="range"/>, <paramref name="range"/>).</summary>
    public static float[] Random(int count, int seed, float range = 1)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => ((random.NextSingle() * 2) - 1) * range)];
    }

    public static double[] Widen(this IEnumerable<float> values) => [.. values.Select(x => (double)x)];

    public static float[] Filled(int count, float value) => [.. Enumerable.Repeat(value, count)];
}
