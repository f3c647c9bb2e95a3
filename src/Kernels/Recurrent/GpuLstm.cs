using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// The recurrent part of a whole-sequence LSTM layer from zero state (Hochreiter and Schmidhuber 1997, forget gate of Gers et al. 2000),
/// one launch each way, by the formulas of docs/kernels-layers.md.
/// </summary>
/// <remarks>
/// <para>Around it, by matrix products over all B·T rows: forward x·W_ihᵀ before; backward after it dx = dz·W_ih, dW_ih = dzᵀ·x, dW_hh =
/// dzᵀ·h_prev with <see cref="Recurrent.PreviousStates"/>, and dbias = column sums of dz.</para>
/// <para>Gate blocks are in the order i, f, g, o. h and c are float inside, whatever <c>type</c> is.</para>
/// <para>In half precision and with up to <see cref="Recurrent.MaxRegisterHidden"/> hidden units W_hh stays in registers for the whole
/// sequence; otherwise each step reads it from the L2 cache.</para>
/// </remarks>
internal sealed class Lstm(KernelLibrary library)
{
    private readonly RecurrentKernel<RecurrentForward> _forward = new(
        library, ForwardInRegisters, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly RecurrentKernel<RecurrentBackward> _backward = new(
        library, BackwardInRegisters, Backward<Float32, Four>, Backward<Float16, Eight>);

    /// <param name="batch">Sequences B.</param>
    /// <param name="time">Steps T.</param>
    /// <param name="hidden">Hidden units H, at most <see cref="Recurrent.MaxHidden"/>.</param>
    /// <param name="gates">
    /// [B, T, 4H] of <paramref name="type"/>: on entry x·W_ihᵀ, on exit the activated gates i, f, g, o, which backward needs.
    /// </param>
    /// <param name="bias">[4H], float.</param>
    /// <param name="hiddenWeights">W_hh [4H, H] of <paramref name="type"/>.</param>
    /// <param name="y">Output: h of every step [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="cells">Output: c of every step [B, T, H], float, which backward needs.</param>
    /// <param name="reverse">Runs from the last time step to the first; outputs keep the order of the inputs.</param>
    /// <param name="type">Type of gates, weights and y.</param>
    public void Forward(
        CudaStream stream, int batch, int time, int hidden, nint gates, nint bias, nint hiddenWeights, nint y, nint cells, bool reverse,
        CudaType type)
    {
        long states = (long)batch * time * hidden;
        _forward.Launch(stream, batch, time, hidden, type, GpuWalk.ForwardShared(hidden, 4), new RecurrentForward
        {
            Input = new(gates, 4 * states),
            InputBias = new(bias, 4 * hidden),
            Weights = new(hiddenWeights, 4L * hidden * hidden),
            Saved = new(gates, 4 * states),
            Y = new(y, states),
            Carried = new(cells, states),
            Time = time,
            Hidden = hidden,
            Reverse = reverse ? 1 : 0,
            Aligned = Recurrent.Aligned(hidden, hiddenWeights, type),
        });
    }

    /// <param name="dy">∂L/∂y [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="gates">As left by the forward pass [B, T, 4H].</param>
    /// <param name="cells">As written by the forward pass [B, T, H], float.</param>
    /// <param name="hiddenWeights">W_hh [4H, H] of <paramref name="type"/>.</param>
    /// <param name="dz">Output: gradients before activation [B, T, 4H] of <paramref name="type"/>; may be <paramref name="gates"/>.</param>
    public void Backward(
        CudaStream stream, int batch, int time, int hidden, nint dy, nint gates, nint cells, nint hiddenWeights, nint dz, bool reverse,
        CudaType type)
    {
        long states = (long)batch * time * hidden;
        _backward.Launch(stream, batch, time, hidden, type, GpuWalk.BackwardShared(hidden, 4), new RecurrentBackward
        {
            DY = new(dy, states),
            Saved = new(gates, 4 * states),
            Carried = new(cells, states),
            Weights = new(hiddenWeights, 4L * hidden * hidden),
            DState = new(dz, 4 * states),
            Time = time,
            Hidden = hidden,
            Reverse = reverse ? 1 : 0,
            Aligned = Recurrent.Aligned(hidden, hiddenWeights, type),
        });
    }

    [GpuKernel(4 * GpuWalkInRegisters.Units, BlocksPerMultiprocessor = 1, Element = typeof(Float16))]
    private static void ForwardInRegisters(RecurrentForward a) => GpuWalkInRegisters.Forward<LstmCell>(a);

    [GpuKernel(4 * GpuWalkInRegisters.Units, BlocksPerMultiprocessor = 1, Element = typeof(Float16))]
    private static void BackwardInRegisters(RecurrentBackward a) => GpuWalkInRegisters.Backward<LstmCell>(a);

    [GpuKernel(GpuWalk.Threads, BlocksPerMultiprocessor = 1)]
    private static void Forward<TElement, TGroup>(RecurrentForward a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => GpuWalk.Forward<LstmCell, TElement, TGroup>(a);

    [GpuKernel(GpuWalk.Threads, BlocksPerMultiprocessor = 1)]
    private static void Backward<TElement, TGroup>(RecurrentBackward a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => GpuWalk.Backward<LstmCell, TElement, TGroup>(a);
}
