using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// The first layer's convolution, from images of three channels: a matrix product of windows [pixels, 27] and filters [27, outChannels]
/// that reads the windows where they are.
/// </summary>
/// <remarks>
/// In the bordered [h + 2][w + 2][3] layout a window is three runs of nine floats, and the next pixel's window begins three floats further:
/// a left matrix that <see cref="GemmMicroKernel"/> can read without copying (<see cref="WindowLayout"/>). With 27 products per output,
/// Winograd's transforms would cost more than they save.
/// </remarks>
internal static unsafe class Conv3x3Image
{
    private const int Channels = ConvLayout.ImageChannels;
    private const int ChannelBlock = ConvLayout.ChannelBlock;
    private const int WindowLength = 9 * Channels;

    /// <summary>[o, 3, 3, 3] (channel, row, column) → [o/columns][row, column, channel][columns].</summary>
    public static void Prepare(ThreadTeam team, int outChannels, float* weights, float* prepared)
    {
        var kernel = new PrepareKernel(outChannels, weights, prepared);
        team.Run(ref kernel);
    }

    public static void Run(ThreadTeam team, in ConvProblem problem)
    {
        var kernel = new Kernel(problem);
        team.Run(ref kernel);
    }

    /// <summary>A row of the window is one block of k, the next pixel the next row of the left matrix.</summary>
    private readonly struct WindowLayout : ITileLayout
    {
        public static int RowStride => Channels;

        public static int KStep => 3 * Channels;
    }

    private readonly struct PrepareKernel(int outChannels, float* weights, float* prepared) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            (int begin, int end) = member.Share(Conv3x3.PaddedChannels(outChannels, columns), columns);
            for (int o = begin; o < end; o++)
            {
                float* target = prepared + ((nint)(o / columns) * WindowLength * columns) + (o % columns);
                for (int i = 0; i < WindowLength; i++)
                {
                    int channel = i % Channels;
                    int pixel = i / Channels;
                    target[i * columns] = o < outChannels ? weights[(((o * Channels) + channel) * 9) + pixel] : 0;
                }
            }
        }
    }

    /// <summary>Members take rows of the output (pairs of rows if they are pooled) as they come.</summary>
    private readonly struct Kernel(ConvProblem problem) : ITeamKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            int tileRows = GemmMicroKernel.MaxRows<TSimd, TVec>();
            int panels = Conv3x3.PaddedChannels(problem.OutChannels, columns) / columns;
            nint inRow = (problem.Width + 2) * Channels;
            int down = problem.MaxPool ? 2 : 1;

            // Sums of the row or pair of rows: [panel][row][pixel, rounded up to whole tiles][columns].
            int paddedWidth = GemmPacking.RoundUp(problem.Width, tileRows);
            nint rowSize = (nint)paddedWidth * columns;
            float* sums = (float*)member.Scratch((nuint)(rowSize * panels * down) * sizeof(float));
            int outRows = problem.Images * problem.OutHeight;
            for (int outRow = member.Claim(); outRow < outRows; outRow = member.Claim())
            {
                (int image, int y) = Math.DivRem(outRow, problem.OutHeight);
                float* windows = problem.Input + ((((nint)image * (problem.Height + 2)) + (y * down)) * inRow);
                for (int panel = 0; panel < panels; panel++)
                {
                    float* filters = problem.Weights + (panel * WindowLength * columns);
                    for (int row = 0; row < down; row++)
                    {
                        float* target = sums + (((panel * down) + row) * rowSize);
                        for (int x = 0; x < problem.Width; x += tileRows)
                        {
                            int rows = Math.Min(tileRows, problem.Width - x);
                            GemmMicroKernel.Run<TSimd, TVec, WindowLayout>(
                                rows, WindowLength, windows + (row * inRow) + (x * Channels), inRow, filters, target
                                    + ((nint)x * columns), columns, TileUpdate.Overwrite, filters, 0);
                        }
                    }
                }

                for (int channel = 0; channel < ConvLayout.Blocks(problem.OutChannels) * ChannelBlock; channel += TSimd.Width)
                {
                    float* from = sums + (channel / columns * down * rowSize) + (channel % columns);
                    Store<TSimd, TVec>(image, y, channel, from, rowSize);
                }
            }
        }

        /// <summary>Bias, activation and pooling of one output row for one vector of channels.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Store<TSimd, TVec>(int image, int y, int channel, float* sums, nint rowSize)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            nint plane = ((nint)image * ConvLayout.Blocks(problem.OutChannels)) + (channel / ChannelBlock);
            float* target = problem.Output + (((plane * problem.OutHeight) + y) * problem.OutWidth * ChannelBlock)
                + (channel % ChannelBlock);
            TVec bias = TSimd.LoadPartial(problem.Bias + channel, Math.Clamp(problem.OutChannels - channel, 0, TSimd.Width));
            for (int x = 0; x < problem.OutWidth; x++)
            {
                TVec sum;
                if (problem.MaxPool)
                {
                    TVec upper = TSimd.Max(TSimd.Load(sums), TSimd.Load(sums + columns));
                    TVec lower = TSimd.Max(TSimd.Load(sums + rowSize), TSimd.Load(sums + rowSize + columns));
                    sum = TSimd.Max(upper, lower);
                    sums += 2 * columns;
                }
                else
                {
                    sum = TSimd.Load(sums);
                    sums += columns;
                }

                sum = TSimd.Add(sum, bias);
                TSimd.Store(target, problem.Relu ? TSimd.Max(TSimd.Zero, sum) : sum);
                target += ChannelBlock;
            }
        }
    }
}
