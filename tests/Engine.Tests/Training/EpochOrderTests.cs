using CudaTrainer.Training.Features;

namespace CudaTrainer.Engine.Tests.Training;

public class EpochOrderTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(257)]
    public void Every_clip_comes_once(int count)
    {
        foreach (int epoch in Enumerable.Range(1, 20))
        {
            EpochOrder.Of(count, seed: 42, epoch, shuffle: true).Order().ShouldBe(Enumerable.Range(0, count));
        }
    }

    [Fact]
    public void It_follows_from_seed_and_epoch_alone()
    {
        int[] order = EpochOrder.Of(100, seed: 42, epoch: 3, shuffle: true);

        order.ShouldBe(EpochOrder.Of(100, seed: 42, epoch: 3, shuffle: true));
        order.ShouldNotBe(EpochOrder.Of(100, seed: 42, epoch: 4, shuffle: true));
        order.ShouldNotBe(EpochOrder.Of(100, seed: 43, epoch: 3, shuffle: true));
        EpochOrder.Of(100, seed: 42, epoch: 3, shuffle: false).ShouldBe(Enumerable.Range(0, 100));
    }

    /// <summary>Files are listed class by class; batches must not be.</summary>
    [Fact]
    public void Clips_of_a_class_are_spread_over_the_epoch()
    {
        foreach (int epoch in Enumerable.Range(1, 20))
        {
            int inFirstHalf = EpochOrder.Of(400, seed: 42, epoch, shuffle: true).Take(200).Count(row => row < 200);

            // Hypergeometric with mean 100 and standard deviation 5.
            inFirstHalf.ShouldBeInRange(75, 125);
        }
    }

    [Fact]
    public void Every_clip_is_equally_likely_to_come_first()
    {
        const int epochs = 6000, clips = 6;
        int[] counts = new int[clips];
        for (int epoch = 1; epoch <= epochs; epoch++)
        {
            counts[EpochOrder.Of(clips, seed: 42, epoch, shuffle: true)[0]]++;
        }

        // Binomial with mean 1000 and standard deviation 29.
        counts.ShouldAllBe(count => Math.Abs(count - (epochs / clips)) < 150);
    }
}
