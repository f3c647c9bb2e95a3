using System.Runtime.InteropServices;

namespace CudaTrainer.Cli.Doctor;

/// <summary>Whether an NVIDIA driver is there. Having none is a normal state.</summary>
internal static class CudaCheck
{
    private static readonly string[] DriverNames =
        OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];

    public static Check Run()
    {
        foreach (string name in DriverNames)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                NativeLibrary.Free(library);
                return Check.Ok("CUDA", $"driver found ({name}), but this version computes on the CPU only");
            }
        }

        return Check.Ok("CUDA", $"not available: no NVIDIA driver (looked for {string.Join(", ", DriverNames)}); the CPU is used");
    }
}
