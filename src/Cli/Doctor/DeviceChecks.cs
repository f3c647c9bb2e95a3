using System.Globalization;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Kernels.Interop;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Cli.Doctor;

/// <summary>
/// Whether every device of this machine computes what it should: each op, forward and backward, against the plain reference.
/// </summary>
internal static class DeviceChecks
{
    public static IEnumerable<Check> Run()
    {
        yield return Compute("cpu");
        if (Cuda.IsAvailable)
        {
            foreach (CudaDeviceInfo device in Cuda.Devices)
            {
                yield return Compute($"cuda:{device.Ordinal}");
            }
        }
    }

    // Whatever goes wrong on a device is what this looks for, and must not keep the other lines from being shown.
    private static Check Compute(string name)
    {
        string label = $"self-test {name}";
        try
        {
            using DeviceChoice device = DeviceChoice.OpenOne(name, threads: 0);
            GradientCheckRow[] rows = [.. GradientCheckSuite.AgainstReference(device.Device)];
            GradientCheckRow[] wrong = [.. rows.Where(row => !row.Passed)];
            return wrong.Length > 0
                ? Check.Fail(label, $"wrong results in {string.Join(", ", wrong.Select(row => row.Op))}",
                    $"cudatrainer gradcheck --device {name} shows by how much; do not trust this device")
                : Check.Ok(label, string.Create(CultureInfo.InvariantCulture,
                    $"{rows.Length} ops agree with the reference, off by " +
                        $"{rows.Max(row => Math.Max(row.ForwardError, row.GradientError)):0.0e+0} at most"));
        }
        catch (Exception exception)
        {
            return Check.Fail(label, (exception.InnerException ?? exception).Message,
                $"do without it; cudatrainer gradcheck --device {name} --debug says where it happens");
        }
    }
}
