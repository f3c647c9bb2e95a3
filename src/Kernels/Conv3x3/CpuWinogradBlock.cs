using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>One thread's work on a Winograd convolution, block of tiles by block of tiles.</summary>
/// <remarks>
/// Transformed tiles are stored [point][channel block][tile][16], which is the order in which <see cref="GemmMicroKernel"/> reads its left
/// matrix, and products [point][panel][tile][columns of the panel], the order in which it writes; nothing is packed. The weights of the 36
/// points stream by once for each block. All three are larger than the second-level cache in deep layers, and the transforms touch 36
/// streams at once, which hardware does not predict: so everything is prefetched by hand, the weights by the products before.
/// </remarks>
internal unsafe struct WinogradBlock<TSimd, TVec>
    where TSimd : struct, ISimd<TVec>
    where TVec : unmanaged
{
    private const int ChannelBlock = ConvLayout.ChannelBlock;
    private const int Points = WinogradTransform.Points;
    private const int TileSize = WinogradTransform.TileSize;
    private const int WindowSize = WinogradTransform.WindowSize;

    /// <summary>Input channels multiplied at a time: a panel of weights (16 KB) stays in the first-level cache while all tiles
    /// pass.</summary>
    private const int DepthBlock = 128;

    /// <summary>Floats between the ends and beginnings of two points' matrices, so that the 36 streams fall into different cache
    /// sets.</summary>
    private const int PointPadding = 5 * 16;

    /// <summary>Tiles between a prefetch and its use.</summary>
    private const int TilesAhead = 4;

    private readonly ConvProblem _problem;
    private readonly int _inBlocks;
    private readonly int _outBlocks;
    private readonly int _panels;

    /// <summary>Floats from one point to the next of the transformed input and of the products.</summary>
    private readonly nint _inPointSize;
    private readonly nint _outPointSize;

    private float* _temporary;
    private float* _transformed;
    private float* _products;

    /// <param name="problem">The convolution.</param>
    /// <param name="capacity">Tiles of the largest block, a multiple of 12.</param>
    public WinogradBlock(in ConvProblem problem, int capacity)
    {
        int columns = GemmMicroKernel.Columns<TSimd, TVec>();
        _problem = problem;
        _inBlocks = ConvLayout.Blocks(problem.InChannels);
        _outBlocks = ConvLayout.Blocks(problem.OutChannels);
        _panels = Conv3x3.PaddedChannels(problem.OutChannels, columns) / columns;
        Capacity = capacity;
        _inPointSize = ((nint)_inBlocks * Capacity * ChannelBlock) + PointPadding;
        _outPointSize = ((nint)_panels * Capacity * columns) + PointPadding;
    }

    /// <summary>Tiles of a block.</summary>
    public int Capacity { get; }

    /// <summary>Floats of working memory.</summary>
    public readonly nint ScratchSize => Points * (_inPointSize + _outPointSize + TSimd.Width);

    public void Attach(float* scratch)
    {
        _temporary = scratch;
        _transformed = _temporary + (Points * TSimd.Width);
        _products = _transformed + (Points * _inPointSize);
    }

    /// <summary>Computes <paramref name="tiles"/> ≤ <see cref="Capacity"/> tiles from <paramref name="firstTile"/> on, all output
    /// channels.</summary>
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

    /// <summary>Bᵀ d B of one block of channels for all tiles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void TransformInput(int block, int firstTile, int tiles)
    {
        nint rowStride = (nint)_problem.Width * ChannelBlock;
        nint planeSize = _problem.Height * rowStride;
        float* planes = _problem.Input + (block * planeSize);
        float* target = _transformed + ((nint)block * Capacity * ChannelBlock);
        var cursor = new TileCursor(in _problem, firstTile);
        var ahead = new TileCursor(in _problem, firstTile + TilesAhead);
        for (int tile = 0; tile < tiles; tile++)
        {
            float* next = planes + (ahead.Image * _inBlocks * planeSize) + ((ahead.Y + 1) * rowStride) + ((ahead.X + 1) * ChannelBlock);
            PrefetchSquare(next, TileSize, rowStride);
            PrefetchPoints(target + (TilesAhead * ChannelBlock), _inPointSize);
            float* window = planes + (cursor.Image * _inBlocks * planeSize) + ((cursor.Y - 1) * rowStride)
                + ((cursor.X - 1) * ChannelBlock);
            bool inside = cursor.Y > 0 && cursor.X > 0
                && cursor.Y + WindowSize - 1 <= _problem.Height && cursor.X + WindowSize - 1 <= _problem.Width;
            for (int lane = 0; lane < ChannelBlock; lane += TSimd.Width)
            {
                if (inside)
                {
                    WinogradTransform.InputColumns<TSimd, TVec>(window + lane, rowStride, ChannelBlock, _temporary);
                }
                else
                {
                    int top = 1 - cursor.Y;
                    int left = 1 - cursor.X;
                    WinogradTransform.InputColumnsAtBorder<TSimd, TVec>(
                        window + lane, rowStride, ChannelBlock, _temporary, top, top + _problem.Height, left, left + _problem.Width);
                }

                WinogradTransform.InputRows<TSimd, TVec>(_temporary, target + lane, _inPointSize);
            }

            target += ChannelBlock;
            cursor.Advance();
            ahead.Advance();
        }
    }

    /// <summary>The 36 products [tiles, inChannels]·[inChannels, outChannels].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Multiply(int tiles)
    {
        int columns = GemmMicroKernel.Columns<TSimd, TVec>();
        int tileRows = GemmMicroKernel.MaxRows<TSimd, TVec>();
        nint blockStride = (nint)Capacity * ChannelBlock;

        // While the register tiles of one panel of weights are computed, they fetch the next panel, each an equal part.
        int aheadStep = GemmMicroKernel.AheadStep<TSimd, TVec>((tiles + tileRows - 1) / tileRows);
        float* weights = _problem.Weights;
        for (int point = 0; point < Points; point++)
        {
            float* left = _transformed + (point * _inPointSize);
            float* product = _products + (point * _outPointSize);
            for (int panel = 0; panel < _panels; panel++)
            {
                for (int channel = 0; channel < _problem.InChannels; channel += DepthBlock)
                {
                    int depth = Math.Min(DepthBlock, _problem.InChannels - channel);
                    float* channels = left + (channel / ChannelBlock * blockStride);
                    float* ahead = weights + (depth * columns);
                    for (int tile = 0; tile < tiles; tile += tileRows)
                    {
                        GemmMicroKernel.Run<TSimd, TVec, LineLayout>(
                            Math.Min(tileRows, tiles - tile), depth, channels + (tile * ChannelBlock), blockStride, weights,
                            product + (tile * columns), columns, channel > 0 ? TileUpdate.Resume : TileUpdate.Overwrite, ahead, aheadStep);
                        ahead += depth * aheadStep;
                    }

                    weights += depth * columns;
                }

                product += (nint)Capacity * columns;
            }
        }
    }

    /// <summary>Aᵀ M A, bias, activation and pooling of one block of channels for all tiles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void TransformOutput(int block, int firstTile, int tiles)
    {
        int columns = GemmMicroKernel.Columns<TSimd, TVec>();
        int channels = Math.Min(ChannelBlock, _problem.OutChannels - (block * ChannelBlock));
        int shrink = _problem.MaxPool ? 2 : 1;
        nint rowStride = (nint)_problem.OutWidth * ChannelBlock;
        nint planeSize = _problem.OutHeight * rowStride;
        for (int lane = 0; lane < ChannelBlock; lane += TSimd.Width)
        {
            int channel = (block * ChannelBlock) + lane;
            TVec bias = TSimd.LoadPartial(_problem.Bias + channel, Math.Clamp(channels - lane, 0, TSimd.Width));
            float* product = _products + ((nint)(channel / columns) * Capacity * columns) + (channel % columns);
            float* planes = _problem.Output + (block * planeSize) + lane;
            var cursor = new TileCursor(in _problem, firstTile);
            var ahead = new TileCursor(in _problem, firstTile + TilesAhead);
            for (int tile = 0; tile < tiles; tile++)
            {
                float* next = planes + (ahead.Image * _outBlocks * planeSize) + (ahead.Y / shrink * rowStride)
                    + (ahead.X / shrink * ChannelBlock);
                PrefetchSquare(next, TileSize / shrink, rowStride);
                PrefetchPoints(product + (TilesAhead * columns), _outPointSize);
                WinogradTransform.OutputColumns<TSimd, TVec>(product, _outPointSize, _temporary);
                float* target = planes + (cursor.Image * _outBlocks * planeSize) + (cursor.Y / shrink * rowStride)
                    + (cursor.X / shrink * ChannelBlock);
                if (_problem.MaxPool)
                {
                    StorePooled(target, rowStride, _problem.OutHeight - (cursor.Y / 2), _problem.OutWidth - (cursor.X / 2), bias);
                }
                else
                {
                    StoreTile(target, rowStride, _problem.Height - cursor.Y, _problem.Width - cursor.X, bias);
                }

                product += columns;
                cursor.Advance();
                ahead.Advance();
            }
        }
    }

    /// <summary>The second half of the output transform, row by row, and the store of the rows and columns that the image has.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void StoreTile(float* target, nint rowStride, int rows, int columns, TVec bias)
    {
        for (int row = 0; row < Math.Min(TileSize, rows); row++)
        {
            FinishRow(row, bias, out TVec y0, out TVec y1, out TVec y2, out TVec y3);
            TSimd.Store(target, y0);
            if (columns > 1)
            {
                TSimd.Store(target + ChannelBlock, y1);
            }

            if (columns > 2)
            {
                TSimd.Store(target + (2 * ChannelBlock), y2);
            }

            if (columns > 3)
            {
                TSimd.Store(target + (3 * ChannelBlock), y3);
            }

            target += rowStride;
        }
    }

    /// <summary>
    /// Stores the maxima of the tile's four squares, as <see cref="StoreTile"/> does the tile; rows and columns count after pooling.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void StorePooled(float* target, nint rowStride, int rows, int columns, TVec bias)
    {
        for (int row = 0; row < Math.Min(TileSize / 2, rows); row++)
        {
            FinishRow(2 * row, bias, out TVec y0, out TVec y1, out TVec y2, out TVec y3);
            FinishRow((2 * row) + 1, bias, out TVec z0, out TVec z1, out TVec z2, out TVec z3);
            if (columns > 0)
            {
                TSimd.Store(target, TSimd.Max(TSimd.Max(y0, y1), TSimd.Max(z0, z1)));
            }

            if (columns > 1)
            {
                TSimd.Store(target + ChannelBlock, TSimd.Max(TSimd.Max(y2, y3), TSimd.Max(z2, z3)));
            }

            target += rowStride;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void FinishRow(int row, TVec bias, out TVec y0, out TVec y1, out TVec y2, out TVec y3)
    {
        WinogradTransform.OutputRow<TSimd, TVec>(_temporary, row, out y0, out y1, out y2, out y3);
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

    /// <summary>The lines of size × size pixels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchSquare(float* pixels, int size, nint rowStride)
    {
        for (int row = 0; row < size; row++)
        {
            for (int column = 0; column < size; column++)
            {
                TSimd.Prefetch(pixels + (column * ChannelBlock));
            }

            pixels += rowStride;
        }
    }

    /// <summary>A line of each point's matrix.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchPoints(float* line, nint pointSize)
    {
        for (int point = 0; point < Points; point++)
        {
            TSimd.Prefetch(line);
            line += pointSize;
        }
    }
}
