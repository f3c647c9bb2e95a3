using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Planes, flow and spreads against plain loops, at every level to the same bits.</summary>
public sealed unsafe class OpticalFlowTests
{
    private static readonly (int Columns, int Rows)[] Sizes = [(6, 6), (7, 9), (12, 7), (16, 8), (17, 13), (33, 6), (100, 56)];

    public enum Kind
    {
        Noise,
        Constant,
        Shifted,
        Flat,
    }

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    public static TheoryData<SimdLevel, Kind> Kinds => TestTeams.LevelsAnd<Kind>();

    [Theory]
    [MemberData(nameof(Levels))]
    public void Loops_over_planes_equal_plain_ones(SimdLevel level)
    {
        switch (level)
        {
            case SimdLevel.V512:
                ComparePlanes<Simd512, Vector512<float>>();
                break;
            case SimdLevel.V256:
                ComparePlanes<Simd256, Vector256<float>>();
                break;
            default:
                ComparePlanes<Simd128, Vector128<float>>();
                break;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Flow_equals_that_of_plain_loops(SimdLevel level, Kind kind)
    {
        switch (level)
        {
            case SimdLevel.V512:
                CompareFlow<Simd512, Vector512<float>>(kind);
                break;
            case SimdLevel.V256:
                CompareFlow<Simd256, Vector256<float>>(kind);
                break;
            default:
                CompareFlow<Simd128, Vector128<float>>(kind);
                break;
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(17)]
    [InlineData(5600)]
    public void A_spread_is_within_a_thirty_second_of_the_sorted_numbers(int count)
    {
        float[] values = [.. Numbers.Random(count, count, 4).Select(x => x * x * x * x)];
        Spread spread = Of(values);
        float[] sorted = [.. values.Order()];
        spread.Mean.ShouldBe((float)values.Average(x => (double)x), 1e-4f * values.Max());
        foreach ((float share, float found) in ((float, float)[])[(0.5f, spread.Q50), (0.75f, spread.Q75), (0.9f, spread.Q90),
            (0.97f, spread.Q97), (0.995f, spread.Q995)])
        {
            float exact = sorted[(int)Math.Ceiling(share * count) - 1];
            found.ShouldBeInRange((exact * 15 / 16) - 0.001f, (exact * 17 / 16) + 0.001f, $"{share} of {count}");
        }
    }

    [Fact]
    public void A_spread_of_equal_numbers_or_zeros_is_that_number()
    {
        Of(new float[100]).ShouldBe(default);
        Of([.. Enumerable.Repeat(0f, 80), .. Enumerable.Repeat(2f, 20)]).ShouldSatisfyAllConditions(
            spread => spread.Mean.ShouldBe(0.4f),
            spread => (spread.Q50, spread.Q75).ShouldBe((0f, 0f)),
            spread => spread.Q90.ShouldBe(2, 2f / 16));
    }

    [Fact]
    public void Numbers_are_compressed_by_a_logarithm()
    {
        for (float x = 0; x < 300; x = (x * 1.07f) + 1e-4f)
        {
            FeatureWriter.Compress(x).ShouldBe((float)Math.Log(1 + (20.0 * x)), 1e-7f * (1 + x));
        }
    }

    private static Spread Of(float[] values)
    {
        fixed (float* first = values)
        {
            return Spread.Of(first, values.Length);
        }
    }

    private static void ComparePlanes<TSimd, TVec>()
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        foreach ((int columns, int rows) in Sizes)
        {
            int count = columns * rows;
            var planes = new PlaneSet(8, columns, rows);
            float* source = planes[0], u = planes[1], v = planes[2], first = planes[3], second = planes[4], scratch = planes[5];
            FlowReference picture = new(columns, rows, Numbers.Random(count, columns, 100)),
                across = new(columns, rows, Numbers.Random(count, rows, 9)), down = new(columns, rows, Numbers.Random(count, count, 9));
            picture.Values.CopyTo(new Span<float>(source, count));
            across.Values.CopyTo(new Span<float>(u, count));
            down.Values.CopyTo(new Span<float>(v, count));

            Planes<TSimd, TVec>.Gradient(source, first, second, columns, rows);
            ShouldBe(first, picture.Across(), "gradient across");
            ShouldBe(second, picture.Down(), "gradient down");
            Planes<TSimd, TVec>.Soften(source, first, scratch, columns, rows);
            ShouldBe(first, picture.Soften(), "soften");
            Planes<TSimd, TVec>.Warp(source, u, v, first, columns, rows);
            ShouldBe(first, picture.Warp(across, down), "warp");
            Planes<TSimd, TVec>.Lengths(u, v, first, count);
            ShouldBe(first, Zip((x, y) => MathF.Sqrt((x * x) + (y * y))), "lengths");
            Planes<TSimd, TVec>.Distances(u, v, first, count);
            ShouldBe(first, Zip((x, y) => MathF.Abs(x - y)), "distances");
            Planes<TSimd, TVec>.CountAbove(source, count, 11).ShouldBe(picture.Values.Count(x => x > 11));
            foreach (int radius in (int[])[2, 5])
            {
                Planes<TSimd, TVec>.Blur(source, first, scratch, columns, rows, radius);
                ShouldBe(first, picture.Blur(radius), $"blur {radius}");
            }

            ShouldBe(source, picture, "the source");
            Planes<TSimd, TVec>.Blur(source, source, scratch, columns, rows, 2);
            ShouldBe(source, picture.Blur(2), "blur in place");

            FlowReference Zip(Func<float, float, float> each) => across with { Values = [.. across.Values.Zip(down.Values, each)] };

            void ShouldBe(float* plane, FlowReference expected, string what) =>
                new ReadOnlySpan<float>(plane, count).ToArray().ShouldBe(expected.Values, $"{what}, {columns} × {rows}");
        }
    }

    private static void CompareFlow<TSimd, TVec>(Kind kind)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        foreach ((int columns, int rows) in Sizes)
        {
            int count = columns * rows;
            FlowReference from = Picture(0), to = Picture(1);
            Pyramid first = Fill(from), second = Fill(to);
            var planes = new PlaneSet(2, columns, rows);
            var flow = new Flow<TSimd, TVec>(columns, rows);
            (FlowReference u, FlowReference v) = FlowReference.Between(from, to);

            // The second time the working memory is not new.
            for (int time = 0; time < 2; time++)
            {
                flow.Between(first, second, planes[0], planes[1]);
                new ReadOnlySpan<float>(planes[0], count).ToArray().ShouldBe(u.Values, $"u, {columns} × {rows}");
                new ReadOnlySpan<float>(planes[1], count).ToArray().ShouldBe(v.Values, $"v, {columns} × {rows}");
            }

            FlowReference Picture(int time) => new(columns, rows, kind switch
            {
                Kind.Constant => Numbers.Filled(count, 100 + (20 * time)),
                Kind.Flat => Numbers.Random(count, time, 0.5f),
                Kind.Noise => Numbers.Random(count, columns + time, 128),
                _ => [.. Enumerable.Range(0, count).Select(i =>
                    (float)(100 + (60 * Math.Sin((0.4 * ((i % columns) + time)) + (0.3 * (i / columns))))))],
            });
        }

        static Pyramid Fill(FlowReference picture)
        {
            var pyramid = new Pyramid(picture.Columns, picture.Rows);
            picture.Values.CopyTo(new Span<float>(pyramid[0], picture.Values.Length));
            pyramid.Shrink();
            return pyramid;
        }
    }
}
