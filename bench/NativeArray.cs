using System.Runtime.InteropServices;

namespace CudaTrainer.Bench;

/// <summary>Page-aligned native floats.</summary>
internal sealed unsafe class NativeArray : IDisposable
{
    public NativeArray(long length)
    {
        Length = length;
        Pointer = (float*)NativeMemory.AlignedAlloc((nuint)length * sizeof(float), 4096);
    }

    public float* Pointer { get; }

    public long Length { get; }

    /// <summary>Uniform numbers in [−scale, scale).</summary>
    public static NativeArray Random(long length, int seed, float scale = 1)
    {
        var array = new NativeArray(length);
        Fill(new Span<float>(array.Pointer, checked((int)length)), seed, scale);
        return array;
    }

    /// <inheritdoc cref="Random"/>
    public static float[] RandomManaged(int length, int seed, float scale = 1)
    {
        float[] values = new float[length];
        Fill(values, seed, scale);
        return values;
    }

    public void Dispose() => NativeMemory.AlignedFree(Pointer);

    /// <summary>
    /// Knuth's 64-bit linear congruential generator, upper bits: the largest array has 10⁸ numbers, which <see cref="System.Random"/> takes
    /// seconds for.
    /// </summary>
    private static void Fill(Span<float> values, int seed, float scale)
    {
        ulong state = (ulong)seed * 0x9E37_79B9_7F4A_7C15;
        foreach (ref float value in values)
        {
            state = (state * 6_364_136_223_846_793_005) + 1_442_695_040_888_963_407;
            value = ((state >> 40) * (2f / (1 << 24)) - 1) * scale;
        }
    }
}
