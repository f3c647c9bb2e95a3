namespace CudaTrainer.Kernels.Device;

/// <summary>An array in a GPU's memory, as a kernel gets it inside its argument structure: the same bytes on host and device.</summary>
/// <remarks>
/// Accesses compile to plain global loads and stores. The length is for the host and the simulator, which checks every access against it; a
/// kernel that needs a count takes one of its own.
/// </remarks>
/// <typeparam name="T">Type of an element.</typeparam>
/// <param name="address">Device address; 0 for an array that is not there.</param>
/// <param name="length">Elements.</param>
internal readonly unsafe struct GpuArray<T>(nint address, long length)
    where T : unmanaged
{
    public readonly T* Start = (T*)address;
    public readonly long Length = length;
}

/// <summary>
/// An array of the kernel's own element type (<see cref="IElement{TGroup}"/>), so that one argument structure serves the versions of a
/// kernel for single and for half precision.
/// </summary>
/// <param name="address">Device address; 0 for an array that is not there.</param>
/// <param name="length">Elements.</param>
internal readonly unsafe struct GpuArray(nint address, long length)
{
    public readonly byte* Start = (byte*)address;
    public readonly long Length = length;
}
