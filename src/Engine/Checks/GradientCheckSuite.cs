using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Checks;

/// <summary>The whole registry, as <c>cudatrainer gradcheck</c> runs it.</summary>
public static class GradientCheckSuite
{
    /// <summary>
    /// Each op's reference gradient against finite differences, then the device against the reference, in half precision too where it
    /// computes in that.
    /// </summary>
    public static IEnumerable<GradientCheckRow> Run(IDevice device) => Run(OpCases.All(), device);

    /// <inheritdoc cref="Run(IDevice)"/>
    public static IEnumerable<GradientCheckRow> Run(IEnumerable<OpCase> ops, IDevice device)
    {
        foreach (OpCase op in ops)
        {
            yield return GradientCheck.AgainstFiniteDifferences(op);
            foreach (GradientCheckRow row in AgainstReference(op, device))
            {
                yield return row;
            }
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
