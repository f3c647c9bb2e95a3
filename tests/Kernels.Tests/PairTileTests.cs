using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Products of bfloat16 with sums in single precision, where the machine has them.</summary>
public sealed unsafe class PairTileTests
{
    private static readonly Lazy<PairTile> Tile = new(() => NativeLibrary.TryLoad(
        Path.Combine(AppContext.BaseDirectory, "../../../native/libcudatrainer_kernels.so"), out nint library)
        ? PairTile.Of(library)
        : default);

    private static ThreadTeam Team(int threads)
    {
        Assert.SkipUnless(Tile.Value.Exists, "This machine has no AVX512_BF16, or native/kernels is not built.");
        return new ThreadTeam(threads, SimdLevel.V512) { PairTile = Tile.Value };
    }

    [Fact]
    public void Every_depth_and_variant_agrees_with_plain_loops()
    {
        using ThreadTeam one = Team(1), two = Team(2);
        var random = new Random(11);
        for (int k = 0; k <= 257; k++)
        {
            var product = new GemmCase(1 + random.Next(30), 1 + random.Next(70), k)
            {
                Seed = k,
                IsBFloat = true,
                TransA = random.Next(2) == 0,
                TransB = random.Next(2) == 0,
                Accumulate = random.Next(2) == 0,
                WithBias = random.Next(2) == 0,
                Activation = random.Next(2) == 0 ? Activation.Relu : Activation.None,
                Padding = random.Next(4),
                Edge = random.Next(2) == 0 ? Edge.Behind : Edge.Before,
                Kind = (GemmKind)random.Next(3),
            };
            product.Check(one, two);
        }
    }

    [Fact]
    public void Blocks_of_depth_and_rows_go_on_where_the_one_before_ended()
    {
        using ThreadTeam one = Team(1), two = Team(2);
        foreach ((int m, int n, int k) in ((int, int, int)[])[(250, 33, 1100), (40, 300, 512), (12, 32, 1026)])
        {
            foreach (bool transposed in (bool[])[false, true])
            {
                new GemmCase(m, n, k) { Seed = m, IsBFloat = true, TransA = transposed, TransB = !transposed, Accumulate = transposed }
                    .Check(one, two);
            }
        }
    }

    [Fact]
    public void Threads_do_not_change_a_bit_and_numbers_are_rounded_to_eight_bits()
    {
        using ThreadTeam one = Team(1), two = Team(2), three = Team(3), single = new(1, SimdLevel.V512);
        foreach (GemmKind kind in (GemmKind[])[GemmKind.Single, GemmKind.HalfA, GemmKind.HalfB])
        {
            var product = new GemmCase(64, 100, 300) { Seed = 3, Kind = kind, TransB = true, WithBias = true };
            float[] expected = product.Run(one);
            product.Run(two).ShouldBe(expected);
            product.Run(three).ShouldBe(expected);

            // Two roundings of 2⁻⁹ each at most, over sums of 300 products of about a third.
            float[] precise = product.Run(single);
            double error = expected.Zip(precise).Max(pair => Math.Abs(pair.First - pair.Second));
            error.ShouldBeInRange(1e-4, 0.5);
        }
    }

    [Fact]
    public void Rounding_is_to_nearest_even_and_keeps_what_is_no_number()
    {
        float[] values = [0, -0f, 1, 1.00390625f, 1.01171875f, -1.00390625f, float.MaxValue, float.Epsilon, float.NaN,
            float.PositiveInfinity, float.NegativeInfinity, BitConverter.UInt32BitsToSingle(0x7f80_0001), 3.14159f, 1e-39f, 65504, -2.5f];
        Vector512<float> vector = Vector512.Create(values), pairs = BFloatBits.Pair(vector, vector),
            neighbours = BFloatBits.PairNeighbours(vector, vector);
        for (int i = 0; i < values.Length; i++)
        {
            uint pair = BitConverter.SingleToUInt32Bits(BFloatBits.Pair(values[i], values[i]));
            (pair >> 16).ShouldBe(pair & 0xffff);
            float rounded = BitConverter.UInt32BitsToSingle(pair & 0xffff_0000);
            rounded.ShouldBe(Nearest(values[i]), $"{values[i]}");
            pairs.AsUInt32()[i].ShouldBe(pair);
            neighbours.AsUInt16()[i].ShouldBe((ushort)pair);
        }
    }

    /// <summary>By the two neighbours among the numbers of 8 bits, the even one where it is in the middle.</summary>
    private static float Nearest(float value)
    {
        if (!float.IsFinite(value))
        {
            return value;
        }

        uint bits = BitConverter.SingleToUInt32Bits(value), down = bits & 0xffff_0000, up = down + 0x1_0000;
        uint rest = bits & 0xffff;
        bool isUp = rest > 0x8000 || (rest == 0x8000 && (down & 0x1_0000) != 0);
        return BitConverter.UInt32BitsToSingle(isUp ? up : down);
    }
}
