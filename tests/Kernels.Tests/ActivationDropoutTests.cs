using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class ActivationDropoutTests
{
    private static readonly Dropout Half = new(0.5f, 42, 7);

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Levels))]
    public void Every_length_agrees_with_the_formula(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        for (int length = 0; length <= 257; length++)
        {
            Check(team, length, relu: length % 2 == 0, length % 3 == 0 ? default : Half, length % 5 == 0 ? Edge.Before : Edge.Behind);
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Long_inputs_have_the_same_bits_with_any_number_of_threads(SimdLevel level)
    {
        const int Length = 20_001;
        float[] x = Numbers.Random(Length, 1);
        float[] dy = Numbers.Random(Length, 2);
        var dropout = new Dropout(0.3f, ulong.MaxValue, ulong.MaxValue - 1);
        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<float> y = buffers.Output(Length);
                GuardedBuffer<float> dx = buffers.Output(Length);
                GuardedBuffer<float> input = buffers.Of(x);
                ActivationDropout.Forward(team, Length, input, y, relu: true, dropout);
                ActivationDropout.Backward(team, Length, input, buffers.Of(dy), dx, relu: true, dropout);
                return [y.Read(), dx.Read()];
            },
            outputs =>
            {
                outputs[0].ShouldBeTheSameBitsAs([.. x.Select((v, i) => MathF.Max(0, v) * dropout.Factor(i))], "y");
                outputs[1].ShouldBeTheSameBitsAs([.. x.Select((v, i) => v > 0 ? dy[i] * dropout.Factor(i) : 0)], "dx");
            });
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Works_in_place_and_backward_takes_the_output_for_the_input(SimdLevel level)
    {
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        float[] x = Numbers.Random(5_000, 1);
        float[] dy = Numbers.Random(5_000, 2);
        GuardedBuffer<float> values = buffers.Of(x);
        GuardedBuffer<float> gradients = buffers.Of(dy);
        ActivationDropout.Forward(team, values.Length, values, values, relu: true, Half);
        ActivationDropout.Backward(team, values.Length, values, gradients, gradients, relu: true, Half);
        values.Read().ShouldBe(x.Select((v, i) => MathF.Max(0, v) * Half.Factor(i)));
        gradients.Read().ShouldBe(x.Select((v, i) => v > 0 ? dy[i] * Half.Factor(i) : 0));
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Dropout_drops_its_share_and_keeps_the_mean(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> y = buffers.Output(100_000);
        ActivationDropout.Forward(team, y.Length, buffers.Of(Numbers.Filled(y.Length, 1)), y, relu: false, new Dropout(0.2f, 1, 2));
        int dropped = y.Read().Count(v => v == 0);

        // Four standard deviations of a binomial with n = 100,000, p = 0.2.
        Math.Abs(dropped - 20_000).ShouldBeLessThan(4 * 127);
        y.Read().Where(v => v != 0).ShouldAllBe(v => v == 1.25f);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void NaN_goes_through_the_relu(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> x = buffers.Of(Numbers.Filled(33, float.NaN));
        ActivationDropout.Forward(team, x.Length, x, x, relu: true, default);
        x.Read().ShouldAllBe(v => float.IsNaN(v));
    }

    private static void Check(ThreadTeam team, int length, bool relu, Dropout dropout, Edge edge)
    {
        using var buffers = new Buffers(edge);
        float[] x = Numbers.Random(length, length);
        float[] dy = Numbers.Random(length, length + 1);
        GuardedBuffer<float> input = buffers.Of(x);
        GuardedBuffer<float> y = buffers.Output(length);
        GuardedBuffer<float> dx = buffers.Output(length);
        ActivationDropout.Forward(team, length, input, y, relu, dropout);
        ActivationDropout.Backward(team, length, relu ? input.Pointer : null, buffers.Of(dy), dx, relu, dropout);
        float Factor(int i) => dropout.IsActive ? dropout.Factor(i) : 1;
        y.Read().ShouldBe(x.Select((v, i) => (relu ? MathF.Max(0, v) : v) * Factor(i)), $"y of length {length}");
        dx.Read().ShouldBe(x.Select((v, i) => relu && v <= 0 ? 0 : dy[i] * Factor(i)), $"dx of length {length}");
    }
}
