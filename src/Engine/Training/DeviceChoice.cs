using System.Globalization;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Backends.Cpu;
using CudaTrainer.Engine.Backends.Cuda;
using CudaTrainer.Engine.Backends.Reference;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Training;

/// <summary>The device that a run uses, and why.</summary>
public sealed record DeviceChoice(IDevice Device, string Reason) : IDisposable
{
    /// <summary>Whether <c>--mixed-precision</c> and <c>--xla</c> are on unless switched off.</summary>
    public bool IsCuda => Device is CudaDevice;

    /// <summary>Makes the device that <c>--device</c> names. Never falls back silently.</summary>
    /// <param name="name"><c>auto</c>, <c>cpu</c>, <c>cpu:N</c>, <c>reference</c>, <c>cuda</c>, <c>cuda:0,1</c>.</param>
    /// <param name="threads">Compute threads; 0 = one per core.</param>
    /// <param name="mixedPrecision">Whether a GPU computes features in half precision; null = yes.</param>
    /// <exception cref="RunException">There is no such device here.</exception>
    public static DeviceChoice Open(string name, int threads, bool? mixedPrecision = null)
    {
        switch (name)
        {
            case "auto":
                return Auto(threads, mixedPrecision);
            case "cpu":
                return new DeviceChoice(new CpuDevice(threads), "asked for");
            case "reference":
                return new DeviceChoice(new ReferenceDevice(), "asked for; slow by design");
            case "cuda":
                return OpenCuda(name, 0, mixedPrecision, "asked for");
        }

        if (name.StartsWith("cpu:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(4), CultureInfo.InvariantCulture, out int count) && count >= 1)
        {
            return count == 1
                ? new DeviceChoice(new CpuDevice(threads), "asked for")
                : throw new RunException($"--device {name}: training on {count} virtual devices at once is not available yet.", "Use --device cpu; it uses all cores.");
        }

        if (name.StartsWith("cuda:", StringComparison.Ordinal))
        {
            return int.TryParse(name.AsSpan(5), CultureInfo.InvariantCulture, out int ordinal) && ordinal >= 0
                ? OpenCuda(name, ordinal, mixedPrecision, "asked for")
                : throw new RunException($"--device {name}: training on several GPUs at once is not available yet.", "Use --device cuda:N for one of them.");
        }

        throw new RunException($"--device {name}: there is no such device.", "Use auto, cpu, cuda or reference.");
    }

    /// <summary>Which device, why, and what it is.</summary>
    public string Text => $"{Device.Name} ({Reason}): {Device.Description}";

    public void Dispose() => Device.Dispose();

    private static DeviceChoice Auto(int threads, bool? mixedPrecision)
    {
        if (!Cuda.IsAvailable)
        {
            return new DeviceChoice(new CpuDevice(threads), $"auto: no CUDA, {Cuda.UnavailableReason}");
        }

        // The simulator is for tests that ask for it.
        return Cuda.IsSimulated
            ? new DeviceChoice(new CpuDevice(threads), "auto: the simulated GPU is used only with --device cuda")
            : OpenCuda("cuda", 0, mixedPrecision, "auto: the first GPU");
    }

    private static DeviceChoice OpenCuda(string name, int ordinal, bool? mixedPrecision, string reason)
    {
        if (!Cuda.IsAvailable)
        {
            throw new RunException($"--device {name}: CUDA is not available: {Cuda.UnavailableReason}", "`cudatrainer doctor` lists what was looked for and where; docs/cuda.md says what is needed. --device cpu works everywhere.");
        }

        if (ordinal >= Cuda.Devices.Count)
        {
            throw new RunException($"--device {name}: there is no GPU {ordinal}; this machine has {Cuda.Devices.Count}, numbered from 0.", "`cudatrainer doctor` lists them; CUDA_VISIBLE_DEVICES may hide some.");
        }

        try
        {
            return new DeviceChoice(new CudaDevice(ordinal, CudaDeviceOptions.FromEnvironment(mixedPrecision ?? true)), reason);
        }
        catch (CudaException exception)
        {
            throw new RunException($"--device {name}: {exception.Message}", "`cudatrainer doctor` checks driver and libraries; --device cpu works everywhere.", exception);
        }
    }
}
