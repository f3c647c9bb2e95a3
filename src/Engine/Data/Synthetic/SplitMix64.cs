namespace CudaTrainer.Engine.Data.Synthetic;

/// <summary>A random stream that is the same in every version of everything (Steele, Lea and Flood 2014).</summary>
internal struct SplitMix64(ulong seed)
{
    private ulong _state = seed;

    /// <summary>An independent stream for each pair of a seed and a number.</summary>
    public static SplitMix64 Of(int seed, int stream)
    {
        var mixer = new SplitMix64(((ulong)(uint)seed << 32) | (uint)stream);
        return new SplitMix64(mixer.Next());
    }

    public ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

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
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = Below(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }
}
