using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// <see cref="BatchNorm"/> in training where the rows are spread over several replicas: what each does before, between and behind two exchanges. Forward:
/// <see cref="Moments"/>, gather, <see cref="Combine"/>, <see cref="Normalize"/>; backward: <see cref="GradientSums"/>, gather, <see cref="InputGradient"/>. One launch each.
/// </summary>
/// <remarks>
/// A part is 2·channels + 1 floats: two numbers of each channel, then how many rows they are of, exact below 2²⁴. Parts are put together in their order and in double
/// precision, hence to the same bits on every replica. γ, β, all statistics and their gradients are float. A replica without rows has no part.
/// </remarks>
public sealed class SyncBatchNorm(KernelLibrary library)
{
    private const string File = "sync_batch_norm.cu";

    /// <summary>Rows of a thread where rows need not meet: little work for each, since there are few.</summary>
    private const int RowsPerThread = 2;

    private readonly TypedKernel _moments = new(library, File, "sync_batch_norm_moments");
    private readonly SingleKernel _combine = new(library, File, "sync_batch_norm_combine");
    private readonly TypedKernel _normalize = new(library, File, "sync_batch_norm_normalize");
    private readonly TypedKernel _gradientSums = new(library, File, "sync_batch_norm_gradient_sums");
    private readonly TypedKernel _inputGradient = new(library, File, "sync_batch_norm_input_gradient");

    /// <summary>This replica's part of the statistics.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="x">Input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="moments">Output: mean [channels], Σ(x − mean)² [channels], rows.</param>
    /// <param name="type">Type of x.</param>
    public void Moments(CudaStream stream, int rows, int channels, nint x, nint moments, CudaType type)
    {
        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(x);
        arguments.Add(moments);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x));
        _moments[type].Launch(stream, ColumnBlocks.Owning(channels), new Grid(ColumnBlocks.Threads), 0, arguments);
    }

    /// <summary>
    /// Mean and deviation over all parts, by the pairwise update of Chan, Golub and LeVeque (1983): for two sets with means a, b, the squares of the union are theirs plus
    /// (b − a)²·n_a·n_b/(n_a + n_b), which cancels nothing.
    /// </summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="parts">Parts, ≥ 1.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="Moments"/>.</param>
    /// <param name="runningMean">[channels], updated: momentum·old + (1 − momentum)·mean of all rows.</param>
    /// <param name="runningVariance">[channels], updated likewise with the population variance.</param>
    /// <param name="mean">Output [channels].</param>
    /// <param name="inverseDeviation">Output: 1/√(variance + ε) [channels].</param>
    /// <param name="momentum">How much of the running statistics is kept.</param>
    /// <param name="epsilon">ε.</param>
    public void Combine(
        CudaStream stream, int parts, int channels, nint gathered, nint runningMean, nint runningVariance, nint mean, nint inverseDeviation, float momentum, float epsilon)
    {
        var arguments = new KernelArguments();
        arguments.Add(parts);
        arguments.Add(channels);
        arguments.Add(gathered);
        arguments.Add(runningMean);
        arguments.Add(runningVariance);
        arguments.Add(mean);
        arguments.Add(inverseDeviation);
        arguments.Add(momentum);
        arguments.Add(epsilon);
        _combine.Value.Launch(stream, new Grid((int)LaunchSize.DivideUp(channels, LaunchSize.Threads)), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <summary>y = dropout(relu(γ·(x − mean)·inverseDeviation + β)).</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="channels">Channels.</param>
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
        CudaStream stream, int rows, int channels, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint y, bool relu, in CudaDropout dropout, CudaType type)
    {
        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(x);
        arguments.Add(gamma);
        arguments.Add(beta);
        arguments.Add(mean);
        arguments.Add(inverseDeviation);
        arguments.Add(y);
        arguments.Add(relu ? 1 : 0);
        dropout.AddTo(ref arguments);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x, y));
        _normalize[type].Launch(stream, ColumnBlocks.Spread(rows, channels, type, RowsPerThread), new Grid(ColumnBlocks.Threads), 0, arguments);
    }

    /// <summary>This replica's part of the gradient's sums; with g = ∂L/∂y behind mask and ReLU and x̂ = (x − mean)·inverseDeviation.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">As in the forward pass.</param>
    /// <param name="channels">As in the forward pass.</param>
    /// <param name="dy">∂L/∂y [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <param name="sums">Output: Σg [channels], Σ g·x̂ [channels], rows.</param>
    /// <param name="dScale">Σ g·x̂ of this replica is added [channels].</param>
    /// <param name="dShift">Σg of this replica is added [channels].</param>
    /// <param name="relu">As in the forward pass.</param>
    /// <param name="dropout">As in the forward pass.</param>
    /// <param name="type">Type of x and dy.</param>
    public void GradientSums(
        CudaStream stream, int rows, int channels, nint dy, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint sums, nint dScale, nint dShift,
        bool relu, in CudaDropout dropout, CudaType type)
    {
        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(dy);
        arguments.Add(x);
        arguments.Add(gamma);
        arguments.Add(beta);
        arguments.Add(mean);
        arguments.Add(inverseDeviation);
        arguments.Add(sums);
        arguments.Add(dScale);
        arguments.Add(dShift);
        arguments.Add(relu ? 1 : 0);
        dropout.AddTo(ref arguments);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x, dy));
        _gradientSums[type].Launch(stream, ColumnBlocks.Owning(channels), new Grid(ColumnBlocks.Threads), 0, arguments);
    }

    /// <summary>∂L/∂x = γ·inverseDeviation·(g − Σg/R − x̂·Σ(g·x̂)/R), sums and R over the rows of all parts.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="parts">Parts, ≥ 1.</param>
    /// <param name="rows">As in the forward pass.</param>
    /// <param name="channels">As in the forward pass.</param>
    /// <param name="dy">∂L/∂y [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="GradientSums"/>.</param>
    /// <param name="dx">Output [rows, channels] of <paramref name="type"/>; may be <paramref name="dy"/>.</param>
    /// <param name="relu">As in the forward pass.</param>
    /// <param name="dropout">As in the forward pass.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void InputGradient(
        CudaStream stream, int parts, int rows, int channels, nint dy, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint gathered, nint dx,
        bool relu, in CudaDropout dropout, CudaType type)
    {
        var arguments = new KernelArguments();
        arguments.Add(parts);
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(dy);
        arguments.Add(x);
        arguments.Add(gamma);
        arguments.Add(beta);
        arguments.Add(mean);
        arguments.Add(inverseDeviation);
        arguments.Add(gathered);
        arguments.Add(dx);
        arguments.Add(relu ? 1 : 0);
        dropout.AddTo(ref arguments);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x, dy, dx));
        _inputGradient[type].Launch(stream, ColumnBlocks.Spread(rows, channels, type, RowsPerThread), new Grid(ColumnBlocks.Threads), 0, arguments);
    }
}
