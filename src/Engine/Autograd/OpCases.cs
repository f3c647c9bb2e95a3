using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Autograd;

/// <summary>One argument of an op under test.</summary>
/// <param name="Differentiable">Whether its gradient is checked.</param>
/// <param name="Type">Its type, where that is not the type of the check.</param>
/// <param name="IsParameter">A parameter or statistic, which stays in single precision when activations are in half.</param>
public sealed record OpInput(
    string Name, Shape Shape, double[] Values, bool Differentiable = true, DType? Type = null, bool IsParameter = false);

/// <summary>
/// A differentiable function with concrete inputs: what the gradient check, the comparison of devices and <c>cudatrainer gradcheck</c> run.
/// </summary>
/// <param name="Apply">Runs the function on tensors made of <see cref="Inputs"/>, in their order.</param>
/// <param name="SeedsItself">The function computes its own gradient of the sum of its outputs (the loss).</param>
public sealed record OpCase(
    string Name, IReadOnlyList<OpInput> Inputs, Func<Tape, IReadOnlyList<Tensor>, Tensor> Apply, bool SeedsItself = false);

/// <summary>
/// The registry of differentiable functions: an op is tested on every device once its cases have a line in <see cref="ByOp"/>.
/// </summary>
public static class OpCases
{
    private const ulong DropoutSeed = 7;

    public static IEnumerable<OpCase> All() => ByOp().SelectMany(cases => cases);

    /// <summary>Dropout of every second element.</summary>
    internal static LayerDropout Half(Tape tape) => new(0.5f, DropoutSeed, 3, tape.State);

    private static IEnumerable<IEnumerable<OpCase>> ByOp()
    {
        var draw = new InputDrawer(new Random(12345));
        yield return LinearFunction.Cases(draw);
        yield return LstmFunction.Cases(draw);
        yield return GruFunction.Cases(draw);
        yield return BatchNormFunction.Cases(draw);
        yield return ActivationDropoutFunction.Cases(draw);
        yield return AttentionPoolFunction.Cases(draw);
        yield return ConcatFunction.Cases(draw);
        yield return LastStepFunction.Cases(draw);
        yield return SoftmaxFocalLossFunction.Cases(draw);
        yield return UsedTwice(draw);
    }

    /// <summary>Gradients that two functions deliver to one tensor are added up.</summary>
    private static IEnumerable<OpCase> UsedTwice(InputDrawer draw) =>
    [
        new("Tensor used twice", [draw.Normal("x", [4, 6]), draw.Parameter("weight", [6, 6])], (tape, t) =>
        {
            Tensor y = LinearFunction.Apply(tape, t[0], t[1], null);
            return ConcatFunction.Apply(tape, LinearFunction.Apply(tape, y, t[1], null), y);
        }),
    ];
}
