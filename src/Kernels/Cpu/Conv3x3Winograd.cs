using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Convolution by <see cref="WinogradTransform"/>, block of tiles by block of tiles: transform the input tiles, multiply each of the 36 points'
/// [tiles, inChannels] by its [inChannels, outChannels] weights, transform back with bias, activation and pooling.
/// </summary>
/// <remarks>
/// Transformed tiles are stored [point][channel block][tile][16], which is the order in which <see cref="GemmMicroKernel"/> reads its left
/// matrix, and products [point][panel][tile][columns of the panel], the order in which it writes. Nothing is packed. A block's tiles and products stay in the
/// second- and third-level cache while the weights of the 36 points stream by. Each member works on its own tiles of all images.
/// </remarks>
internal static unsafe class Conv3x3Winograd
{
    private const int ChannelBlock = ConvLayout.ChannelBlock;
    private const int Points = WinogradTransform.Points;
    private const int TileSize = WinogradTransform.TileSize;
    private const int WindowSize = WinogradTransform.WindowSize;

    /// <summary>A multiple of every register tile's height.</summary>
    private const int TileMultiple = 12;

    /// <summary>Floats between the ends and beginnings of two points' matrices, so that the 36 streams fall into different cache sets.</summary>
    private const int PointPadding = 5 * 16;

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
            int tilesDown = (problem.Height + TileSize - 1) / TileSize;
            int tilesAcross = (problem.Width + TileSize - 1) / TileSize;
            (int begin, int end) = member.Share(problem.Images * tilesDown * tilesAcross);
            if (begin == end)
            {
                return;
            }

