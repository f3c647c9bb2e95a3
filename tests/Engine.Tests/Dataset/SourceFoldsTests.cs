using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Dataset;

public class SourceFoldsTests
{
    /// <summary>Whichever way features come, the same seed divides the same sources alike.</summary>
    [Fact]
    public void The_order_of_the_clips_does_not_matter()
    {
        string[] sources = [.. Enumerable.Range(0, 60).Select(i => $"source {i % 12}")];
        int[] labels = [.. Enumerable.Range(0, 60).Select(i => i % 12 < 5 ? i % 2 : i % 3 == 0 ? 1 : 0)],
            order = [.. Enumerable.Range(0, 60)];
        new Random(5).Shuffle(order);

        Dictionary<string, int> straight = PartOfSource([.. Enumerable.Range(0, 60)]), shuffled = PartOfSource(order);

        shuffled.OrderBy(pair => pair.Key).ShouldBe(straight.OrderBy(pair => pair.Key));
        straight.Values.Distinct().Count().ShouldBe(3);

        Dictionary<string, int> PartOfSource(int[] clips)
        {
            int[] theirs = [.. clips.Select(clip => labels[clip])];
            string[] names = [.. clips.Select(clip => sources[clip])];
            int[] parts = SourceFolds.Assign(theirs, names, [.. Enumerable.Range(0, clips.Length)], [0.4, 0.3, 0.3], seed: 8);
            return names.Zip(parts).Distinct().ToDictionary(pair => pair.First, pair => pair.Second);
        }
    }
}
