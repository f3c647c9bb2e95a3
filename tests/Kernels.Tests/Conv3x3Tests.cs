using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class Conv3x3Tests
{
    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Levels))]
    public void Agrees_with_plain_loops(SimdLevel level) => TestTeams.ForEach(level, teams =>
    {
        int seed = 0;
        foreach (int inChannels in (int[])[1, 3, 16, 17, 50])
        {
            foreach (int outChannels in (int[])[1, 16, 24, 33, 64])
            {
                foreach ((int images, int height, int width) in ((int, int, int)[])[(1, 1, 1), (2, 2, 3), (1, 5, 4), (3, 7, 6), (1, 8, 26),
                    (2, 13, 11)])
                {
                    seed++;
                    var convolution = new ConvCase(images, inChannels, height, width, outChannels)
                    {
                        Seed = seed,
                        Activation = seed % 3 == 0 ? Activation.None : Activation.Relu,
                        MaxPool = seed % 2 == 0,
                        Edge = seed % 5 < 3 ? Edge.Behind : Edge.Before,
                    };
                    convolution.Check(teams);
                }
            }
        }
    });

    [Theory]
    [MemberData(nameof(Levels))]
    public void Threads_do_not_change_a_bit(SimdLevel level)
    {
        var size = new ConvCase(3, 20, 14, 17, 40) { Seed = 7 };
        using var one = new ThreadTeam(1, level);
        float[] expected = size.Run(one);
        for (int threads = 2; threads <= 3; threads++)
        {
            using var team = new ThreadTeam(threads, level);
            size.Run(team).ShouldBe(expected);
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void An_image_has_the_same_bits_alone_and_in_a_batch(SimdLevel level)
    {
        using var team = new ThreadTeam(2, level);
        foreach (int inChannels in (int[])[3, 24])
        {
            // More tiles than one block holds, so that images lie differently in their blocks.
            var batch = new ConvCase(9, inChannels, 17, 22, 33) { Seed = 11, MaxPool = inChannels == 24 };
            float[] all = batch.Run(team);
            int imageSize = all.Length / 9;
            for (int image = 0; image < 9; image += 4)
            {
                float[] alone = (batch with { Images = 1, FirstImage = image }).Run(team);
                alone.ShouldBe(all[(image * imageSize)..((image + 1) * imageSize)]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Winograd_error_stays_near_that_of_single_precision(SimdLevel level)
    {
        using var team = new ThreadTeam(2, level);
        double error = new ConvCase(1, 256, 12, 12, 32) { Seed = 3 }.RelativeError(team);
        error.ShouldBeLessThan(2e-6);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_NaN_in_the_input_is_not_hidden_by_the_activation(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        foreach (int inChannels in (int[])[3, 16])
        {
            new ConvCase(1, inChannels, 6, 6, 16) { Poison = true }.Run(team).ShouldContain(x => float.IsNaN(x));
        }
    }
}
