using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Processes on one machine share its cores: each of eight decoding with all cores would run eight threads on each.</summary>
public sealed class DecodeThreadsTests
{
    [Theory]
    [InlineData(0, 16, 1, 16)]
    [InlineData(0, 16, 8, 2)]
    [InlineData(0, 2, 4, 1)]
    [InlineData(5, 16, 8, 5)]
    public void AreAShareOfTheCoresUnlessAskedFor(int asked, int cores, int processes, int expected) =>
        Assert.Equal(expected, FeaturePipeline.DecodeThreads(asked, cores, processes));
}
