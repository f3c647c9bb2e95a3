using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class ElementwiseTests
{
    public static TheoryData<SimdLevel, int> Teams => TestTeams.All;

    /// <summary>All short lengths for one thread; for more, which divide at fixed borders, some around them.</summary>
    private static IEnumerable<int> Lengths(int threads) => threads == 1 ? Enumerable.Range(0, 258) : [0, 1, 31, 32, 33, 63, 65, 100, 257];

    [Theory]
    [MemberData(nameof(Teams))]
    public void Sums_of_every_length(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        foreach (int length in Lengths(threads))
        {
            using var buffers = new Buffers(length % 2 == 0 ? Edge.Behind : Edge.Before);
            float[] a = Numbers.Random(length, 1);
            float[] b = Numbers.Random(length, 2);
            GuardedBuffer<float> sum = buffers.Of(b), added = buffers.Of(b);
            Elementwise.Accumulate(team, length, buffers.Of(a), sum);
            sum.Read().ShouldBe(a.Zip(b, (x, y) => x + y));
            Elementwise.Accumulate(team, length, buffers.Of([.. a.Select(x => (Half)x)]), added);
            added.Read().ShouldBe(a.Zip(b, (x, y) => (float)(Half)x + y));
        }
    }

    [Theory]
    [MemberData(nameof(Teams))]
    public void Casts_give_the_bits_of_scalar_casts(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        foreach (int length in Lengths(threads))
        {
            CheckCast(team, Numbers.Random(length, length, 70_000), length % 2 == 0 ? Edge.Behind : Edge.Before);
        }

        CheckCast(team, [0, -0f, float.PositiveInfinity, float.NegativeInfinity, float.NaN, 65504, 65519.99f, 65520, -65520, 6e-8f,
            2.9e-8f, 3e-8f, 6.1e-5f, 1e-45f], Edge.Behind);

        // All halves, and the floats on both sides of each rounding border.
        float[] halves = [.. Enumerable.Range(0, 65_536).Select(i => (float)BitConverter.UInt16BitsToHalf((ushort)i))];
        CheckCast(team, halves, Edge.Behind);
        float[] borders = [.. Enumerable.Range(0, 0x7c00).Select(i =>
            (float)(((double)BitConverter.UInt16BitsToHalf((ushort)i) + (double)BitConverter.UInt16BitsToHalf((ushort)(i + 1))) / 2))
                .Where(float.IsFinite)];
        CheckCast(team, borders, Edge.Behind);
        CheckCast(team, [.. borders.Select(float.BitIncrement)], Edge.Behind);
        CheckCast(team, [.. borders.Select(float.BitDecrement)], Edge.Behind);
    }

    [Theory]
    [MemberData(nameof(Teams))]
    public void Rectangles_are_copied_and_added(SimdLevel level, int threads)
    {
        using var team = new ThreadTeam(threads, level);
        foreach ((int rows, int columns, int sourceStride, int destinationStride) in
            ((int, int, int, int)[])[(0, 3, 3, 3), (3, 0, 5, 5), (1, 257, 257, 257), (7, 13, 20, 15), (20, 16, 16, 40),
                (3, 9_000, 9_001, 9_000)])
        {
            using var buffers = new Buffers();
            float[] source = Numbers.Random(Extent(rows, columns, sourceStride), 1);
            float[] old = Numbers.Random(Extent(rows, columns, destinationStride), 2);
            GuardedBuffer<float> copied = buffers.Of(old);
            GuardedBuffer<float> added = buffers.Of(old);
            Copy2D.Run(team, rows, columns, buffers.Of(source), sourceStride, copied, destinationStride);
            Copy2D.Run(team, rows, columns, buffers.Of(source), sourceStride, added, destinationStride, accumulate: true);

            float[] expectedCopy = [.. old];
            float[] expectedSum = [.. old];
            for (int r = 0; r < rows; r++)
            {
                for (int c = 0; c < columns; c++)
                {
                    expectedCopy[(r * destinationStride) + c] = source[(r * sourceStride) + c];
                    expectedSum[(r * destinationStride) + c] += source[(r * sourceStride) + c];
                }
            }

            copied.Read().ShouldBeTheSameBitsAs(expectedCopy, "copy");
            added.Read().ShouldBeTheSameBitsAs(expectedSum, "sum");
        }
    }

    [Fact]
    public void Column_sums_are_added()
    {
        foreach (SimdLevel level in SimdSelection.Available)
        {
            foreach ((int rows, int columns, int stride) in ((int, int, int)[])[(0, 5, 5), (1, 1, 1), (64, 17, 20), (65, 100, 100),
                (300, 257, 300)])
            {
                float[] matrix = Numbers.Random(Extent(rows, columns, stride), 1);
                float[] old = Numbers.Random(columns, 2);
                double[] expected = [.. Enumerable.Range(0, columns)
                    .Select(c => old[c] + Enumerable.Range(0, rows).Sum(r => (double)matrix[(r * stride) + c]))];
                OpTest.Run(
                    level,
                    (team, buffers) =>
                    {
                        GuardedBuffer<float> sums = buffers.Of(old);
                        ColumnSum.Accumulate(team, rows, columns, buffers.Of(matrix), stride, sums);
                        return [sums.Read()];
                    },
                    outputs => outputs[0].ShouldAgreeWith(expected, 1e-6, "sums"));
            }
        }
    }

    private static int Extent(int rows, int columns, int stride) => rows == 0 || columns == 0 ? 0 : ((rows - 1) * stride) + columns;

    private static void CheckCast(ThreadTeam team, float[] values, Edge edge)
    {
        using var buffers = new Buffers(edge);
        GuardedBuffer<Half> halves = buffers.Uninitialised<Half>(values.Length);
        GuardedBuffer<float> back = buffers.Output(values.Length);
        Cast.ToHalf(team, values.Length, buffers.Of(values), halves);
        Cast.ToSingle(team, values.Length, halves, back);
        for (int i = 0; i < values.Length; i++)
        {
            var expected = (Half)values[i];
            if (!halves.Span[i].Equals(expected) || !back.Span[i].Equals((float)expected) || Half.IsNegative(expected) != Half.IsNegative(
                halves.Span[i]))
            {
                Assert.Fail($"{values[i]:r} became {halves.Span[i]} and then {back.Span[i]:r}, expected {expected}");
            }
        }
    }
}
