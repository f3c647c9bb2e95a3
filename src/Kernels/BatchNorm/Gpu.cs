using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// Batch normalisation of rows × channels over the rows (Ioffe and Szegedy 2015), with a ReLU and a dropout fused behind it, by the
/// formulas of docs/kernels-layers.md. Training is one launch each way, <see cref="ForwardTraining"/> and <see cref="Backward"/>. Where the
/// rows are spread over several replicas, it is cut in two where the replicas exchange their parts: <see cref="Moments"/>, gather,
/// <see cref="Combine"/>, <see cref="Normalize"/>; backward <see cref="GradientSums"/>, gather, <see cref="InputGradient"/>.
/// </summary>
/// <remarks>
/// <para>Channel c of row r is element r·channels + c of the dropout mask. γ, β, all statistics and their gradients are float. A part is
/// 2·channels + 1 floats: two numbers of each channel, then how many rows they are of, exact below 2²⁴. Parts are put together in their
/// order and in double precision, hence to the same bits on every replica. A replica without rows has no part.</para>
/// <para>Cost: training reads x three times (mean, centred squares, output; the second and third time from the L1 or L2 cache) and writes
/// y; backward reads x and dy twice and writes dx; about 10 FLOPs an element, and 25 integer instructions with dropout. From DRAM that is x
/// + y and x + dy + dx; over replicas 2x + y and 2x + 2dy + dx, as the second launch may find nothing in a cache. A layer of the
/// classifier, 1280×128 halves, is 0.3 MB an array and bound by latency: ten rows a thread and pass.</para>
/// <para>Access: <see cref="ColumnBlock"/>; a block sees all rows of its channels, except where rows need not meet: there the grid's Y has
/// more blocks. Inference: 16 bytes a thread, any block any row. Combine: a thread a channel, neighbours side by side.</para>
/// <para>Order: <see cref="ColumnBlock"/>: fixed by the shape; no atomics. What is squared is a distance from a mean, within a part and
/// between them, so a large mean cancels nothing.</para>
/// </remarks>
internal sealed unsafe class BatchNorm(KernelLibrary library)
{
    /// <summary>Rows of a thread where rows need not meet: little work for each, since there are few.</summary>
    private const int RowsPerThread = 2;

    private readonly TypedKernel<BatchNormArguments> _training =
        new(library, ForwardTraining<Float32, Four>, ForwardTraining<Float16, Eight>);
    private readonly TypedKernel<BatchNormArguments> _inference =
        new(library, ForwardInference<Float32, Four>, ForwardInference<Float16, Eight>);
    private readonly TypedKernel<BatchNormArguments> _backward = new(library, Backward<Float32, Four>, Backward<Float16, Eight>);
    private readonly TypedKernel<BatchNormArguments> _moments = new(library, Moments<Float32, Four>, Moments<Float16, Eight>);
    private readonly GpuKernel<CombineArguments> _combine = new(library, CombineParts);
    private readonly TypedKernel<BatchNormArguments> _normalize = new(library, Normalize<Float32, Four>, Normalize<Float16, Eight>);
    private readonly TypedKernel<BatchNormArguments> _gradientSums =
        new(library, GradientSums<Float32, Four>, GradientSums<Float16, Eight>);
    private readonly TypedKernel<BatchNormArguments> _inputGradient =
        new(library, InputGradient<Float32, Four>, InputGradient<Float16, Eight>);

