using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Engine.Checks;

/// <summary>The whole registry, as <c>cudatrainer gradcheck</c> runs it.</summary>
public static class GradientCheckSuite
{
    /// <summary>
    /// Each op's reference gradient against finite differences, then the device against the reference, in half precision too where it
    /// computes in that.
    /// </summary>
    public static IEnumerable<GradientCheckRow> Run(IDevice device) => OpCases.All()
        .SelectMany(op => AgainstReference(op, device).Prepend(GradientCheck.AgainstFiniteDifferences(op)));

    /// <summary>As <see cref="Run(IDevice)"/>, and where the device is the processor also at every other SIMD level that it has.</summary>
    public static IEnumerable<GradientCheckRow> Run(IEnumerable<OpCase> ops, IDevice device)
    {
        CpuDevice[] levels = device is CpuDevice cpu
            ? [.. SimdSelection.Available.Where(level => level != cpu.Level).Select(level => new CpuDevice(cpu.Threads, level: level))]
            : [];
        try
        {
            foreach (OpCase op in ops)
            {
                yield return GradientCheck.AgainstFiniteDifferences(op);
                foreach (GradientCheckRow row in AgainstReference(op, device))
                {
                    yield return row;
                }

                foreach (CpuDevice other in levels)
                {
                    yield return GradientCheck.AgainstReference(op, other) with
                    {
                        Device = $"{other.Name} {CpuDevice.LevelName(other.Level)}",
                    };
                }
            }
        }
        finally
        {
            Array.ForEach(levels, other => other.Dispose());
        }
    }

    /// <summary>The device's part of it: each op on the device against the reference.</summary>
    public static IEnumerable<GradientCheckRow> AgainstReference(IDevice device) => AgainstReference(OpCases.All(), device);

    /// <inheritdoc cref="AgainstReference(IDevice)"/>
    public static IEnumerable<GradientCheckRow> AgainstReference(IEnumerable<OpCase> ops, IDevice device) =>
        ops.SelectMany(op => AgainstReference(op, device));

    private static IEnumerable<GradientCheckRow> AgainstReference(OpCase op, IDevice device)
    {
        yield return GradientCheck.AgainstReference(op, device);
        if (device.ComputesInHalf)
        {
            yield return GradientCheck.AgainstReference(op, device, DType.Float16);
        }
    }
}
