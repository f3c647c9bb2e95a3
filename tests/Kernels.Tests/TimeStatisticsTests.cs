using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class TimeStatisticsTests
{
    public static TheoryData<SimdLevel, int, int, int> Cases =>
        TestTeams.LevelsAnd((1, 1, 1), (3, 20, 128), (2, 7, 15), (5, 17, 33), (2, 2, 1_030), (4, 1, 40), (1, 300, 16));

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_plain_loops(SimdLevel level, int batch, int time, int features)
    {
        float[] x = Numbers.Random(batch * time * features, 1);
        float[] dy = Numbers.Random(batch * 3 * features, 2);
        (double[] y, double[] dx) = Reference(batch, time, features, x, dy);

        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<float> input = buffers.Of(x), statistics = buffers.Output(y.Length), gradient = buffers.Output(x.Length);
                TimeStatistics.Forward(team, batch, time, features, input.Pointer, statistics);
                TimeStatistics.Backward(team, batch, time, features, input.Pointer, statistics, buffers.Of(dy), gradient.Pointer);
                return [statistics.Read(), gradient.Read()];
            },
            outputs =>
            {
                outputs[0].ShouldAgreeWith(y, Agreement.Forward, "y");
                outputs[1].ShouldAgreeWith(dx, Agreement.Backward, "dx");
            });
    }

    /// <summary>Halves are read exactly, so that the statistics have the bits of the same numbers as floats.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Halves_are_the_floats_that_they_are(SimdLevel level, int batch, int time, int features)
    {
        Half[] half = [.. Numbers.Random(batch * time * features, 1).Select(value => (Half)value)];
        float[] x = [.. half.Select(value => (float)value)], dy = Numbers.Random(batch * 3 * features, 2);
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        using GuardedBuffer<Half> input = new(half), gradient = new(x.Length);
        GuardedBuffer<float> single = buffers.Of(x), upstream = buffers.Of(dy), singleGradient = buffers.Output(x.Length),
            expected = buffers.Output(dy.Length), y = buffers.Output(dy.Length);
        TimeStatistics.Forward(team, batch, time, features, single.Pointer, expected);
        TimeStatistics.Backward(team, batch, time, features, single.Pointer, expected, upstream, singleGradient.Pointer);

        TimeStatistics.Forward(team, batch, time, features, input.Pointer, y);
        TimeStatistics.Backward(team, batch, time, features, input.Pointer, y, upstream, gradient.Pointer);

        y.Read().ShouldBeTheSameBitsAs(expected.Read(), "y");
        gradient.Span.ToArray().ShouldBe(singleGradient.Read().Select(value => (Half)value));
    }

    /// <summary>
    /// No rounding makes a deviation of a number that no sum of several copies holds exactly, nor does a large number hide a small
    /// deviation.
    /// </summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void What_does_not_change_has_no_deviation_and_what_hardly_changes_has_its_own(SimdLevel level)
    {
        const int Time = 7;
        float[] still = [0.1f, -3.3333333f, 1e-30f, 3e38f, 0], wobble = [1e4f, 1e4f + (1 / 512f)];
        float[] x = [.. Enumerable.Range(0, Time).SelectMany(t => still.Append(wobble[t % 2]))];
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> input = buffers.Of(x), y = buffers.Output(18), dx = buffers.Output(x.Length);
        TimeStatistics.Forward(team, 1, Time, 6, input.Pointer, y);
        TimeStatistics.Backward(team, 1, Time, 6, input.Pointer, y, buffers.Of(Numbers.Filled(18, 1)), dx.Pointer);

        float[] statistics = y.Read();
        statistics[..5].ShouldBe(still);
        statistics[6..11].ShouldAllBe(deviation => deviation == 0);
        statistics[12..17].ShouldAllBe(difference => difference == 0);
        double step = wobble[1] - (double)wobble[0];
        ((double)statistics[11]).ShouldBe(step * Math.Sqrt(12) / 7, 1e-6 * step);
        ((double)statistics[17]).ShouldBe(step, 1e-6 * step);
        Enumerable.Range(0, Time).SelectMany(t => dx.Read().Skip(t * 6).Take(5)).ShouldAllBe(gradient => gradient == 1f / Time);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void NaN_stays_NaN_in_its_own_feature(SimdLevel level)
    {
        float[] x = Numbers.Random(3 * 4, 1);
        x[5] = float.NaN;
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> y = buffers.Output(12);
        TimeStatistics.Forward(team, 1, 3, 4, buffers.Of(x).Pointer, y);

        y.Read().Index().Where(pair => float.IsNaN(pair.Item)).Select(pair => pair.Index).ShouldBe([1, 5, 9]);
    }

    private static (double[] Y, double[] Dx) Reference(int batch, int time, int features, float[] x, float[] dy)
    {
        using var oracle = new Oracle();
        Tensor input = oracle.Of(x.Widen(), [batch, time, features]), y = oracle.Zeros([batch, 3 * features]),
            dx = oracle.Zeros([batch, time, features]);
        oracle.Ops.TimeStatisticsForward(input, y);
        oracle.Ops.TimeStatisticsBackward(oracle.Of(dy.Widen(), [batch, 3 * features]), input, y, dx);
        return (y.ToDoubles(), dx.ToDoubles());
    }
}
