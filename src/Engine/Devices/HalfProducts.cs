using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Engine.Devices;

/// <summary>Products of bfloat16 on the processor, by <c>native/kernels</c>, where the library is there and the machine can.</summary>
internal static class HalfProducts
{
    /// <summary>Environment variable with the path of the native library; it comes before every other place.</summary>
    public const string PathVariable = "CUDATRAINER_KERNELS_LIB";

    private const string FileName = "libcudatrainer_kernels.so";

    private static readonly Lazy<Library?> Loaded = new(() => NativeShim.Load(
        NativeShim.Candidates(FileName, PathVariable), path => new Library(PairTile.Of(NativeShim.Open(path)))).Library);

    /// <summary>None where there are no such products.</summary>
    public static PairTile Tile => Loaded.Value?.Tile ?? default;

    private sealed class Library(PairTile tile)
    {
        public PairTile Tile { get; } = tile;
    }
}
