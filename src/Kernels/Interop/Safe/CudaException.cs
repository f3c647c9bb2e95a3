using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>A call of one of NVIDIA's libraries failed.</summary>
internal class CudaException : Exception
{
    internal CudaException(string call, int code, string codeName, string text, int device, string? kernel, bool isSticky, string hint = "")
        : base($"{call}{(kernel is null ? string.Empty : $"({kernel})")} failed{(device < 0 ? string.Empty : $" on cuda:{device}")}: {codeName} ({code}){(text.Length == 0 ? string.Empty : $": {text}")}{(hint.Length == 0 ? string.Empty : $". {hint}")}")
    {
        Call = call;
        Code = code;
        CodeName = codeName;
        Device = device;
        Kernel = kernel;
        IsSticky = isSticky;
    }

    internal CudaException(string message, CudaException first)
        : base(message, first) =>
            (Call, Code, CodeName, Device, Kernel, IsSticky) = (first.Call, first.Code, first.CodeName, first.Device, first.Kernel, true);

    /// <summary>The function, as its header names it.</summary>
    public string Call { get; }

    public int Code { get; }

    public string CodeName { get; }

    /// <summary>Ordinal of the device; -1 where the call concerns none.</summary>
    public int Device { get; }

    /// <summary>The kernel that was launched, where it was a launch.</summary>
    public string? Kernel { get; }

    /// <summary>The device's context cannot be used any more; only a new process can.</summary>
    public bool IsSticky { get; }

    internal static void Check(int result, string call, int device)
    {
        if (result != DriverApi.Success)
        {
            throw FromDriver(result, call, device, kernel: null);
        }
    }

    /// <param name="log">What the driver's compiler says of a kernel.</param>
    internal static CudaException FromDriver(int result, string call, int device, string? kernel, string log = "")
    {
        string text = string.Join(": ", new[] { TextOf(result), log }.Where(part => part.Length > 0));
        return new CudaException(call, result, NameOf(result), text, device, kernel, IsStickyCode(result), HintOf(result));
    }

    internal static unsafe string NameOf(int result)
    {
        byte* text = null;
        return DriverApi.cuGetErrorName(result, &text) == DriverApi.Success && text is not null
            ? Marshal.PtrToStringUTF8((nint)text)!
            : $"CUresult {result}";
    }

    internal static unsafe string TextOf(int result)
    {
        byte* text = null;
        return DriverApi.cuGetErrorString(result, &text) == DriverApi.Success && text is not null
            ? Marshal.PtrToStringUTF8((nint)text)!
            : string.Empty;
    }

    /// <summary>
    /// The errors after which the driver refuses everything in this context: the device is unavailable (46), uncorrectable memory or NVLink
    /// errors (214, 220), errors contained to this process (226), a kernel's illegal address, timeout or failed assertion (700, 702, 710),
    /// a destroyed context (709), faults of instructions and addresses (714 to 718), a failed launch (719), unknown (999).
    /// </summary>
    internal static bool IsStickyCode(int result) =>
        result is 46 or 214 or 220 or 226 or 700 or 702 or 709 or 710 or (>= 714 and <= 719) or 999;

    private static string HintOf(int result) => result switch
    {
        2 => "The GPU has no memory left; nvidia-smi shows who holds it",
        34 => "This is the stub of the toolkit, for linking only: the driver's libcuda.so.1 must come before it in LD_LIBRARY_PATH",
        46 => "The GPU is used by another process in exclusive mode, or was lost; look at nvidia-smi",
        100 => "No GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES; a container needs --gpus all",
        209 => "Kernels are written for GPUs of compute capability 7.0 (Volta) and newer",
        218 => "A newer driver may compile the kernel; if the newest does not, the kernel is wrong",
        221 => "The driver's compiler, libnvidia-ptxjitcompiler.so.1, is missing: install the whole driver; " +
            "a container needs NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        222 => $"Kernels are written in PTX {Cuda.PtxVersion}, which needs a driver of CUDA 11.0 (450.36) or newer; " +
            $"this one supports CUDA {DriverVersion()}: install a newer NVIDIA driver",
        223 => "The driver was told not to compile kernels: unset CUDA_DISABLE_PTX_JIT",
        702 => "The driver stops kernels that run for seconds on a GPU with a display",
        802 => "The GPUs are not ready: on machines with NVSwitch, nvidia-fabricmanager must run",
        803 => "The kernel's driver and its library are of different versions, as after an update: reboot",
        804 => "A compatibility package of CUDA lies in LD_LIBRARY_PATH that this GPU does not support: take it out",
        999 => "Look at dmesg for messages of NVRM; a reboot, or loading the module nvidia_uvm, may help",
        700 or 710 or (>= 714 and <= 719) => "Set CUDATRAINER_SYNC=1 to find the kernel that did it",
        _ => string.Empty,
    };

    private static unsafe string DriverVersion()
    {
        int version = 0;
        _ = DriverApi.cuDriverGetVersion(&version);
        return string.Create(CultureInfo.InvariantCulture, $"{version / 1000}.{version % 1000 / 10}");
    }
}

/// <summary>Checks of results, apart from their callers so that those stay small.</summary>
internal static class CudaResult
{
    [DoesNotReturn]
    public static void Throw(CudaContext context, int result, string call, string? kernel) =>
        throw context.Failed(CudaException.FromDriver(result, call, context.Ordinal, kernel));
}
