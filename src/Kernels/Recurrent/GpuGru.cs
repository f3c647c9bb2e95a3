using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// The recurrent part of a whole-sequence GRU layer from zero state, in the form of PyTorch and of Keras with <c>reset_after</c> (Cho et
/// al. 2014, arXiv:1406.1078, version 1), one launch each way, by the formulas of docs/kernels-layers.md.
/// </summary>
/// <remarks>
/// <para>Around it, by matrix products over all B·T rows: forward x·W_ihᵀ before; backward after it dx = dInput·W_ih, dW_ih = dInputᵀ·x,
/// dW_hh = dHiddenᵀ·h_prev with <see cref="Recurrent.PreviousStates"/>; the biases' gradients are the column sums of dInput and
/// dHidden.</para>
/// <para>Gate blocks are in the order r, z, n. h is float inside, whatever <c>type</c> is. Weights stay in registers as in
/// <see cref="Lstm"/>.</para>
/// </remarks>
internal sealed class Gru(KernelLibrary library)
{
    private readonly RecurrentKernel<RecurrentForward> _forward = new(
        library, ForwardInRegisters, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly RecurrentKernel<RecurrentBackward> _backward = new(
        library, BackwardInRegisters, Backward<Float32, Four>, Backward<Float16, Eight>);

    /// <param name="batch">Sequences B.</param>
    /// <param name="time">Steps T.</param>
    /// <param name="hidden">Hidden units H, at most <see cref="Recurrent.MaxHidden"/>.</param>
    /// <param name="fromInput">x·W_ihᵀ [B, T, 3H] of <paramref name="type"/>.</param>
    /// <param name="biasInput">b_ih [3H], float.</param>
    /// <param name="biasHidden">b_hh [3H], float.</param>
    /// <param name="hiddenWeights">W_hh [3H, H] of <paramref name="type"/>.</param>
    /// <param name="y">Output: h of every step [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="saved">
    /// Output: r, z, n and the recurrent part of n, h·W_hnᵀ + b_hn [B, T, 4H] of <paramref name="type"/>, which backward needs.
    /// </param>
    /// <param name="reverse">Runs from the last time step to the first; outputs keep the order of the inputs.</param>
    /// <param name="type">Type of everything but the biases.</param>
    public void Forward(
        CudaStream stream, int batch, int time, int hidden, nint fromInput, nint biasInput, nint biasHidden, nint hiddenWeights, nint y,
        nint saved, bool reverse, CudaType type)
    {
        long states = (long)batch * time * hidden;
        _forward.Launch(stream, batch, time, hidden, type, GpuWalk.ForwardShared(hidden, 3), new RecurrentForward
        {
            Input = new(fromInput, 3 * states),
            InputBias = new(biasInput, 3 * hidden),
            StateBias = new(biasHidden, 3 * hidden),
            Weights = new(hiddenWeights, 3L * hidden * hidden),
            Saved = new(saved, 4 * states),
            Y = new(y, states),
            Time = time,
            Hidden = hidden,
            Reverse = reverse ? 1 : 0,
            Aligned = Recurrent.Aligned(hidden, hiddenWeights, type),
        });
    }

    /// <param name="dy">∂L/∂y [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="y">Forward output [B, T, H] of <paramref name="type"/>.</param>
    /// <param name="saved">As written by the forward pass [B, T, 4H].</param>
    /// <param name="hiddenWeights">W_hh [3H, H] of <paramref name="type"/>.</param>
    /// <param name="dInput">Output: gradients of the gates' input parts, r, z, n [B, T, 3H] of <paramref name="type"/>.</param>
    /// <param name="dHidden">Output: gradients of the gates' recurrent parts, r, z, n [B, T, 3H] of <paramref name="type"/>.</param>
    public void Backward(
        CudaStream stream, int batch, int time, int hidden, nint dy, nint y, nint saved, nint hiddenWeights, nint dInput, nint dHidden,
        bool reverse, CudaType type)
    {
        long states = (long)batch * time * hidden;
        _backward.Launch(stream, batch, time, hidden, type, GpuWalk.BackwardShared(hidden, 3), new RecurrentBackward
        {
            DY = new(dy, states),
            Saved = new(saved, 4 * states),
            Y = new(y, states),
            Weights = new(hiddenWeights, 3L * hidden * hidden),
            DState = new(dHidden, 3 * states),
            DInput = new(dInput, 3 * states),
            Time = time,
            Hidden = hidden,
            Reverse = reverse ? 1 : 0,
            Aligned = Recurrent.Aligned(hidden, hiddenWeights, type),
        });
    }

    [GpuKernel(3 * GpuWalkInRegisters.Units, BlocksPerMultiprocessor = 1, Element = typeof(Float16))]
    private static void ForwardInRegisters(RecurrentForward a) => GpuWalkInRegisters.Forward<GruCell>(a);

    [GpuKernel(3 * GpuWalkInRegisters.Units, BlocksPerMultiprocessor = 1, Element = typeof(Float16))]
    private static void BackwardInRegisters(RecurrentBackward a) => GpuWalkInRegisters.Backward<GruCell>(a);

    [GpuKernel(GpuWalk.Threads, BlocksPerMultiprocessor = 1)]
    private static void Forward<TElement, TGroup>(RecurrentForward a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => GpuWalk.Forward<GruCell, TElement, TGroup>(a);

    [GpuKernel(GpuWalk.Threads, BlocksPerMultiprocessor = 1)]
    private static void Backward<TElement, TGroup>(RecurrentBackward a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => GpuWalk.Backward<GruCell, TElement, TGroup>(a);
}
