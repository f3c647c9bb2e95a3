using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Engine.Tests;

/// <summary>Vectors draw the random backbone, and every bit is that of the scalar formula.</summary>
public class RandomNormalTests
{
    private const ulong Key = (42UL << 32) | 7;

    [Theory]
    [InlineData(1 << 20, 0UL, 1)]
    [InlineData(1 << 16, 0xFFFFFFF0UL, 0.013975424859373686)]
    [InlineData(67, 5UL, 0.02)]
    [InlineData(3, 0UL, 0.02)]
    public void Bits_are_those_of_the_formula(int count, ulong firstBlock, double deviation)
    {
        float[] drawn = new float[count];
        RandomNormal.Fill(drawn, firstBlock, Key, deviation);
        Differences(drawn, firstBlock, deviation).ShouldBe(0);
        drawn.Distinct().Count().ShouldBeGreaterThan((int)(0.9 * count));
    }

    /// <summary>Of so many numbers some lie so close to the middle of two floats that another last bit of a logarithm moves them.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void Bits_are_those_of_the_formula_for_every_number_of_the_largest_tensor()
    {
        float[] drawn = new float[25088 * 4096];
        new RandomVgg19().Read("classifier.0.weight", drawn);
        int index = Vgg19.WeightShapes().Index().Single(pair => pair.Item.Name == "classifier.0.weight").Index;
        Differences(drawn, 0, Math.Sqrt(2.0 / 25088), (42UL << 32) | (uint)index).ShouldBe(0);
    }

    private static int Differences(float[] drawn, ulong firstBlock, double deviation, ulong key = Key)
    {
        int different = 0;
        System.Threading.Tasks.Parallel.For(0, (drawn.Length + 3) / 4, block =>
        {
            ReadOnlySpan<float> found = drawn.AsSpan(4 * block, Math.Min(4, drawn.Length - (4 * block)));
            Span<float> expected = stackalloc float[4];
            RandomNormal.OneBlock(expected, firstBlock + (ulong)block, key, deviation);
            for (int i = 0; i < found.Length; i++)
            {
                if (BitConverter.SingleToInt32Bits(found[i]) != BitConverter.SingleToInt32Bits(expected[i]))
                {
                    Interlocked.Increment(ref different);
                }
            }
        });
        return different;
    }
}
