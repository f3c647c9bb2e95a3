using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Engine.Tests;

/// <summary>Every op of the registry: the reference against finite differences, the other devices, at every SIMD level and with several threads, against the reference.</summary>
public class GradientTests
{
    public static TheoryData<string> Ops => [.. OpCases.All().Select(op => op.Name)];

    public static TheoryData<string, SimdLevel, int> OpsOnCpu
    {
        get
        {
            var data = new TheoryData<string, SimdLevel, int>();
            foreach (string op in OpCases.All().Select(op => op.Name))
            {
                foreach (SimdLevel level in SimdSelection.Available)
                {
                    data.Add(op, level, 1);
                    data.Add(op, level, 3);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Ops))]
    public void Reference_gradient_agrees_with_finite_differences(string name)
    {
        GradientCheckRow row = GradientCheck.AgainstFiniteDifferences(Case(name));
        row.Passed.ShouldBeTrue(row.ToString());
    }

    [Theory]
    [MemberData(nameof(OpsOnCpu))]
    public void Cpu_agrees_with_the_reference(string name, SimdLevel level, int threads)
    {
        using var device = new CpuDevice(threads, level: level);
        GradientCheckRow row = GradientCheck.AgainstReference(Case(name), device);
        row.Passed.ShouldBeTrue(row.ToString());
    }

    /// <summary>Half activations beside single parameters, on the device that rounds only where it stores.</summary>
    [Theory]
    [MemberData(nameof(Ops))]
    public void Reference_in_half_precision_agrees_with_itself_in_double(string name)
    {
        using var device = new ReferenceDevice();
        GradientCheckRow row = GradientCheck.AgainstReference(Case(name), device, DType.Float16);
        row.Passed.ShouldBeTrue(row.ToString());
    }

    /// <summary>The check itself must be able to fail: a gradient that is off by one part in ten thousand is found.</summary>
    [Fact]
    public void Relative_error_sees_small_differences()
    {
        double[] right = [1, 2, 3], wrong = [1, 2, 3.0003];
        GradientCheck.RelativeError(wrong, right).ShouldBeGreaterThan(GradientCheck.FiniteDifferenceTolerance);
        GradientCheck.RelativeError(right, right).ShouldBe(0);
        double.IsNaN(GradientCheck.RelativeError([double.NaN, 2, 3], right)).ShouldBeTrue();
    }

    private static OpCase Case(string name) => OpCases.All().Single(op => op.Name == name);
}
