using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Convolution by <see cref="WinogradTransform"/>, block of tiles by block of tiles: transform the input tiles, multiply each of the 36
/// points' [tiles, inChannels] by its [inChannels, outChannels] weights, transform back with bias, activation and pooling.
/// </summary>
/// <remarks>
/// Members take blocks of tiles as they come, see <see cref="WinogradBlock{TSimd,TVec}"/>.
/// </remarks>
internal static unsafe class Conv3x3Winograd
{
    private const int Points = WinogradTransform.Points;
    private const int TileSize = WinogradTransform.TileSize;

    /// <summary>[o, c, 3, 3] → [point][o/columns][c][columns].</summary>
    public static void Prepare(ThreadTeam team, int outChannels, int inChannels, float* weights, float* prepared)
    {
        var kernel = new PrepareKernel(outChannels, inChannels, weights, prepared);
        team.Run(ref kernel);
    }

    public static void Run(ThreadTeam team, in ConvProblem problem)
    {
        var kernel = new Kernel(problem);
        team.Run(ref kernel);
    }

    private readonly struct PrepareKernel(int outChannels, int inChannels, float* weights, float* prepared) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            int padded = Conv3x3.PaddedChannels(outChannels, columns);
            nint pointSize = (nint)inChannels * padded;
            Span<double> transformed = stackalloc double[Points];
            (int begin, int end) = member.Share(padded, columns);
            for (int o = begin; o < end; o++)
            {
                float* target = prepared + ((nint)(o / columns) * inChannels * columns) + (o % columns);
                for (int c = 0; c < inChannels; c++)
                {
                    transformed.Clear();
                    if (o < outChannels)
                    {
                        WinogradTransform.Weights(weights + ((((nint)o * inChannels) + c) * 9), transformed);
                    }

                    for (int point = 0; point < Points; point++)
                    {
                        target[point * pointSize] = (float)transformed[point];
                    }

                    target += columns;
                }
            }
        }
    }

    private readonly struct Kernel(ConvProblem problem) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            var plan = WinogradPlan.Choose(in problem, member.Count);
            var block = new WinogradBlock<TSimd, TVec>(in problem, plan.LargestBlock);
            block.Attach((float*)member.Scratch((nuint)block.ScratchSize * sizeof(float)));
            for (int i = member.Claim(); i < plan.Blocks; i = member.Claim())
            {
                (int begin, int end) = plan.Tiles(i);
                block.Run(begin, end - begin);
            }
        }
    }
}
