namespace CudaTrainer.Kernels.Device;

/// <summary>
/// Marks a static method as a GPU kernel: every thread of a launch runs it. It takes one structure of plain values and
/// <see cref="GpuArray{T}"/>s by value, and may be generic over <see cref="IElement{TGroup}"/> and its <see cref="IGroup{TSelf}"/>; it is
/// then compiled for single and for half precision.
/// </summary>
/// <param name="threads">Threads of a block, which is one-dimensional.</param>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class GpuKernelAttribute(int threads) : Attribute
{
    public int Threads { get; } = threads;

    /// <summary>
    /// Blocks that a multiprocessor shall be able to run at once, which limits the registers of a thread; 0 leaves it to the driver.
    /// </summary>
    public int BlocksPerMultiprocessor { get; init; }

    /// <summary>The only element type of a kernel that is not generic over it and has arrays of it.</summary>
    public Type? Element { get; init; }

    /// <summary>Of a kernel of any formula: whether only formulas of rows need it.</summary>
    public bool IsForRows { get; init; }
}

/// <summary>A method with <see cref="GpuKernelAttribute"/>.</summary>
/// <typeparam name="TArguments">Plain values and arrays: the same bytes on host and device.</typeparam>
internal delegate void GpuKernelMethod<TArguments>(TArguments arguments)
    where TArguments : unmanaged;
