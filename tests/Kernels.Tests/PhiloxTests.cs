using System.Runtime.Intrinsics;

namespace CudaTrainer.Kernels.Tests;

public sealed class PhiloxTests
{
    /// <summary>Known answers of philox4x32-10 from the Random123 distribution (kat_vectors).</summary>
    [Theory]
    [InlineData(0UL, 0UL, 0UL, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x85a308d3_243f6a88UL, 0x03707344_13198a2eUL, 0x299f31d0_a4093822UL, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void Block_gives_the_published_numbers(ulong counterLow, ulong counterHigh, ulong key, uint x0, uint x1, uint x2, uint x3) =>
        Philox.Block(counterLow, counterHigh, key).ShouldBe((x0, x1, x2, x3));

    [Theory]
    [InlineData(0UL)]
    [InlineData(uint.MaxValue - 3UL)]
    [InlineData(ulong.MaxValue - 7)]
    public void Eight_blocks_are_those_of_eight_counters(ulong counter)
    {
        const ulong Seed = 0xf123_4567_89ab_cdef;
        (Vector512<ulong> x0, Vector512<ulong> x1, Vector512<ulong> x2, Vector512<ulong> x3) = Philox.EightBlocks(counter, Seed);
        for (int i = 0; i < 8; i++)
        {
            (uint, uint, uint, uint) block = Philox.Block(counter + (ulong)i, 0, Seed);
            (x0[i], x1[i], x2[i], x3[i]).ShouldBe(((ulong)block.Item1, (ulong)block.Item2, (ulong)block.Item3, (ulong)block.Item4));
        }
    }

    [Fact]
    public void Elements_are_the_lanes_of_consecutive_blocks()
    {
        const ulong Seed = 0x0123_4567_89ab_cdef;
        const ulong Subsequence = 0xfedc_ba98_7654_3210;
        foreach (long element in (long[])[0, 4, 1 << 20, (1L << 34) - 4, 1L << 34, (1L << 34) + 4, 1L << 60])
        {
            (uint x0, uint x1, uint x2, uint x3) = Philox.Block((ulong)element / 4, Subsequence, Seed);
            Enumerable.Range(0, 4).Select(lane => Philox.Bits(Seed, Subsequence, element + lane)).ShouldBe([x0, x1, x2, x3]);
            Philox.Uniform(Seed, Subsequence, element).ShouldBe((x0 >> 8) / 16777216f);
        }
    }

    [Fact]
    public void Uniform_numbers_fill_the_unit_interval_evenly()
    {
        int[] histogram = new int[16];
        for (int i = 0; i < 16_000; i++)
        {
            float u = Philox.Uniform(7, 3, i);
            u.ShouldBeInRange(0f, 0.99999994f);
            histogram[(int)(u * 16)]++;
        }

        // χ² with 15 degrees of freedom is above 37.7 once in a thousand seeds.
        histogram.Sum(n => (n - 1000.0) * (n - 1000.0) / 1000).ShouldBeLessThan(37.7);
    }
}