    /// <param name="rows">Samples × time steps; with 0, nothing is written.</param>
    /// <param name="x">Input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="runningMean">[channels], updated: momentum·old + (1 − momentum)·mean of the batch.</param>
    /// <param name="runningVariance">[channels], updated likewise.</param>
    /// <param name="y">Output [rows, channels] of <paramref name="type"/>; must not be <paramref name="x"/>, which backward needs.</param>
    /// <param name="mean">For backward: the batch's mean [channels].</param>
    /// <param name="inverseDeviation">For backward: 1/√(variance + ε) [channels].</param>
    /// <param name="relu">Whether a ReLU follows; NaN stays NaN.</param>
    /// <param name="dropout">The dropout that follows.</param>
    /// <param name="momentum">How much of the running statistics is kept.</param>
    /// <param name="type">Type of x and y.</param>
    public void ForwardTraining(
        CudaStream stream, int rows, int channels, nint x, nint gamma, nint beta, nint runningMean, nint runningVariance, nint y, nint mean,
        nint inverseDeviation, bool relu, in GpuDropout dropout, float momentum, float epsilon, CudaType type)
    {
        if (rows == 0 || channels == 0)
        {
            return;
        }

        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x, y), x, y);
        arguments.SetAffine(gamma, beta, mean, inverseDeviation);
        arguments.SetRunning(runningMean, runningVariance, momentum, epsilon);
        arguments.SetBehind(relu, dropout);
        _training[type].Launch(stream, ColumnBlock.Owning(channels), arguments);
    }

    /// <summary>Normalises with the running statistics.</summary>
    /// <param name="rows">Samples × time steps.</param>
    /// <param name="x">Input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="runningMean">[channels].</param>
    /// <param name="runningVariance">[channels].</param>
    /// <param name="y">Output [rows, channels] of <paramref name="type"/>; may be <paramref name="x"/>.</param>
    /// <param name="relu">Whether a ReLU follows.</param>
    /// <param name="type">Type of x and y.</param>
    public void ForwardInference(
        CudaStream stream, int rows, int channels, nint x, nint gamma, nint beta, nint runningMean, nint runningVariance, nint y, bool relu,
        float epsilon, CudaType type)
    {
        if (rows == 0 || channels == 0)
        {
            return;
        }

        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x, y), x, y);
        arguments.SetAffine(gamma, beta, mean: 0, inverse: 0);
        arguments.SetRunning(runningMean, runningVariance, momentum: 1, epsilon);
        arguments.SetBehind(relu, default);
        long groups = rows * LaunchSize.DivideUp(channels, LaunchSize.Lanes(type));
        _inference[type].Launch(stream, LaunchSize.Strided(groups), arguments);
    }

    /// <summary>The gradients of <see cref="ForwardTraining"/>.</summary>
    /// <param name="dy">∂L/∂y [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">As saved by the forward pass [channels].</param>
    /// <param name="inverseDeviation">As saved by the forward pass [channels].</param>
    /// <param name="dx">Output: ∂L/∂x [rows, channels] of <paramref name="type"/>; may be <paramref name="dy"/>.</param>
    /// <param name="dScale">∂L/∂γ [channels], added to.</param>
    /// <param name="dShift">∂L/∂β [channels], added to.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void Backward(
        CudaStream stream, int rows, int channels, nint dy, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint dx,
        nint dScale, nint dShift, bool relu, in GpuDropout dropout, CudaType type)
    {
        if (rows == 0 || channels == 0)
        {
            return;
        }

        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x, dx, dy), x, dx);
        arguments.SetAffine(gamma, beta, mean, inverseDeviation);
        arguments.SetGradients(dy, dScale, dShift);
        arguments.SetBehind(relu, dropout);
        _backward[type].Launch(stream, ColumnBlock.Owning(channels), arguments);
    }

    /// <summary>This replica's part of the statistics.</summary>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="x">Input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="moments">Output: mean [channels], Σ(x − mean)² [channels], rows.</param>
    /// <param name="type">Type of x.</param>
    public void Moments(CudaStream stream, int rows, int channels, nint x, nint moments, CudaType type)
    {
        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x), x, output: 0);
        arguments.SetParts(moments, parts: 1);
        _moments[type].Launch(stream, ColumnBlock.Owning(channels), arguments);
    }

    /// <summary>
    /// Mean and deviation over all parts, by the pairwise update of Chan, Golub and LeVeque (1983): for two sets with means a, b, the
    /// squares of the union are theirs plus (b − a)²·n_a·n_b/(n_a + n_b), which cancels nothing.
    /// </summary>
    /// <param name="parts">Parts, ≥ 1.</param>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="Moments"/>.</param>
    /// <param name="runningMean">[channels], updated: momentum·old + (1 − momentum)·mean of all rows.</param>
    /// <param name="runningVariance">[channels], updated likewise with the population variance.</param>
    /// <param name="mean">Output [channels].</param>
    /// <param name="inverseDeviation">Output: 1/√(variance + ε) [channels].</param>
    /// <param name="momentum">How much of the running statistics is kept.</param>
    public void Combine(
        CudaStream stream, int parts, int channels, nint gathered, nint runningMean, nint runningVariance, nint mean, nint inverseDeviation,
        float momentum, float epsilon)
    {
        _combine.Launch(stream, new Interop.Grid((int)LaunchSize.DivideUp(channels, LaunchSize.Threads)), new CombineArguments
        {
            Gathered = new(gathered, (long)parts * ((2 * channels) + 1)),
            RunningMean = new(runningMean, channels),
            RunningVariance = new(runningVariance, channels),
            Mean = new(mean, channels),
            Inverse = new(inverseDeviation, channels),
            Parts = parts,
            Channels = channels,
            Momentum = momentum,
            Epsilon = epsilon,
        });
    }

    /// <summary>y = dropout(relu(γ·(x − mean)·inverseDeviation + β)).</summary>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="x">Input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <param name="y">Output [rows, channels] of <paramref name="type"/>; must not be <paramref name="x"/>, which backward needs.</param>
    /// <param name="relu">Whether a ReLU follows; NaN stays NaN.</param>
    /// <param name="dropout">The dropout that follows.</param>
    /// <param name="type">Type of x and y.</param>
    public void Normalize(
        CudaStream stream, int rows, int channels, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint y, bool relu,
        in GpuDropout dropout, CudaType type)
    {
        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x, y), x, y);
        arguments.SetAffine(gamma, beta, mean, inverseDeviation);
        arguments.SetBehind(relu, dropout);
        _normalize[type].Launch(stream, ColumnBlock.Spread(rows, channels, type, RowsPerThread), arguments);
    }

    /// <summary>
    /// This replica's part of the gradient's sums; with g = ∂L/∂y behind mask and ReLU and x̂ = (x − mean)·inverseDeviation.
    /// </summary>
    /// <param name="dy">∂L/∂y [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <param name="sums">Output: Σg [channels], Σ g·x̂ [channels], rows.</param>
    /// <param name="dScale">Σ g·x̂ of this replica is added [channels].</param>
    /// <param name="dShift">Σg of this replica is added [channels].</param>
    /// <param name="type">Type of x and dy.</param>
    public void GradientSums(
        CudaStream stream, int rows, int channels, nint dy, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint sums,
        nint dScale, nint dShift, bool relu, in GpuDropout dropout, CudaType type)
    {
        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x, dy), x, output: 0);
        arguments.SetAffine(gamma, beta, mean, inverseDeviation);
        arguments.SetGradients(dy, dScale, dShift);
        arguments.SetParts(sums, parts: 1);
        arguments.SetBehind(relu, dropout);
        _gradientSums[type].Launch(stream, ColumnBlock.Owning(channels), arguments);
    }

    /// <summary>∂L/∂x = γ·inverseDeviation·(g − Σg/R − x̂·Σ(g·x̂)/R), sums and R over the rows of all parts.</summary>
    /// <param name="parts">Parts, ≥ 1.</param>
    /// <param name="dy">∂L/∂y [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="GradientSums"/>.</param>
    /// <param name="dx">Output [rows, channels] of <paramref name="type"/>; may be <paramref name="dy"/>.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void InputGradient(
        CudaStream stream, int parts, int rows, int channels, nint dy, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation,
        nint gathered, nint dx, bool relu, in GpuDropout dropout, CudaType type)
    {
        BatchNormArguments arguments = BatchNormArguments.Of(rows, channels, ColumnBlock.Aligned(channels, type, x, dy, dx), x, dx);
        arguments.SetAffine(gamma, beta, mean, inverseDeviation);
        arguments.SetGradients(dy, dScale: 0, dShift: 0);
        arguments.SetParts(gathered, parts);
        arguments.SetBehind(relu, dropout);
        _inputGradient[type].Launch(stream, ColumnBlock.Spread(rows, channels, type, RowsPerThread), arguments);
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void ForwardTraining<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> sumParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        ArrayView<Four> squareParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        var block = ColumnBlock<TGroup>.Of(a.Channels);
        var moments = BatchMoments<TGroup>.Of<TElement>(block, a, sumParts, squareParts);
        TGroup variance = moments.Squares * TGroup.Splat(a.PerRow);
        TGroup inverse = TGroup.ReciprocalSqrt(variance + TGroup.Splat(a.Epsilon));
        if (block.Row == 0)
        {
            block.WriteFloats(a.Mean, a.FloatsAligned, moments.Mean);
            block.WriteFloats(a.Inverse, a.FloatsAligned, inverse);
            Blend(block, a, a.RunningMean, moments.Mean);
            Blend(block, a, a.RunningVariance, variance);
        }

        NormalizeRows<TElement, TGroup>(block, a, moments.Mean, inverse);
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void ForwardInference<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Channels + TGroup.Lanes - 1) / TGroup.Lanes;
        for (long index = GpuThread.FirstItem; index < (long)a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups);
            int channel = (int)(index - (row * groups)) * TGroup.Lanes;
            long place = (row * a.Channels) + channel, available = a.Channels - channel;
            TGroup x = TElement.ReadGroup(a.X.Start, place, available, a.Aligned);
            TGroup mean = TGroup.ReadFloats(a.RunningMean.Start + channel, available, a.FloatsAligned);
            TGroup variance = TGroup.ReadFloats(a.RunningVariance.Start + channel, available, a.FloatsAligned);
            TGroup gamma = TGroup.ReadFloats(a.Gamma.Start + channel, available, a.FloatsAligned);
            TGroup shift = TGroup.ReadFloats(a.Beta.Start + channel, available, a.FloatsAligned);
            TGroup scale = gamma * TGroup.ReciprocalSqrt(variance + TGroup.Splat(a.Epsilon));
            TGroup y = Normalization<TElement, TGroup>.Apply(x, mean, scale, shift);
            TElement.WriteGroup(a.Output.Start, place, available, a.Aligned, a.Relu != 0 ? TGroup.Relu(y) : y);
        }
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void Backward<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> shiftParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        ArrayView<Four> scaleParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        var block = ColumnBlock<TGroup>.Of(a.Channels);
        var terms = GradientTerms<TElement, TGroup>.Of(block, a);
        GradientPair<TGroup> sums = terms.Sum(block, a, shiftParts, scaleParts);
        if (block.Row == 0)
        {
            AddToGradients(block, a, sums);
        }

        TGroup perRow = TGroup.Splat(a.PerRow);
        terms.Means = GradientPair<TGroup>.Of(sums.Gradient * perRow, sums.Other * perRow);
        terms.WriteInputGradients(block, a);
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void Moments<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> sumParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        ArrayView<Four> squareParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        var block = ColumnBlock<TGroup>.Of(a.Channels);
        var moments = BatchMoments<TGroup>.Of<TElement>(block, a, sumParts, squareParts);
        WritePart(block, a, moments.Mean, moments.Squares);
    }

    /// <summary>
    /// All parts in their order, pairwise: δ = μ_p − μ, μ ← μ + δ·n_p/(n + n_p), S ← S + S_p + δ²·n·n_p/(n + n_p), n ← n + n_p; then σ² =
    /// S/n.
    /// </summary>
    [GpuKernel(LaunchSize.Threads)]
    private static void CombineParts(CombineArguments a)
    {
        int channel = (int)GpuThread.FirstItem;
        if (channel >= a.Channels)
        {
            return;
        }

        float* part = a.Gathered.Start;
        double rows = part[2 * a.Channels], mean = part[channel], squares = part[a.Channels + channel];
        for (int i = 1; i < a.Parts; i++)
        {
            part += (2 * a.Channels) + 1;
            double more = part[2 * a.Channels], share = more / (rows + more), distance = part[channel] - mean;
            mean += distance * share;
            squares += part[a.Channels + channel] + (distance * distance * rows * share);
            rows += more;
        }

        float centre = (float)mean, variance = (float)(squares / rows);
        a.Mean.Start[channel] = centre;
        a.Inverse.Start[channel] = GpuMath.ReciprocalSqrt(variance + a.Epsilon);
        a.RunningMean.Start[channel] = GpuMath.Fma(1 - a.Momentum, centre, a.Momentum * a.RunningMean.Start[channel]);
        a.RunningVariance.Start[channel] = GpuMath.Fma(1 - a.Momentum, variance, a.Momentum * a.RunningVariance.Start[channel]);
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void Normalize<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        var block = ColumnBlock<TGroup>.Of(a.Channels);
        NormalizeRows<TElement, TGroup>(block, a, block.ReadFloats(a.Mean, a.FloatsAligned), block.ReadFloats(a.Inverse, a.FloatsAligned));
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void GradientSums<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> shiftParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        ArrayView<Four> scaleParts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        var block = ColumnBlock<TGroup>.Of(a.Channels);
        var terms = GradientTerms<TElement, TGroup>.Of(block, a);
        GradientPair<TGroup> sums = terms.Sum(block, a, shiftParts, scaleParts);
        if (block.Row == 0)
        {
            AddToGradients(block, a, sums);
        }

        WritePart(block, a, sums.Gradient, sums.Other);
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void InputGradient<TElement, TGroup>(BatchNormArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        // One warp adds up the parts of the block's channels: first Σg, then Σ g·x̂.
        ArrayView<Four> means = SharedMemory.Allocate<Four>(2 * ColumnBlock.Columns / 4);
        if (GpuThread.Index < 2 * ColumnBlock.Columns)
        {
            int column = GpuThread.Index & (ColumnBlock.Columns - 1), channel = (GpuThread.Block * ColumnBlock.Columns) + column;
            double total = 0, rows = 0;
            if (channel < a.Channels)
            {
                float* part = a.Part.Start;
                int place = (GpuThread.Index / ColumnBlock.Columns * a.Channels) + channel;
                for (int i = 0; i < a.Parts; i++)
                {
                    total += part[place];
                    rows += part[2 * a.Channels];
                    part += (2 * a.Channels) + 1;
                }

                total /= rows;
            }

            means.Cast<float>()[GpuThread.Index] = (float)total;
        }

        GpuThread.Barrier();
        var block = ColumnBlock<TGroup>.Of(a.Channels);
        var terms = GradientTerms<TElement, TGroup>.Of(block, a);
        ArrayView<TGroup> groups = means.Cast<TGroup>();
        terms.Means = GradientPair<TGroup>.Of(groups[block.Group], groups[ColumnBlock<TGroup>.Groups + block.Group]);
        terms.WriteInputGradients(block, a);
    }

    private static void NormalizeRows<TElement, TGroup>(ColumnBlock<TGroup> block, BatchNormArguments a, TGroup mean, TGroup inverse)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        Normalization<TElement, TGroup> map = default;
        map.X = a.X;
        map.Mean = mean;
        map.Scale = block.ReadFloats(a.Gamma, a.FloatsAligned) * inverse;
        map.Shift = block.ReadFloats(a.Beta, a.FloatsAligned);
        map.Dropout = DropoutMask.Of(a.Dropout);
        map.Relu = a.Relu;
        ColumnBlock<TGroup>.MapRows<TElement, Normalization<TElement, TGroup>, TGroup>(block, a.Rows, a.Aligned, map, a.Output);
    }

    /// <summary>dβ += Σg, dγ += Σ g·x̂.</summary>
    private static void AddToGradients<TGroup>(ColumnBlock<TGroup> block, BatchNormArguments a, GradientPair<TGroup> sums)
        where TGroup : unmanaged, IGroup<TGroup>
    {
        block.WriteFloats(a.DShift, a.FloatsAligned, block.ReadFloats(a.DShift, a.FloatsAligned) + sums.Gradient);
        block.WriteFloats(a.DScale, a.FloatsAligned, block.ReadFloats(a.DScale, a.FloatsAligned) + sums.Other);
    }

    /// <summary>Moves running statistics towards the batch's.</summary>
    private static void Blend<TGroup>(ColumnBlock<TGroup> block, BatchNormArguments a, GpuArray<float> running, TGroup batch)
        where TGroup : unmanaged, IGroup<TGroup>
    {
        TGroup kept = block.ReadFloats(running, a.FloatsAligned) * TGroup.Splat(a.Momentum);
        block.WriteFloats(running, a.FloatsAligned, TGroup.Fma(TGroup.Splat(1 - a.Momentum), batch, kept));
    }

    /// <summary>This replica's part: two numbers of each channel and how many rows they are of.</summary>
    private static void WritePart<TGroup>(ColumnBlock<TGroup> block, BatchNormArguments a, TGroup first, TGroup second)
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (block.Row != 0)
        {
            return;
        }

        float* to = a.Part.Start + block.Column;
        TGroup.WriteFloats(to, block.Available, a.PartAligned, first);
        TGroup.WriteFloats(to + a.Channels, block.Available, a.PartAligned, second);
        if (block.Column == 0)
        {
            a.Part.Start[2 * a.Channels] = a.Rows;
        }
    }

    /// <summary>What <see cref="CombineParts"/> takes.</summary>
    private struct CombineArguments
    {
        public GpuArray<float> Gathered;
        public GpuArray<float> RunningMean;
        public GpuArray<float> RunningVariance;
        public GpuArray<float> Mean;
        public GpuArray<float> Inverse;
        public int Parts;
        public int Channels;
        public float Momentum;
        public float Epsilon;
    }
}
