using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Synthetic;

/// <summary>What a scene draws at random, the same in every version of everything.</summary>
internal struct Draws(ulong seed)
{
    private ulong _state = seed;

    /// <summary>An independent stream for each pair of a seed and a number.</summary>
    public static Draws Of(int seed, int stream)
    {
        var mixer = new Draws(((ulong)(uint)seed << 32) | (uint)stream);
        return new Draws(mixer.Next());
    }

    public ulong Next() => SplitMix64.Next(ref _state);

    /// <summary>Uniform in [0, 1).</summary>
    public float Unit() => (Next() >> 40) * (1f / (1 << 24));

    /// <summary>Uniform in [low, high).</summary>
    public float Between(float low, float high) => low + ((high - low) * Unit());

    /// <summary>Uniform in 0..count−1.</summary>
    public int Below(int count) => (int)((Next() >> 32) * (ulong)count >> 32);

    public bool Chance(float probability) => Unit() < probability;

    public T Pick<T>(ReadOnlySpan<T> from) => from[Below(from.Length)];

    /// <summary>−1 or 1.</summary>
    public int Sign() => Chance(0.5f) ? 1 : -1;

    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = Below(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }
}
