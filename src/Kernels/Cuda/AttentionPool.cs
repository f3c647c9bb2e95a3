using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Attention pooling over time: a = softmax_t(x_t·w), y = Σ_t a_t·x_t; one block for each sequence.</summary>
public sealed class AttentionPool(KernelLibrary library)
{
    private const int Threads = 256;

    private readonly TypedKernel _forward = new(library, "attention_pool.cu", "attention_pool_forward");
    private readonly TypedKernel _backward = new(library, "attention_pool.cu", "attention_pool_backward");
    private readonly SingleKernel _weightGradient = new(library, "attention_pool.cu", "attention_pool_weight_gradient");

    /// <summary>Bytes of the workspace of <see cref="Backward"/>: the parts that each sequence adds to the weight's gradient, and ∂L/∂score of each step.</summary>
    public static long WorkspaceBytes(int batch, int time, int channels) => sizeof(float) * (long)batch * ((long)channels + time);

    /// <param name="stream">Where to queue.</param>
    /// <param name="batch">Sequences B.</param>
    /// <param name="time">Steps T.</param>
    /// <param name="channels">Channels C.</param>
    /// <param name="x">[B, T, C] of <paramref name="type"/>.</param>
    /// <param name="weight">w [C], float.</param>
    /// <param name="y">Output: [B, C] of <paramref name="type"/>.</param>
    /// <param name="attention">Output: a [B, T], float; backward needs it.</param>
    /// <param name="type">Type of x and y.</param>
    public void Forward(CudaStream stream, int batch, int time, int channels, nint x, nint weight, nint y, nint attention, CudaType type)
    {
        if (batch == 0 || channels == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(time);
        arguments.Add(channels);
        arguments.Add(x);
        arguments.Add(weight);
        arguments.Add(y);
        arguments.Add(attention);
        arguments.Add(channels % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x, y) : 0);
        _forward[type].Launch(stream, new Grid(batch), new Grid(Threads), 0, arguments);
    }

    /// <param name="stream">Where to queue.</param>
    /// <param name="batch">As in the forward pass.</param>
    /// <param name="time">As in the forward pass.</param>
    /// <param name="channels">As in the forward pass.</param>
    /// <param name="dy">∂L/∂y [B, C] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [B, T, C] of <paramref name="type"/>.</param>
    /// <param name="weight">w [C], float.</param>
    /// <param name="attention">As written by the forward pass [B, T], float.</param>
    /// <param name="dx">Output: ∂L/∂x [B, T, C] of <paramref name="type"/>.</param>
    /// <param name="dWeight">∂L/∂w [C], float, added to.</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>, aligned to 16 bytes; its content does not matter.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void Backward(
        CudaStream stream, int batch, int time, int channels, nint dy, nint x, nint weight, nint attention, nint dx, nint dWeight, nint workspace, CudaType type)
    {
        if (batch == 0 || channels == 0)
        {
            return;
        }

        nint parts = workspace;
        nint scoreGradients = workspace + ((nint)sizeof(float) * batch * channels);
        var arguments = new KernelArguments();
        arguments.Add(time);
        arguments.Add(channels);
        arguments.Add(dy);
        arguments.Add(x);
        arguments.Add(weight);
        arguments.Add(attention);
        arguments.Add(dx);
        arguments.Add(parts);
        arguments.Add(scoreGradients);
        arguments.Add(channels % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x, dx, dy) : 0);
        _backward[type].Launch(stream, new Grid(batch), new Grid(Threads), 0, arguments);

        var sums = new KernelArguments();
        sums.Add(batch);
        sums.Add(channels);
        sums.Add(parts);
        sums.Add(dWeight);
        _weightGradient.Value.Launch(stream, new Grid((int)LaunchSize.DivideUp(channels, 32)), new Grid(32, 8), 0, sums);
    }
}
