using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>What the recurrent layers share on CUDA: sizes, and the states one step earlier.</summary>
/// <remarks>
/// <para>Cost of <see cref="PreviousStates"/>: each element read and written once, no FLOPs, bound by memory; 64×20×128 halves are 0.3 MB
/// an array.</para>
/// <para>Access: 16 bytes a thread where rows begin on 16 bytes, else element by element.</para>
/// <para>Order: moves elements only.</para>
/// </remarks>
internal sealed unsafe class Recurrent(KernelLibrary library)
{
    /// <summary>
    /// Hidden units up to which W_hh in half precision fits the registers of one block: 4·128 rows of 128 halves are 128 KiB.
    /// </summary>
    public const int MaxRegisterHidden = GpuWalkInRegisters.Units;

    /// <summary>Hidden units up to which a block's states fit the shared memory of every supported GPU (96 KiB).</summary>
    public const int MaxHidden = 3_584;

    private readonly TypedKernel<Arguments> _previousStates = new(library, PreviousStates<Float32, Four>, PreviousStates<Float16, Eight>);

    /// <summary>
    /// previous[b, t] = y at the step before t in the direction of the layer, and 0 at the first step: what the gradient of W_hh
    /// multiplies.
    /// </summary>
    /// <param name="batch">Sequences B.</param>
    /// <param name="time">Steps T.</param>
    /// <param name="hidden">Hidden units H.</param>
    /// <param name="y">[B, T, H] of <paramref name="type"/>.</param>
    /// <param name="previous">Output: [B, T, H] of <paramref name="type"/>; must not be y.</param>
    /// <param name="reverse">Whether the layer runs from the last time step to the first.</param>
    /// <param name="type">Type of both.</param>
    public void PreviousStates(CudaStream stream, int batch, int time, int hidden, nint y, nint previous, bool reverse, CudaType type)
    {
        long rows = (long)batch * time;
        if (rows * hidden == 0)
        {
            return;
        }

        int lanes = LaunchSize.Lanes(type);
        _previousStates[type].Launch(stream, LaunchSize.Strided(rows * LaunchSize.DivideUp(hidden, lanes)), new Arguments
        {
            Y = new(y, rows * hidden),
            Previous = new(previous, rows * hidden),
            Rows = rows,
            Time = time,
            Hidden = hidden,
            Reverse = reverse ? 1 : 0,
            Aligned = hidden % lanes == 0 ? LaunchSize.Aligned(y, previous) : 0,
        });
    }

    /// <summary>1 when the rows of W_hh can be read in accesses of 16 bytes, else 0.</summary>
    internal static int Aligned(int hidden, nint hiddenWeights, CudaType type) =>
        hidden % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(hiddenWeights) : 0;

    [GpuKernel(LaunchSize.Threads)]
    private static void PreviousStates<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Hidden + TGroup.Lanes - 1) / TGroup.Lanes, first = a.Reverse != 0 ? a.Time - 1 : 0;
        long toBefore = a.Reverse != 0 ? a.Hidden : -a.Hidden;
        for (long index = GpuThread.FirstItem; index < a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups);
            int unit = (int)(index - (row * groups)) * TGroup.Lanes, t = (int)(row - (GpuMath.Quotient(row, a.Time) * a.Time));
            long at = (row * a.Hidden) + unit;
            TGroup values = t == first ? TGroup.Splat(0) : TElement.ReadGroup(a.Y.Start, at + toBefore, a.Hidden - unit, a.Aligned);
            TElement.WriteGroup(a.Previous.Start, at, a.Hidden - unit, a.Aligned, values);
        }
    }

    private struct Arguments
    {
        public GpuArray Y;
        public GpuArray Previous;
        public long Rows;
        public int Time;
        public int Hidden;
        public int Reverse;
        public int Aligned;
    }
}

/// <summary>
/// One direction of a recurrent layer, and the choice of its kernel: with W_hh in registers where it fits them, else from memory.
/// </summary>
/// <param name="library">The device's kernels.</param>
/// <param name="inRegisters">With W_hh in registers, in half precision.</param>
/// <param name="single">With W_hh from memory, in single precision.</param>
/// <param name="half">With W_hh from memory, in half precision.</param>
/// <typeparam name="TArguments">The structure that all take.</typeparam>
internal sealed class RecurrentKernel<TArguments>(
    KernelLibrary library, GpuKernelMethod<TArguments> inRegisters, GpuKernelMethod<TArguments> single, GpuKernelMethod<TArguments> half)
    where TArguments : unmanaged
{
    private readonly GpuKernel<TArguments> _inRegisters = new(library, inRegisters);
    private readonly TypedKernel<TArguments> _fromMemory = new(library, single, half);

    /// <summary>Queues the kernel, one block for each sequence.</summary>
    /// <param name="batch">Sequences.</param>
    /// <param name="time">Steps.</param>
    /// <param name="hidden">Hidden units.</param>
    /// <param name="type">The activations' type.</param>
    /// <param name="sharedBytes">What the kernel needs that reads W_hh from memory.</param>
    /// <param name="arguments">For every thread.</param>
    public void Launch(CudaStream stream, int batch, int time, int hidden, CudaType type, int sharedBytes, in TArguments arguments)
    {
        if ((long)batch * time * hidden == 0)
        {
            return;
        }

        // Kernels count rows in 32 bits.
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)batch * time, int.MaxValue);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hidden, Recurrent.MaxHidden);
        if (type == CudaType.Float16 && hidden <= Recurrent.MaxRegisterHidden)
        {
            _inRegisters.Launch(stream, new Grid(batch), arguments);
        }
        else
        {
            _fromMemory[type].Launch(stream, new Grid(batch), arguments, sharedBytes);
        }
    }
}
