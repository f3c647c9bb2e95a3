using System.Globalization;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Backends.Cpu;
using CudaTrainer.Engine.Backends.Reference;

namespace CudaTrainer.Engine.Training;

/// <summary>The device that a run uses, and why.</summary>
public sealed record DeviceChoice(IDevice Device, string Reason) : IDisposable
{
    /// <summary>Makes the device that <c>--device</c> names. Never falls back silently.</summary>
    /// <param name="name"><c>auto</c>, <c>cpu</c>, <c>cpu:N</c>, <c>reference</c>, <c>cuda</c>, <c>cuda:0,1</c>.</param>
    /// <param name="threads">Compute threads; 0 = one per core.</param>
    /// <exception cref="RunException">There is no such device here.</exception>
    public static DeviceChoice Open(string name, int threads)
    {
        switch (name)
        {
            case "auto":
                return new DeviceChoice(new CpuDevice(threads), "auto: this version computes on the CPU only");
            case "cpu":
                return new DeviceChoice(new CpuDevice(threads), "asked for");
            case "reference":
                return new DeviceChoice(new ReferenceDevice(), "asked for; slow by design");
        }

        if (name.StartsWith("cpu:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(4), CultureInfo.InvariantCulture, out int count) && count >= 1)
        {
            return count == 1
                ? new DeviceChoice(new CpuDevice(threads), "asked for")
                : throw new RunException($"--device {name}: training on {count} virtual devices at once is not available yet.", "Use --device cpu; it uses all cores.");
        }

        throw name.StartsWith("cuda", StringComparison.Ordinal)
            ? new RunException($"--device {name}: this version has no CUDA device.", "Use --device cpu or auto.")
            : new RunException($"--device {name}: there is no such device.", "Use auto, cpu or reference.");
    }

    /// <summary>Which device, why, and what it is.</summary>
    public string Text => $"{Device.Name} ({Reason}): {Device.Description}";

    public void Dispose() => Device.Dispose();
}
