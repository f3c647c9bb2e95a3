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

    public static NativeArray Random(long length, int seed, float scale = 1)
    {
        var array = new NativeArray(length);
        var random = new Random(seed);
        for (long i = 0; i < length; i++)
        {
            array.Pointer[i] = ((random.NextSingle() * 2) - 1) * scale;
        }

        return array;
    }

    public void Dispose() => NativeMemory.AlignedFree(Pointer);
}
