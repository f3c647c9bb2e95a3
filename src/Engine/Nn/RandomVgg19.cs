namespace CudaTrainer.Engine.Nn;

/// <summary>
/// VGG19 without trained weights: He-normal numbers, N(0, 2 / fan-in), from a fixed seed (He et al. 2015, arXiv:1502.01852), biases 0. Its
/// features still tell images apart, and the whole pipeline runs without any download; but they are not ImageNet's.
/// </summary>
public sealed class RandomVgg19(int seed = RandomVgg19.DefaultSeed) : IVgg19WeightSource
{
    public const int DefaultSeed = 42;

    private static readonly Dictionary<string, (int Index, long FanIn)> Tensors = Vgg19.WeightShapes()
        .Index()
        .ToDictionary(pair => pair.Item.Name,
            pair => (pair.Index, pair.Item.Shape.Rank == 1 ? 0 : pair.Item.Shape.Count / pair.Item.Shape[0]));

    /// <summary>What the <see cref="Identity"/> of every random backbone begins with.</summary>
    public const string IdentityPrefix = "vgg19-random-";

    public string Identity => $"{IdentityPrefix}he-{seed}";

    public string Description => $"random backbone: VGG19 with He-normal weights, seed {seed}";

    public void Read(string name, Span<float> destination)
    {
        (int index, long fanIn) = Tensors[name];
        if (fanIn == 0)
        {
            destination.Clear();
            return;
        }

        double deviation = Math.Sqrt(2.0 / fanIn);
        ulong key = ((ulong)(uint)seed << 32) | (uint)index;
        unsafe
        {
            fixed (float* values = destination)
            {
                FillNormal(values, destination.Length, key, deviation);
            }
        }
    }

    /// <summary>
    /// Each block of four Philox numbers gives four normal ones by Box and Muller; blocks are independent, so threads share the work
    /// without changing a bit.
    /// </summary>
    private static unsafe void FillNormal(float* values, int count, ulong key, double deviation)
    {
        const int Chunk = 1 << 16;
        nint target = (nint)values;
        int chunks = (count + Chunk - 1) / Chunk;
        System.Threading.Tasks.Parallel.For(0, chunks, chunk =>
        {
            float* output = (float*)target;
            int end = (int)Math.Min(count, (chunk + 1L) * Chunk);
            Span<double> four = stackalloc double[4];
            for (int i = chunk * Chunk; i < end; i += 4)
            {
                (uint x0, uint x1, uint x2, uint x3) = Kernels.Philox.Block((ulong)(i >> 2), 0, key);
                (four[0], four[1]) = BoxMuller(x0, x1);
                (four[2], four[3]) = BoxMuller(x2, x3);
                for (int lane = 0; lane < Math.Min(4, end - i); lane++)
                {
                    output[i + lane] = (float)(deviation * four[lane]);
                }
            }
        });
    }

    private static (double, double) BoxMuller(uint a, uint b)
    {
        double radius = Math.Sqrt(-2 * Math.Log((a + 1.0) / 4294967296.0));
        (double sin, double cos) = Math.SinCos(2 * Math.PI * b / 4294967296.0);
        return (radius * cos, radius * sin);
    }
}
