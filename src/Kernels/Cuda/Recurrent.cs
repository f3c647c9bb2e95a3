using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>What the recurrent layers share on CUDA: sizes, the choice of the kernel, and the states one step earlier.</summary>
public sealed class Recurrent(KernelLibrary library)
{
    /// <summary>Hidden units up to which W_hh in half precision fits the registers of one block: 4·128 rows of 128 halves are 128 KiB.</summary>
    public const int MaxRegisterHidden = 128;

    /// <summary>Hidden units up to which a block's states fit the shared memory of every supported GPU (96 KiB).</summary>
    public const int MaxHidden = 3_584;

    /// <summary>Threads of the kernels that read W_hh from memory.</summary>
    private const int GeneralThreads = 512;

    /// <summary>Hidden units that the general forward kernel finishes at a time.</summary>
    private const int ForwardTile = 128;

    /// <summary>Floats of the partial sums of the general backward kernel.</summary>
    private const int BackwardPartials = 4 * GeneralThreads;

    private readonly TypedKernel _previousStates = new(library, "previous_states.cu", "previous_states");

    /// <summary>
    /// previous[b, t] = y at the step before t in the direction of the layer, and 0 at the first step: what the gradient of W_hh multiplies.
    /// </summary>
    /// <param name="stream">Where to queue.</param>
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
        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(time);
        arguments.Add(hidden);
        arguments.Add(y);
        arguments.Add(previous);
        arguments.Add(reverse ? 1 : 0);
        arguments.Add(hidden % lanes == 0 ? LaunchSize.Aligned(y, previous) : 0);
        _previousStates[type].Launch(stream, LaunchSize.Strided(rows * LaunchSize.DivideUp(hidden, lanes)), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <summary>Shared memory of the general forward kernel: h before and after the step, and the gates of a tile.</summary>
    internal static int ForwardShared(int hidden, int gates) => sizeof(float) * ((2 * hidden) + (gates * ForwardTile));

    /// <summary>Shared memory of the general backward kernel: gate gradients, what is carried to the step before twice, and partial sums.</summary>
    internal static int BackwardShared(int hidden, int gates) => sizeof(float) * (((gates + 2) * hidden) + BackwardPartials);

    /// <summary>Picks the kernel and queues it, one block for each sequence.</summary>
    internal static void Launch(
        CudaStream stream, int batch, int hidden, CudaType type, int gates, SingleKernel inRegisters, TypedKernel general, int sharedBytes, nint hiddenWeights,
        KernelArguments arguments)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hidden, MaxHidden);
        if (type == CudaType.Float16 && hidden <= MaxRegisterHidden)
        {
            inRegisters.Value.Launch(stream, new Grid(batch), new Grid(gates * MaxRegisterHidden), 0, arguments);
            return;
        }

        CudaKernel kernel = general[type];
        if (sharedBytes > LaunchSize.SharedBytes)
        {
            kernel.AllowShared(sharedBytes);
        }

        arguments.Add(hidden % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(hiddenWeights) : 0);
        kernel.Launch(stream, new Grid(batch), new Grid(GeneralThreads), sharedBytes, arguments);
    }
}
