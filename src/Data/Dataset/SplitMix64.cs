namespace CudaTrainer.Data.Dataset;

/// <summary>A small random generator whose sequence will never change with the runtime.</summary>
/// <remarks>Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.</remarks>
internal sealed class SplitMix64(ulong seed)
{
    private ulong _state = seed;

    /// <summary>The next 64 bits after a state, which moves on.</summary>
    public static ulong Next(ref ulong state)
    {
        state += 0x9e3779b97f4a7c15;
        ulong bits = state;
        bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
        bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
        return bits ^ (bits >> 31);
    }

    public ulong Next() => Next(ref _state);

    /// <summary>Uniform in [0, bound).</summary>
    public int Next(int bound) => (int)Math.BigMul(Next(), (ulong)bound, out _);

    /// <summary>Uniform in [0, 1).</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A uniformly random permutation, in place (Fisher–Yates).</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = Next(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }
}
