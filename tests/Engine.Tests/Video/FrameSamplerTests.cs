using System.Numerics;
using CudaTrainer.Data.Video;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Video;

public class FrameSamplerTests
{
    private static readonly Arbitrary<(int Total, int Count)> Cases = Arb.From(
        from total in Gen.OneOf(Gen.Choose(1, 60), Gen.Choose(1, 5000), Gen.Choose(int.MaxValue - 1000, int.MaxValue))
        from count in Gen.Choose(1, 64)
        select (total, count));

    [Theory]
    [InlineData(20, 20, new long[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 })]
    [InlineData(53, 5, new long[] { 0, 13, 26, 39, 52 })]
    [InlineData(10, 4, new long[] { 0, 3, 6, 9 })]
    [InlineData(9, 4, new long[] { 0, 2, 5, 8 })]
    [InlineData(3, 8, new long[] { 0, 1, 2, 0, 1, 2, 0, 1 })]
    [InlineData(1, 3, new long[] { 0, 0, 0 })]
    [InlineData(100, 1, new long[] { 0 })]
    [InlineData(100, 2, new long[] { 0, 99 })]
    public void Known_cases(long total, int count, long[] expected)
    {
        long[] indices = new long[count];
        FrameSampler.FrameIndices(total, indices);
        indices.ShouldBe(expected);
    }

    [Fact]
    public void Long_enough_videos_are_sampled_evenly_from_first_to_last_frame() =>
        Prop.ForAll(Cases, x =>
        {
            long[] indices = new long[x.Count];
            FrameSampler.FrameIndices(x.Total, indices);
            if (x.Total < x.Count)
            {
                return Enumerable.Range(0, x.Count).All(i => indices[i] == i % x.Total);
            }

            bool exact = Enumerable.Range(0, x.Count).All(i =>
                indices[i] == (x.Count == 1 ? 0 : (long)(new BigInteger(i) * (x.Total - 1) / (x.Count - 1))));
            bool ascending = indices.Zip(indices.Skip(1)).All(pair => pair.First < pair.Second);
            bool complete = indices[0] == 0 && (x.Count == 1 || indices[^1] == x.Total - 1);
            var gaps = indices.Zip(indices.Skip(1), (a, b) => b - a).DefaultIfEmpty(0).ToList();
            return exact && ascending && complete && gaps.Max() - gaps.Min() <= 1;
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0, 1, 0)]
    [InlineData(1L << 31, 1, 0)]
    [InlineData(5, 0, 0)]
    [InlineData(5, 3, 3)]
    [InlineData(5, 3, -1)]
    public void Impossible_questions_are_refused(long total, int count, int sample) =>
        Should.Throw<ArgumentOutOfRangeException>(() => FrameSampler.FrameIndex(total, count, sample));
}
