using System.Reflection;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Engine.Checks;

/// <summary>
/// The registry of differentiable functions: an op is tested on every device once its cases have a line in <see cref="ByOp"/>.
/// </summary>
public static class OpCases
{
    public static IEnumerable<OpCase> All() => ByOp().SelectMany(cases => cases);

    /// <summary>Cases for the formulas of an assembly.</summary>
    public static IEnumerable<OpCase> Of(Assembly assembly) => FormulaCases.In(assembly);

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
        yield return TimeStatisticsFunction.Cases(draw);
        yield return TimeDifferencesFunction.Cases(draw);
        yield return FormulaCases.Of(typeof(Gelu), draw);
        yield return FormulaCases.Of(typeof(ScaleShiftRelu), draw);
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
