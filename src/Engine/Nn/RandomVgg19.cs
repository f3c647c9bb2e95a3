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
            int start = chunk * Chunk;
            RandomNormal.Fill(new((float*)target + start, Math.Min(Chunk, count - start)), (ulong)start / 4, key, deviation);
        });
    }
}
