using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// The recurrent part of a whole-sequence GRU layer from zero state, in the form of PyTorch and of Keras with <c>reset_after</c>, one launch each way:
/// r, z = σ(x·W_ihᵀ + b_ih + h·W_hhᵀ + b_hh), n = tanh(x·W_inᵀ + b_in + r·(h·W_hnᵀ + b_hn)), h ← (1−z)·n + z·h (Cho et al. 2014, arXiv:1406.1078, version 1).
/// </summary>
/// <remarks>
/// <para>Around it, by matrix products over all B·T rows: forward x·W_ihᵀ before; backward after it dx = dInput·W_ih, dW_ih = dInputᵀ·x, dW_hh = dHiddenᵀ·h_prev with
/// <see cref="Recurrent.PreviousStates"/>; the biases' gradients are the column sums of dInput and dHidden.</para>
/// <para>Gate blocks are in the order r, z, n. h is float inside, whatever <c>type</c> is. Weights stay in registers as in <see cref="Lstm"/>.</para>
/// </remarks>
public sealed class Gru(KernelLibrary library)
{
    private const int Gates = 3;

    private readonly TypedKernel _forward = new(library, "gru.cu", "gru_forward");
    private readonly TypedKernel _backward = new(library, "gru.cu", "gru_backward");
    private readonly SingleKernel _forwardInRegisters = new(library, "gru.cu", "gru_forward_registers_f16");
    private readonly SingleKernel _backwardInRegisters = new(library, "gru.cu", "gru_backward_registers_f16");

    /// <param name="stream">Where to queue.</param>
    /// <param name="batch">Sequences B.</param>
    /// <param name="time">Steps T.</param>
    /// <param name="hidden">Hidden units H, at most <see cref="Recurrent.MaxHidden"/>.</param>
    /// <param name="fromInput">x·W_ihᵀ [B, T, 3H] of <paramref name="type"/>.</param>
    /// <param name="biasInput">b_ih [3H], float.</param>
    /// <param name="biasHidden">b_hh [3H], float.</param>
    /// <param name="hiddenWeights">W_hh [3H, H] of <paramref name="type"/>.</param>
    /// <param name="y">Output: h of every step [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="saved">Output: r, z, n and the recurrent part of n, h·W_hnᵀ + b_hn [B, T, 4H] of <paramref name="type"/>, which backward needs.</param>
    /// <param name="reverse">Runs from the last time step to the first; outputs keep the order of the inputs.</param>
    /// <param name="type">Type of everything but the biases.</param>
    public void Forward(
        CudaStream stream, int batch, int time, int hidden, nint fromInput, nint biasInput, nint biasHidden, nint hiddenWeights, nint y, nint saved, bool reverse, CudaType type)
    {
        if ((long)batch * time * hidden == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(time);
        arguments.Add(hidden);
        arguments.Add(fromInput);
        arguments.Add(biasInput);
        arguments.Add(biasHidden);
        arguments.Add(hiddenWeights);
        arguments.Add(y);
        arguments.Add(saved);
        arguments.Add(reverse ? 1 : 0);
        Recurrent.Launch(stream, batch, hidden, type, Gates, _forwardInRegisters, _forward, Recurrent.ForwardShared(hidden, Gates), hiddenWeights, arguments);
    }

    /// <param name="stream">Where to queue.</param>
    /// <param name="batch">As in the forward pass.</param>
    /// <param name="time">As in the forward pass.</param>
    /// <param name="hidden">As in the forward pass.</param>
    /// <param name="dy">∂L/∂y [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="y">Forward output [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="saved">As written by the forward pass [B, T, 4H].</param>
    /// <param name="hiddenWeights">W_hh [3H, H] of <paramref name="type"/>.</param>
    /// <param name="dInput">Output: gradients of the gates' input parts, r, z, n [B, T, 3H] of <paramref name="type"/>.</param>
    /// <param name="dHidden">Output: gradients of the gates' recurrent parts, r, z, n [B, T, 3H] of <paramref name="type"/>.</param>
    /// <param name="reverse">As in the forward pass.</param>
    /// <param name="type">As in the forward pass.</param>
    public void Backward(
        CudaStream stream, int batch, int time, int hidden, nint dy, nint y, nint saved, nint hiddenWeights, nint dInput, nint dHidden, bool reverse, CudaType type)
    {
        if ((long)batch * time * hidden == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(time);
        arguments.Add(hidden);
        arguments.Add(dy);
        arguments.Add(y);
        arguments.Add(saved);
        arguments.Add(hiddenWeights);
        arguments.Add(dInput);
        arguments.Add(dHidden);
        arguments.Add(reverse ? 1 : 0);
        Recurrent.Launch(stream, batch, hidden, type, Gates, _backwardInRegisters, _backward, Recurrent.BackwardShared(hidden, Gates), hiddenWeights, arguments);
    }
}
