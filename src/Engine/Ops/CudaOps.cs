using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

/// <summary>
/// The ops of <see cref="CudaDevice"/>: matrix products by cuBLAS with fp32 sums, convolutions by cuDNN, everything else by our own
/// kernels, which each op makes at its first use. Activations are of type Float32 or Float16; parameters, statistics and their gradients
/// are Float32, with copies in half precision where activations are.
/// </summary>
internal sealed partial class CudaOps : IOps, IDisposable
{
    /// <summary>What cuBLAS may use; its documentation asks for 32 MiB on Hopper and 4 MiB before.</summary>
    private const long CublasWorkspaceBytes = 32L << 20;

    private readonly IDevice _device;
    private readonly CudaContext _context;
    private readonly CudaStream _stream;
    private readonly CudaDeviceOptions _options;
    private readonly CudaWorkspace _workspace;
    private readonly KernelLibrary _kernels;
    private readonly CublasHandle _cublas;
    private readonly Gpu.Elementwise _elementwise;
    private CudnnHandle? _cudnn;

    internal CudaOps(IDevice device, CudaContext context, CudaStream stream, CudaDeviceOptions options)
    {
        _device = device;
        _context = context;
        _stream = stream;
        _options = options;
        _workspace = new CudaWorkspace(device);
        _kernels = new KernelLibrary(context);
        _cublas = new CublasHandle(context, stream, CublasWorkspaceBytes);
        _elementwise = new Gpu.Elementwise(_kernels);
    }

    internal KernelLibrary Library => _kernels;

    public void Dispose()
    {
        DisposeConvolutions();
        DisposeLstms();
        _cudnn?.Dispose();
        _cublas.Dispose();
        _kernels.Dispose();
        _workspace.Dispose();
    }

    /// <summary>cuDNN, loaded when it is first needed.</summary>
    private CudnnHandle Cudnn(string purpose)
    {
        if (_cudnn is null && !Kernels.Interop.Cuda.HasCudnn)
        {
            throw new RunException(
                $"{purpose} on {_device.Name} needs cuDNN: {Kernels.Interop.Cuda.CudnnReason}",
                $"Install cuDNN 8 or 9 for this CUDA version (docs/cuda.md), or use {SettingName.Of("Device")} cpu.");
        }

        return _cudnn ??= new CudnnHandle(_context, _stream);
    }

    private static CudaType TypeOf(Tensor tensor) => TypeOf(tensor.DType);

    private static CudaType TypeOf(DType type) => type switch
    {
        DType.Float32 => CudaType.Float32,
        DType.Float16 => CudaType.Float16,
        _ => throw new NotSupportedException($"CUDA computes in Float32 and Float16, not in {type}."),
    };

    /// <summary>The mask of the step whose number is in device memory.</summary>
    private static GpuDropout Mask(in LayerDropout dropout) => dropout.Enabled
        ? new GpuDropout(dropout.Probability, dropout.Seed, dropout.Layer, dropout.State?.Data ?? 0, dropout.First)
        : default;

    /// <summary>
    /// A tensor as an operand of the given type: itself, the half-precision copy that its owner keeps, or a conversion in scratch memory.
    /// </summary>
    private nint Operand(Tensor tensor, CudaType type, CudaWorkspace.Use scratch)
    {
        if (TypeOf(tensor) == type)
        {
            return tensor.Data;
        }

        if (tensor.HalfCopy is { } copy && type == CudaType.Float16)
        {
            return copy.Data;
        }

        nint converted = _workspace.Take(scratch, tensor.Count * (type == CudaType.Float16 ? 2 : 4));
        _elementwise.Cast(_stream, tensor.Count, tensor.Data, TypeOf(tensor), converted, type);
        return converted;
    }
}
