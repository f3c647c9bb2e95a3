using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>The blocked layout of <see cref="ConvLayout"/> → row-major [n, c·h·w] in channel, row, column order, as a dense layer reads
/// it.</summary>
internal static unsafe class ConvFlatten
{
    /// <param name="team">Divides the channels of all images.</param>
    /// <param name="channels">Channels, not 3.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="input">[images, channels, height, width], blocked.</param>
    /// <param name="output">[images, channels·height·width].</param>
    public static void Run(ThreadTeam team, int images, int channels, int height, int width, float* input, float* output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(channels, ConvLayout.ImageChannels);
        var kernel = new Kernel(images, channels, height * width, input, output);
        team.Run(ref kernel);
    }

    private readonly struct Kernel(int images, int channels, int pixels, float* input, float* output) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(images * channels);
            for (int row = begin; row < end; row++)
            {
                int image = row / channels;
                int channel = row % channels;
                nint plane = ((nint)image * ConvLayout.Blocks(channels)) + (channel / ConvLayout.ChannelBlock);
                float* from = input + (plane * pixels * ConvLayout.ChannelBlock) + (channel % ConvLayout.ChannelBlock);
                float* to = output + ((nint)row * pixels);
                for (int pixel = 0; pixel < pixels; pixel++)
                {
                    to[pixel] = from[pixel * ConvLayout.ChannelBlock];
                }
            }
        }
    }
}
