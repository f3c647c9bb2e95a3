using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class TimeDifferencesTests
{
    public static TheoryData<SimdLevel, int, int, int> Cases =>
        TestTeams.LevelsAnd((1, 1, 1), (3, 20, 128), (2, 7, 15), (5, 17, 33), (2, 2, 1_030), (4, 1, 40), (0, 3, 4));

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_plain_loops(SimdLevel level, int batch, int time, int features)
    {
        float[] x = Numbers.Random(batch * time * features, 1), dy = Numbers.Random(2 * batch * time * features, 2);
        using var oracle = new Oracle();
        Tensor input = oracle.Of(x.Widen(), [batch, time, features]), y = oracle.Zeros([batch, time, 2 * features]),
            dx = oracle.Zeros([batch, time, features]);
        oracle.Ops.TimeDifferencesForward(input, y);
        oracle.Ops.TimeDifferencesBackward(oracle.Of(dy.Widen(), [batch, time, 2 * features]), dx);

        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<float> wide = buffers.Output(dy.Length), gradient = buffers.Output(x.Length);
                TimeDifferences.Forward(team, batch, time, features, buffers.Of(x).Pointer, wide.Pointer);
                TimeDifferences.Backward(team, batch, time, features, buffers.Of(dy).Pointer, gradient.Pointer);
                return [wide.Read(), gradient.Read()];
            },
            outputs =>
            {
                outputs[0].ShouldAgreeWith(y.ToDoubles(), Agreement.Forward, "y");
                outputs[1].ShouldAgreeWith(dx.ToDoubles(), Agreement.Backward, "dx");
            });
    }

    /// <summary>Two clips of three frames of two features by hand: the second clip begins anew.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void Two_clips_by_hand(SimdLevel level)
    {
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> x = buffers.Of(1f, 2f, 4f, 1f, 4f, 8f, 5f, 0f, 6f, 0f, 4f, 1f),
            y = buffers.Output(24), dx = buffers.Output(12);
        TimeDifferences.Forward(team, 2, 3, 2, x.Pointer, y.Pointer);
        y.Read().ShouldBe(
            [1, 2, 0, 0, 4, 1, 3, -1, 4, 8, 0, 7,
            5, 0, 0, 0, 6, 0, 1, 0, 4, 1, -2, 1]);

        // Of differences alone: what a frame is subtracted from comes back with a minus, and the first one's zeros lead nowhere.
        TimeDifferences.Backward(team, 2, 3, 2,
            buffers.Of(0f, 0f, 9f, 9f, 0f, 0f, 1f, 2f, 0f, 0f, 4f, 8f, 1f, 1f, 9f, 9f, 1f, 1f, 0f, 0f, 1f, 1f, 0f, 0f).Pointer, dx.Pointer);
        dx.Read().ShouldBe([-1, -2, -3, -6, 4, 8, 1, 1, 1, 1, 1, 1]);
    }

    /// <summary>Halves are read exactly and the result is rounded once.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Halves_are_the_floats_that_they_are(SimdLevel level, int batch, int time, int features)
    {
        int count = batch * time * features;
        Half[] half = [.. Numbers.Random(count, 1).Select(value => (Half)value)],
            upstream = [.. Numbers.Random(2 * count, 2).Select(value => (Half)value)];
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        using GuardedBuffer<Half> input = new(half), dy = new(upstream), y = new(2 * count), dx = new(count);
        GuardedBuffer<float> single = buffers.Output(2 * count), singleGradient = buffers.Output(count);
        TimeDifferences.Forward(team, batch, time, features, buffers.Of([.. half.Select(value => (float)value)]).Pointer, single.Pointer);
        TimeDifferences.Backward(team, batch, time, features, buffers.Of([.. upstream.Select(value => (float)value)]).Pointer,
            singleGradient.Pointer);

        TimeDifferences.Forward(team, batch, time, features, input.Pointer, y.Pointer);
        TimeDifferences.Backward(team, batch, time, features, dy.Pointer, dx.Pointer);

        y.Span.ToArray().ShouldBe(single.Read().Select(value => (Half)value));
        dx.Span.ToArray().ShouldBe(singleGradient.Read().Select(value => (Half)value));
    }
}
