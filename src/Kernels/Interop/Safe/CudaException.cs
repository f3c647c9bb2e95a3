using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>A call of one of NVIDIA's libraries failed.</summary>
public class CudaException : Exception
{
    internal CudaException(string call, int code, string codeName, string text, int device, string? kernel, bool isSticky, string hint = "")
        : base($"{call}{(kernel is null ? string.Empty : $"({kernel})")} failed on cuda:{device}: {codeName} ({code}){(text.Length == 0 ? string.Empty : $": {text}")}{(hint.Length == 0 ? string.Empty : $". {hint}")}")
    {
        Call = call;
        Code = code;
        CodeName = codeName;
        Device = device;
        Kernel = kernel;
        IsSticky = isSticky;
    }

    internal CudaException(string message, CudaException first)
        : base(message, first) => (Call, Code, CodeName, Device, Kernel, IsSticky) = (first.Call, first.Code, first.CodeName, first.Device, first.Kernel, true);

    /// <summary>The function, as its header names it.</summary>
    public string Call { get; }

    public int Code { get; }

    public string CodeName { get; }

    /// <summary>Ordinal of the device.</summary>
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

    internal static CudaException FromDriver(int result, string call, int device, string? kernel) =>
        new(call, result, NameOf(result), TextOf(result), device, kernel, IsStickyCode(result), HintOf(result));

    internal static unsafe string NameOf(int result)
    {
        byte* text = null;
        return DriverApi.cuGetErrorName(result, &text) == DriverApi.Success && text is not null ? Marshal.PtrToStringUTF8((nint)text)! : $"CUresult {result}";
    }

    internal static unsafe string TextOf(int result)
    {
        byte* text = null;
        return DriverApi.cuGetErrorString(result, &text) == DriverApi.Success && text is not null ? Marshal.PtrToStringUTF8((nint)text)! : string.Empty;
    }

    /// <summary>The errors after which the driver refuses everything in this context: faults of kernels, hardware errors, a lost device.</summary>
    private static bool IsStickyCode(int result) => result is 46 or 214 or 220 or 226 or 700 or 702 or (>= 710 and <= 719) or 999;

    private static string HintOf(int result) => result switch
    {
        2 => "The GPU has no memory left; nvidia-smi shows who holds it",
        46 => "The GPU is in use in exclusive mode, or was lost; look at nvidia-smi",
        100 => "The driver finds no GPU",
        209 or 222 => "The driver is older than the NVRTC that compiled the kernel; update the driver or use NVRTC of its version",
        700 or >= 714 and <= 719 => "Set CUDATRAINER_SYNC=1 to find the kernel that did it",
        _ => string.Empty,
    };
}

/// <summary>Checks of results, apart from their callers so that those stay small.</summary>
internal static class CudaResult
{
    [DoesNotReturn]
    public static void Throw(CudaContext context, int result, string call, string? kernel) => throw context.Failed(CudaException.FromDriver(result, call, context.Ordinal, kernel));
}
