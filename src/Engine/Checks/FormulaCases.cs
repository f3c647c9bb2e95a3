using System.Reflection;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Engine.Checks;

/// <summary>Cases for formulas: operands that spread in every way, and sizes that take kernels through their tails.</summary>
internal static class FormulaCases
{
    private static readonly Shape Matrix = [7, 37], Tall = [70, 5], Cube = [3, 5, 19], Wide = [2, 1043];

    /// <summary>Of every formula of an assembly: what is drawn for one does not depend on the others.</summary>
    public static IEnumerable<OpCase> In(Assembly assembly) =>
        FormulaTypes.In(assembly).SelectMany(formula => Of(formula, new InputDrawer(new Random(12345))));

    public static IEnumerable<OpCase> Of(Type formula, InputDrawer draw)
    {
        int count = FormulaTypes.CountOf(formula);
        object fusion = FormulaTypes.NewFusion(formula);
        MethodInfo apply = typeof(FormulaCases).GetMethod(nameof(Apply), BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(fusion.GetType());
        yield return Case("", Matrix, Matrix);
        if (FormulaTypes.IsOfRows(formula))
        {
            yield return Case(", long rows", Wide, Wide);
        }

        if (count > 1)
        {
            yield return Case(" per channel", Matrix, [Matrix[-1]]);
            yield return Case(" per channel, tall", Tall, [Tall[-1]]);
            yield return Case(" per row", Matrix, [Matrix[0], 1]);
            yield return Case(" with a scalar", Cube, [1]);
        }

        OpCase Case(string name, Shape first, Shape others) => new(
            formula.Name + name,
            [.. Enumerable.Range(0, count).Select(operand =>
                Input(operand, operand == 0 ? first : others, operand > 0 && others != first))],
            (tape, t) => (Tensor)apply.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [tape, fusion, t.ToArray()], null)!);

        OpInput Input(int operand, Shape shape, bool isParameter)
        {
            string name = $"{(char)('a' + operand)}";
            OpInput input = FormulaTypes.RangeOf(formula, operand) is { } range ? draw.Between(name, shape, range.Least, range.Most)
                : operand == 0 ? draw.AwayFromZero(name, shape)
                : draw.Normal(name, shape);
            return input with { IsParameter = isParameter };
        }
    }

    /// <returns>Outputs side by side, if there are several.</returns>
    private static Tensor Apply<TFusion>(Tape tape, TFusion fusion, Tensor[] operands)
        where TFusion : unmanaged, IFusion
    {
        FusedOutputs outputs = Fused.Apply(tape, fusion, operands);
        Tensor joined = outputs.A;
        foreach (Tensor output in new[] { outputs.B, outputs.C, outputs.D }.OfType<Tensor>())
        {
            joined = ConcatFunction.Apply(tape, joined, output);
        }

        return joined;
    }
}
