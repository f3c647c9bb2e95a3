using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>2×2 maximum with stride 2 in the blocked layout of <see cref="ConvLayout"/>; an odd last row or column is dropped.</summary>
internal static unsafe class MaxPool2x2
{
    /// <param name="team">Divides the output rows of all images and channel blocks.</param>
    /// <param name="channels">Channels, not 3.</param>
    /// <param name="height">Rows of the input.</param>
    /// <param name="width">Columns of the input.</param>
    /// <param name="input">[images, channels, height, width].</param>
    /// <param name="output">[images, channels, height/2, width/2].</param>
    public static void Run(ThreadTeam team, int images, int channels, int height, int width, float* input, float* output)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(channels, ConvLayout.ImageChannels);
        var kernel = new Kernel(images * ConvLayout.Blocks(channels), height, width, input, output);
        team.Run(ref kernel);
    }

    private readonly struct Kernel(int planes, int height, int width, float* input, float* output) : ITeamKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int outHeight = height / 2;
            nint outRow = width / 2 * ConvLayout.ChannelBlock;
            nint inRow = (nint)width * ConvLayout.ChannelBlock;
            (int begin, int end) = member.Share(planes * outHeight);
            for (int row = begin; row < end; row++)
            {
                float* upper = input + ((((nint)(row / outHeight) * height) + (row % outHeight * 2)) * inRow);
                float* lower = upper + inRow;
                float* target = output + (row * outRow);
                for (nint x = 0; x < outRow; x += ConvLayout.ChannelBlock)
                {
                    for (int lane = 0; lane < ConvLayout.ChannelBlock; lane += TSimd.Width)
                    {
                        nint left = (2 * x) + lane;
                        nint right = left + ConvLayout.ChannelBlock;
                        TVec top = TSimd.Max(TSimd.Load(upper + left), TSimd.Load(upper + right));
                        TVec bottom = TSimd.Max(TSimd.Load(lower + left), TSimd.Load(lower + right));
                        TSimd.Store(target + x + lane, TSimd.Max(top, bottom));
                    }
                }
            }
        }
    }
}
