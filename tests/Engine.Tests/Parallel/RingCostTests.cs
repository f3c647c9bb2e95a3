using CudaTrainer.Bench.Scaling;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

public sealed class RingCostTests
{
    private const double Alpha = 3e-6, Beta = 2e-10;

    private static readonly double[] Sizes = [4, 1 << 10, 1 << 17, 1 << 22, 1 << 26];

    /// <summary>What the model counts is what the engine's schedule sends.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(8)]
    public void CountsWhatTheScheduleSends(int ranks)
    {
        long count = 16L * ranks * 100;
        long elements = 0;
        int messages = 0;
        for (int step = 0; step < RingSchedule.Steps(ranks); step++)
        {
            elements += RingSchedule.Bounds(count, ranks, RingSchedule.ReduceSends(0, ranks, step)).Count;
            elements += RingSchedule.Bounds(count, ranks, RingSchedule.GatherSends(0, ranks, step)).Count;
            messages += 2;
        }

        Assert.Equal(messages, RingCost.Messages(ranks));
        Assert.Equal(elements * 4.0, RingCost.Traffic(ranks, count * 4.0), 1e-6);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void FindsTheConstantsOfExactTimes(int ranks)
    {
        var truth = new RingCost(Alpha, Beta);
        RingCost fitted = RingCost.Fit(Sizes.Select(bytes => (ranks, bytes, truth.AllReduce(ranks, bytes))));
        Assert.Equal(1, fitted.Alpha / Alpha, 1e-6);
        Assert.Equal(1, fitted.Beta / Beta, 1e-6);
    }

    /// <summary>The largest times alone would leave α to chance: here they are 1 % off, which is a thousand times what α is.</summary>
    [Fact]
    public void LargeTimesDoNotDecideAlone()
    {
        var truth = new RingCost(Alpha, Beta);
        RingCost fitted = RingCost.Fit(Sizes.Select(bytes => (2, bytes, truth.AllReduce(2, bytes) * (bytes > 1e6 ? 1.01 : 1))));
        Assert.InRange(fitted.Alpha / Alpha, 0.98, 1.02);
        Assert.InRange(fitted.Beta / Beta, 0.98, 1.02);
    }

    /// <summary>Times that fall with the size have no sensible β; the fit does not answer with a negative one.</summary>
    [Fact]
    public void NothingIsNegative()
    {
        RingCost fitted = RingCost.Fit([(2, 1e3, 3e-6), (2, 1e6, 2e-6)]);
        Assert.Equal(0, fitted.Beta);
        Assert.InRange(fitted.AllReduce(2, 1e3), 2e-6, 3e-6);
        fitted = RingCost.Fit([(2, 1e3, 1e-6), (2, 1e6, 2e-3)]);
        Assert.Equal(0, fitted.Alpha);
        Assert.True(fitted.Beta > 0);
    }

    [Fact]
    public void OneSizeIsNotEnough() => Assert.Throws<ArgumentException>(() => RingCost.Fit([(2, 1e3, 1e-6), (2, 1e3, 2e-6)]));
}
