using CudaTrainer.Engine.Autograd;

namespace CudaTrainer.Engine.Tests;

/// <summary>Every op of the registry: the reference against finite differences, the other devices against the reference.</summary>
public class GradientTests
{
    public static TheoryData<string> Ops => [.. OpCases.All().Select(op => op.Name)];

    [Theory]
    [MemberData(nameof(Ops))]
    public void Reference_gradient_agrees_with_finite_differences(string name)
    {
        GradientCheckRow row = GradientCheck.AgainstFiniteDifferences(Case(name));
        row.Passed.ShouldBeTrue(row.ToString());
    }

    private static OpCase Case(string name) => OpCases.All().Single(op => op.Name == name);
}
