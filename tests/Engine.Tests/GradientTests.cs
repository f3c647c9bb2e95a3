using CudaTrainer.Engine.Checks;

namespace CudaTrainer.Engine.Tests;

/// <summary>
/// Every op of the registry: the reference against finite differences, and the devices of the host, the processor at every SIMD level and
/// with several threads, against the reference. <see cref="Cuda.CudaGradientTests"/> has CUDA.
/// </summary>
public class GradientTests
{
    public static TheoryData<string> Ops => [.. OpCases.All().Select(op => op.Name)];

    public static TheoryData<string, string> Cases => OpMatrix.On("reference", "cpu");

    [Theory]
    [MemberData(nameof(Ops))]
    public void Reference_gradient_agrees_with_finite_differences(string op)
    {
        GradientCheckRow row = GradientCheck.AgainstFiniteDifferences(OpMatrix.Case(op));
        row.Passed.ShouldBeTrue(row.ToString());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_the_reference_in_double(string op, string place) => OpMatrix.Check(op, place);

    /// <summary>The check itself must be able to fail: a gradient that is off by one part in ten thousand is found.</summary>
    [Fact]
    public void Relative_error_sees_small_differences()
    {
        double[] right = [1, 2, 3], wrong = [1, 2, 3.0003];
        GradientCheck.RelativeError(wrong, right).ShouldBeGreaterThan(GradientCheck.FiniteDifferenceTolerance);
        GradientCheck.RelativeError(right, right).ShouldBe(0);
        double.IsNaN(GradientCheck.RelativeError([double.NaN, 2, 3], right)).ShouldBeTrue();
    }
}
