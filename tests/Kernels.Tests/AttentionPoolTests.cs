using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class AttentionPoolTests
{
    public static TheoryData<SimdLevel, int, int, int> Cases =>
        TestTeams.LevelsAnd((1, 1, 1), (3, 20, 128), (2, 7, 15), (5, 17, 33), (4, 33, 257), (1, 100, 16), (9, 2, 64));

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_plain_loops(SimdLevel level, int batch, int time, int features)
    {
        float[] x = Numbers.Random(batch * time * features, 1);
        float[] w = Numbers.Random(features, 2);
        float[] dy = Numbers.Random(batch * features, 3);
        float[] before = Numbers.Random(features, 4);
        var reference = new Reference(batch, time, features);
        (double[] y, double[] attention) = reference.Forward(x.Widen(), w.Widen());
        (double[] dx, double[] dw) = reference.Backward(x.Widen(), w.Widen(), attention, dy.Widen());

        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<float> input = buffers.Of(x);
                GuardedBuffer<float> score = buffers.Of(w);
                GuardedBuffer<float> pooled = buffers.Output(batch * features);
                GuardedBuffer<float> weights = buffers.Output(batch * time);
                GuardedBuffer<float> inputGradient = buffers.Output(x.Length);
                GuardedBuffer<float> scoreGradient = buffers.Of(before);
                AttentionPool.Forward(team, batch, time, features, input, score, pooled, weights);
                AttentionPool.Backward(team, batch, time, features, input, score, weights, buffers.Of(dy), inputGradient, scoreGradient);
                return [pooled.Read(), weights.Read(), inputGradient.Read(), scoreGradient.Read()];
            },
            outputs =>
            {
                outputs[0].ShouldAgreeWith(y, Agreement.Forward, "y");
                outputs[1].ShouldAgreeWith(attention, Agreement.Forward, "attention");
                outputs[2].ShouldAgreeWith(dx, Agreement.Backward, "dx");
                outputs[3].ShouldAgreeWith([.. before.Select((v, i) => v + dw[i])], Agreement.Backward, "dw");
            });
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Extreme_scores_pick_one_step(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> y = buffers.Output(1);
        GuardedBuffer<float> attention = buffers.Output(3);
        AttentionPool.Forward(team, 1, 3, 1, buffers.Of(-1e4f, 1e4f, 5f), buffers.Of(1f), y, attention);
        attention.Read().ShouldBe([0, 1, 0]);
        y.Read().ShouldBe([1e4f]);
    }

    [Fact]
    public void The_reference_has_the_right_gradients()
    {
        var reference = new Reference(2, 3, 4);
        double[] x = Numbers.Random(24, 1).Widen();
        double[] w = Numbers.Random(4, 2).Widen();
        double[] dy = Numbers.Random(8, 3).Widen();
        (double[] dx, double[] dw) = reference.Backward(x, w, reference.Forward(x, w).Attention, dy);
        Agreement.GradientsShouldBeRight(inputs => Agreement.Dot(reference.Forward(inputs[0], inputs[1]).Y, dy), [x, w], [dx, dw]);
    }

    private sealed record Reference(int Batch, int Time, int Features)
    {
        public (double[] Y, double[] Attention) Forward(double[] x, double[] w)
        {
            using var oracle = new Oracle();
            Tensor y = oracle.Zeros([Batch, Features]), attention = oracle.Zeros([Batch, Time]);
            oracle.Ops.AttentionPoolForward(oracle.Of(x, [Batch, Time, Features]), oracle.Of(w, [1, Features]), y, attention);
            return (y.ToDoubles(), attention.ToDoubles());
        }

        public (double[] Dx, double[] Dw) Backward(double[] x, double[] w, double[] attention, double[] dy)
        {
            using var oracle = new Oracle();
            Tensor dx = oracle.Zeros([Batch, Time, Features]), dw = oracle.Zeros([1, Features]);
            oracle.Ops.AttentionPoolBackward(
                oracle.Of(dy, [Batch, Features]), oracle.Of(x, [Batch, Time, Features]), oracle.Of(w, [1, Features]),
                oracle.Of(attention, [Batch, Time]), dx, dw);
            return (dx.ToDoubles(), dw.ToDoubles());
        }
    }
}
