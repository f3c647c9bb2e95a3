using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>The schedule played through by as many ranks as there are, in turns: what it says is what is sent.</summary>
public sealed class RingScheduleTests
{
    private static readonly long[] Counts = [0, 1, 2, 8, 15, 16, 17, 31, 33, 100, 143, 144, 145, 1_000, 4_099];

    public static TheoryData<int> Sizes => [.. Enumerable.Range(1, 9)];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Chunks_cover_everything_once_and_differ_by_a_line(int size)
    {
        foreach (long count in Counts.Append(3_000_000_007))
        {
            long end = 0;
            List<long> lengths = [];
            for (int chunk = 0; chunk < size; chunk++)
            {
                (long begin, long length) = RingSchedule.Bounds(count, size, chunk);
                begin.ShouldBe(end, $"{count} elements, chunk {chunk} of {size}");
                length.ShouldBeGreaterThanOrEqualTo(0);
                (begin % RingSchedule.ElementsPerLine == 0 || begin == count).ShouldBeTrue();
                end = begin + length;
                lengths.Add(length);
            }

            end.ShouldBe(count);
            (lengths.Max() - lengths.Min()).ShouldBeLessThanOrEqualTo(RingSchedule.ElementsPerLine);
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void What_a_rank_sends_is_what_the_next_expects(int size)
    {
        for (int step = 0; step < RingSchedule.Steps(size); step++)
        {
            for (int rank = 0; rank < size; rank++)
            {
                int next = RingSchedule.Next(rank, size);
                RingSchedule.Previous(next, size).ShouldBe(rank);
                RingSchedule.ReduceReceives(next, size, step).ShouldBe(RingSchedule.ReduceSends(rank, size, step));
                RingSchedule.GatherReceives(next, size, step).ShouldBe(RingSchedule.GatherSends(rank, size, step));

                // Both messages of a step are under way at once.
                RingSchedule.ReduceReceives(rank, size, step).ShouldNotBe(RingSchedule.ReduceSends(rank, size, step));
                RingSchedule.GatherReceives(rank, size, step).ShouldNotBe(RingSchedule.GatherSends(rank, size, step));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Every_rank_ends_with_the_sums_in_the_documented_order(int size)
    {
        foreach (long count in Counts)
        {
            float[][] ranks = [.. Enumerable.Range(0, size).Select(rank => Values(rank, count))];
            float[] expected = Sums(ranks, count);
            Play(ranks, count, size, RingSchedule.ReduceSends, (own, received) => received + own);
            for (int rank = 0; rank < size && size > 1; rank++)
            {
                (long begin, long length) = RingSchedule.Bounds(count, size, RingSchedule.Owned(rank, size));
                ranks[rank].Skip((int)begin).Take((int)length)
                    .ShouldBe(expected.Skip((int)begin).Take((int)length), $"owner {rank} of {size}");
            }

            Play(ranks, count, size, RingSchedule.GatherSends, (_, received) => received);
            foreach (float[] values in ranks)
            {
                values.ShouldBe(expected, $"{count} elements, {size} ranks");
            }
        }
    }

    [Fact]
    public void What_does_not_exist_is_refused()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => RingSchedule.Bounds(-1, 2, 0));
        Should.Throw<ArgumentOutOfRangeException>(() => RingSchedule.Bounds(10, 2, 2));
        Should.Throw<ArgumentOutOfRangeException>(() => RingSchedule.ReduceSends(0, 2, 1));
        Should.Throw<ArgumentOutOfRangeException>(() => RingSchedule.GatherReceives(0, 1, 0));
    }

    /// <summary>All messages of a step are taken before any of them is delivered.</summary>
    private static void Play(float[][] ranks, long count, int size, Func<int, int, int, int> sends, Func<float, float, float> deliver)
    {
        for (int step = 0; step < RingSchedule.Steps(size); step++)
        {
            int at = step;
            (int To, int Begin, float[] Values)[] messages = Enumerable.Range(0, size).Select(rank =>
            {
                (long begin, long length) = RingSchedule.Bounds(count, size, sends(rank, size, at));
                return (To: RingSchedule.Next(rank, size), Begin: (int)begin,
                    Values: ranks[rank].AsSpan((int)begin, (int)length).ToArray());
            }).ToArray();
            foreach ((int to, int begin, float[] values) in messages)
            {
                for (int i = 0; i < values.Length; i++)
                {
                    ranks[to][begin + i] = deliver(ranks[to][begin + i], values[i]);
                }
            }
        }
    }

    private static float[] Sums(float[][] ranks, long count)
    {
        int size = ranks.Length;
        float[] sums = new float[count];
        for (int chunk = 0; chunk < size; chunk++)
        {
            (long begin, long length) = RingSchedule.Bounds(count, size, chunk);
            for (long i = begin; i < begin + length; i++)
            {
                sums[i] = Enumerable.Range(1, size - 1).Aggregate(ranks[chunk][i], (sum, hop) => sum + ranks[(chunk + hop) % size][i]);
            }
        }

        return sums;
    }

    private static float[] Values(int rank, long count)
    {
        var random = new Random(rank);
        return [.. Enumerable.Range(0, (int)count).Select(_ => random.NextSingle() - 0.3f)];
    }
}