            var block = new Block<TSimd, TVec>(in problem, tilesDown, tilesAcross, end - begin);
            block.Attach((float*)member.Scratch((nuint)block.ScratchSize * sizeof(float)));
            for (int tile = begin; tile < end; tile += block.Capacity)
            {
                block.Run(tile, Math.Min(block.Capacity, end - tile));
            }
        }
    }

    /// <summary>A member's work on one block of tiles after another.</summary>
    private struct Block<TSimd, TVec>
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        private readonly ConvProblem _problem;
        private readonly int _tilesDown;
        private readonly int _tilesAcross;
        private readonly int _inBlocks;
        private readonly int _outBlocks;
        private readonly int _panels;

        /// <summary>Floats from one point to the next of the transformed input and of the products.</summary>
        private readonly nint _inPointSize;
        private readonly nint _outPointSize;

        private float* _temporary;
        private float* _window;
        private float* _transformed;
        private float* _products;

        public Block(in ConvProblem problem, int tilesDown, int tilesAcross, int tiles)
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            _problem = problem;
            _tilesDown = tilesDown;
            _tilesAcross = tilesAcross;
            _inBlocks = ConvLayout.Blocks(problem.InChannels);
            _outBlocks = ConvLayout.Blocks(problem.OutChannels);
            _panels = Conv3x3.PaddedChannels(problem.OutChannels, columns) / columns;
            int channels = (_inBlocks * ChannelBlock) + (_panels * columns);
            Capacity = ChooseCapacity(channels, tiles);
            _inPointSize = ((nint)_inBlocks * Capacity * ChannelBlock) + PointPadding;
            _outPointSize = ((nint)_panels * Capacity * columns) + PointPadding;
        }

        /// <summary>Tiles of a block.</summary>
        public int Capacity { get; }

        public readonly nint ScratchSize => (Points * (_inPointSize + _outPointSize + ChannelBlock)) + (Points * ChannelBlock);

        public void Attach(float* scratch)
        {
            _temporary = scratch;
            _window = _temporary + (Points * ChannelBlock);
            _transformed = _window + (Points * ChannelBlock);
            _products = _transformed + (Points * _inPointSize);
        }

        public readonly void Run(int firstTile, int tiles)
        {
            for (int block = 0; block < _inBlocks; block++)
            {
                TransformInput(block, firstTile, tiles);
            }

            Multiply(tiles);
            for (int block = 0; block < _outBlocks; block++)
            {
                TransformOutput(block, firstTile, tiles);
            }
        }

        /// <summary>
        /// As many tiles as keep transformed tiles and products near 1 MB, but at least 96: below that the weights are read too often.
        /// Equal blocks, so that none is much shorter than the others.
        /// </summary>
        private static int ChooseCapacity(int channels, int tiles)
        {
            int target = Math.Max(96, (1 << 18) / (Points * channels));
            int blocks = (tiles + target - 1) / target;
            return GemmPacking.RoundUp((tiles + blocks - 1) / blocks, TileMultiple);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void TransformInput(int block, int firstTile, int tiles)
        {
            nint rowStride = (nint)_problem.Width * ChannelBlock;
            float* target = _transformed + ((nint)block * Capacity * ChannelBlock);
            for (int tile = firstTile; tile < firstTile + tiles; tile++)
            {
                (int image, int y, int x) = Locate(tile);
                float* plane = _problem.Input + ((((nint)image * _inBlocks) + block) * _problem.Height * rowStride);
                float* source;
                nint sourceStride;
                if (y > 0 && x > 0 && y + WindowSize - 1 <= _problem.Height && x + WindowSize - 1 <= _problem.Width)
                {
                    source = plane + ((y - 1) * rowStride) + ((x - 1) * ChannelBlock);
                    sourceStride = rowStride;
                }
                else
                {
                    CopyWindow(plane, y - 1, x - 1);
                    source = _window;
                    sourceStride = WindowSize * ChannelBlock;
                }

                for (int lane = 0; lane < ChannelBlock; lane += TSimd.Width)
                {
                    WinogradTransform.Input<TSimd, TVec>(source + lane, sourceStride, ChannelBlock, _temporary, target + lane, _inPointSize);
                }

                target += ChannelBlock;
            }
        }

        /// <summary>Copies a window that reaches over the border, with zeros outside.</summary>
        private readonly void CopyWindow(float* plane, int top, int left)
        {
            int firstColumn = Math.Max(0, -left);
            int lastColumn = Math.Min(WindowSize, _problem.Width - left);
            new Span<float>(_window, Points * ChannelBlock).Clear();
            for (int row = Math.Max(0, -top); row < Math.Min(WindowSize, _problem.Height - top); row++)
            {
                float* from = plane + ((((nint)(top + row) * _problem.Width) + left + firstColumn) * ChannelBlock);
                float* to = _window + (((row * WindowSize) + firstColumn) * ChannelBlock);
                for (int i = 0; i < (lastColumn - firstColumn) * ChannelBlock; i += TSimd.Width)
                {
                    TSimd.Store(to + i, TSimd.Load(from + i));
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Multiply(int tiles)
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            int tileRows = GemmMicroKernel.MaxRows<TSimd, TVec>();
            float* weights = _problem.Weights;
            nint blockStride = (nint)Capacity * ChannelBlock;
            for (int point = 0; point < Points; point++)
            {
                float* left = _transformed + (point * _inPointSize);
                float* product = _products + (point * _outPointSize);
                for (int panel = 0; panel < _panels; panel++)
                {
                    for (int tile = 0; tile < tiles; tile += tileRows)
                    {
                        int rows = Math.Min(tileRows, tiles - tile);
                        GemmMicroKernel.Run<TSimd, TVec, LineLayout>(
                            rows, _problem.InChannels, left + (tile * ChannelBlock), blockStride, weights, product + (tile * columns), columns);
                    }

                    weights += (nint)_problem.InChannels * columns;
                    product += (nint)Capacity * columns;
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void TransformOutput(int block, int firstTile, int tiles)
        {
            int columns = GemmMicroKernel.Columns<TSimd, TVec>();
            int channels = Math.Min(ChannelBlock, _problem.OutChannels - (block * ChannelBlock));
            nint planeSize = (nint)_problem.OutHeight * _problem.OutWidth * ChannelBlock;
            for (int lane = 0; lane < ChannelBlock; lane += TSimd.Width)
            {
                int channel = (block * ChannelBlock) + lane;
                int valid = Math.Clamp(channels - lane, 0, TSimd.Width);
                TVec bias = valid == TSimd.Width ? TSimd.Load(_problem.Bias + channel) : TSimd.LoadPartial(_problem.Bias + channel, valid);
                float* product = _products + ((nint)(channel / columns) * Capacity * columns) + (channel % columns);
                for (int tile = firstTile; tile < firstTile + tiles; tile++)
                {
                    (int image, int y, int x) = Locate(tile);
                    float* plane = _problem.Output + ((((nint)image * _outBlocks) + block) * planeSize) + lane;
                    for (nint column = 0; column < WindowSize; column++)
                    {
                        WinogradTransform.OutputColumn<TSimd, TVec>(
                            product + (column * _outPointSize), WindowSize * _outPointSize, _temporary + (column * TSimd.Width), WindowSize * TSimd.Width);
                    }

                    if (_problem.MaxPool)
                    {
                        StorePooled(plane, y, x, bias);
                    }
                    else
                    {
                        StoreTile(plane, y, x, bias);
                    }

                    product += columns;
                }
            }
        }

        /// <summary>The second half of the output transform, row by row, and the store of what lies inside the image.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void StoreTile(float* plane, int y, int x, TVec bias)
        {
            int rows = Math.Min(TileSize, _problem.Height - y);
            int count = Math.Min(TileSize, _problem.Width - x);
            float* target = plane + ((((nint)y * _problem.Width) + x) * ChannelBlock);
            for (int row = 0; row < rows; row++)
            {
                FinishRow(row, bias, out TVec y0, out TVec y1, out TVec y2, out TVec y3);
                TSimd.Store(target, y0);
                if (count == TileSize)
                {
                    TSimd.Store(target + ChannelBlock, y1);
                    TSimd.Store(target + (2 * ChannelBlock), y2);
                    TSimd.Store(target + (3 * ChannelBlock), y3);
                }
                else if (count > 1)
                {
                    TSimd.Store(target + ChannelBlock, y1);
                    if (count > 2)
                    {
                        TSimd.Store(target + (2 * ChannelBlock), y2);
                    }
                }

                target += (nint)_problem.Width * ChannelBlock;
            }
        }

        /// <summary>As <see cref="StoreTile"/>, for the maxima of the tile's four squares.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void StorePooled(float* plane, int y, int x, TVec bias)
        {
            int outWidth = _problem.OutWidth;
            int rows = Math.Min(TileSize / 2, _problem.OutHeight - (y / 2));
            int count = Math.Min(TileSize / 2, outWidth - (x / 2));
            float* target = plane + ((((nint)(y / 2) * outWidth) + (x / 2)) * ChannelBlock);
            for (int row = 0; row < rows; row++)
            {
                FinishRow(2 * row, bias, out TVec y0, out TVec y1, out TVec y2, out TVec y3);
                FinishRow((2 * row) + 1, bias, out TVec z0, out TVec z1, out TVec z2, out TVec z3);
                if (count > 0)
                {
                    TSimd.Store(target, TSimd.Max(TSimd.Max(y0, y1), TSimd.Max(z0, z1)));
                }

                if (count > 1)
                {
                    TSimd.Store(target + ChannelBlock, TSimd.Max(TSimd.Max(y2, y3), TSimd.Max(z2, z3)));
                }

                target += (nint)outWidth * ChannelBlock;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void FinishRow(int row, TVec bias, out TVec y0, out TVec y1, out TVec y2, out TVec y3)
        {
            WinogradTransform.OutputVector<TSimd, TVec>(_temporary + (row * WindowSize * TSimd.Width), TSimd.Width, out y0, out y1, out y2, out y3);
            y0 = TSimd.Add(y0, bias);
            y1 = TSimd.Add(y1, bias);
            y2 = TSimd.Add(y2, bias);
            y3 = TSimd.Add(y3, bias);
            if (_problem.Relu)
            {
                // In this order a NaN stays a NaN.
                y0 = TSimd.Max(TSimd.Zero, y0);
                y1 = TSimd.Max(TSimd.Zero, y1);
                y2 = TSimd.Max(TSimd.Zero, y2);
                y3 = TSimd.Max(TSimd.Zero, y3);
            }
        }

        /// <summary>A tile's image and the upper left pixel of its output.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly (int Image, int Y, int X) Locate(int tile)
        {
            (int row, int column) = Math.DivRem(tile, _tilesAcross);
            (int image, row) = Math.DivRem(row, _tilesDown);
            return (image, row * TileSize, column * TileSize);
        }
    }
}
