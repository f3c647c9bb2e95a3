using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>The two versions of a kernel, for activations in single and in half precision: <c>name_f32</c> and <c>name_f16</c>, each looked up at its first use.</summary>
internal sealed class TypedKernel(KernelLibrary library, string file, string name)
{
    private CudaKernel? _single;
    private CudaKernel? _half;

    public CudaKernel this[CudaType type] => type == CudaType.Float32
        ? _single ??= library.Get(file, name + "_f32")
        : _half ??= library.Get(file, name + "_f16");
}

/// <summary>A kernel without versions, looked up at its first use.</summary>
internal sealed class SingleKernel(KernelLibrary library, string file, string name)
{
    private CudaKernel? _kernel;

    public CudaKernel Value => _kernel ??= library.Get(file, name);
}
