using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// Batch normalisation of rows × channels over the rows (Ioffe and Szegedy 2015), with a ReLU and a dropout fused behind it:
/// y = dropout(relu(γ·(x − mean)/√(variance + ε) + β)). Population variance, for the running statistics too (as in Keras). One launch each way.
/// </summary>
/// <remarks>Channel c of row r is element r·channels + c of the dropout mask. γ, β, all statistics and their gradients are float.</remarks>
public sealed class BatchNorm(KernelLibrary library)
{
    private readonly TypedKernel _training = new(library, "batch_norm.cu", "batch_norm_training");
    private readonly TypedKernel _inference = new(library, "batch_norm.cu", "batch_norm_inference");
    private readonly TypedKernel _backward = new(library, "batch_norm.cu", "batch_norm_backward");

    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Samples × time steps; with 0, nothing is written.</param>
    /// <param name="channels">Channels.</param>
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
    /// <param name="epsilon">ε.</param>
    /// <param name="type">Type of x and y.</param>
    public void ForwardTraining(
        CudaStream stream, int rows, int channels, nint x, nint gamma, nint beta, nint runningMean, nint runningVariance, nint y, nint mean, nint inverseDeviation,
        bool relu, in CudaDropout dropout, float momentum, float epsilon, CudaType type)
    {
        if (rows == 0 || channels == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(x);
        arguments.Add(gamma);
        arguments.Add(beta);
        arguments.Add(runningMean);
        arguments.Add(runningVariance);
        arguments.Add(y);
        arguments.Add(mean);
        arguments.Add(inverseDeviation);
        arguments.Add(relu ? 1 : 0);
        arguments.Add(momentum);
        arguments.Add(epsilon);
        dropout.AddTo(ref arguments);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x, y));
        _training[type].Launch(stream, ColumnBlocks.Owning(channels), new Grid(ColumnBlocks.Threads), 0, arguments);
    }

    /// <summary>Normalises with the running statistics.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Samples × time steps.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="x">Input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="runningMean">[channels].</param>
    /// <param name="runningVariance">[channels].</param>
    /// <param name="y">Output [rows, channels] of <paramref name="type"/>; may be <paramref name="x"/>.</param>
    /// <param name="relu">Whether a ReLU follows.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="type">Type of x and y.</param>
    public void ForwardInference(
        CudaStream stream, int rows, int channels, nint x, nint gamma, nint beta, nint runningMean, nint runningVariance, nint y, bool relu, float epsilon, CudaType type)
    {
        if (rows == 0 || channels == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(x);
        arguments.Add(gamma);
        arguments.Add(beta);
        arguments.Add(runningMean);
        arguments.Add(runningVariance);
        arguments.Add(y);
        arguments.Add(relu ? 1 : 0);
        arguments.Add(epsilon);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x, y));
        long groups = rows * LaunchSize.DivideUp(channels, LaunchSize.Lanes(type));
        _inference[type].Launch(stream, LaunchSize.Strided(groups), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <summary>The gradients of <see cref="ForwardTraining"/>.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">As in the forward pass.</param>
    /// <param name="channels">As in the forward pass.</param>
    /// <param name="dy">∂L/∂y [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [rows, channels] of <paramref name="type"/>.</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="mean">As saved by the forward pass [channels].</param>
    /// <param name="inverseDeviation">As saved by the forward pass [channels].</param>
    /// <param name="dx">Output: ∂L/∂x [rows, channels] of <paramref name="type"/>; may be <paramref name="dy"/>.</param>
    /// <param name="dScale">∂L/∂γ [channels], added to.</param>
    /// <param name="dShift">∂L/∂β [channels], added to.</param>
    /// <param name="relu">As in the forward pass.</param>
    /// <param name="dropout">As in the forward pass.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void Backward(
        CudaStream stream, int rows, int channels, nint dy, nint x, nint gamma, nint beta, nint mean, nint inverseDeviation, nint dx, nint dScale, nint dShift,
        bool relu, in CudaDropout dropout, CudaType type)
    {
        if (rows == 0 || channels == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(channels);
        arguments.Add(dy);
        arguments.Add(x);
        arguments.Add(gamma);
        arguments.Add(beta);
        arguments.Add(mean);
        arguments.Add(inverseDeviation);
        arguments.Add(dx);
        arguments.Add(dScale);
        arguments.Add(dShift);
        arguments.Add(relu ? 1 : 0);
        dropout.AddTo(ref arguments);
        arguments.Add(ColumnBlocks.Aligned(channels, type, x, dx, dy));
        _backward[type].Launch(stream, ColumnBlocks.Owning(channels), new Grid(ColumnBlocks.Threads), 0, arguments);
    }
}
