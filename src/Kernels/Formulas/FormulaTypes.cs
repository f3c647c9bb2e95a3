using System.Reflection;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>Formulas by reflection, for those who find them in an assembly.</summary>
internal static class FormulaTypes
{
    private static readonly (Type Interface, Type Fusion)[] Kinds =
    [
        (typeof(IFormula1), typeof(Fusion1<>)), (typeof(IFormula2), typeof(Fusion2<>)), (typeof(IFormula3), typeof(Fusion3<>)),
        (typeof(IFormula4), typeof(Fusion4<>)), (typeof(IRowFormula), typeof(RowFusion<>)),
        (typeof(IMultiOutputFormula), typeof(MultiOutputFusion<>)),
    ];

    /// <summary>The formulas of an assembly, by name.</summary>
    /// <exception cref="ReflectionTypeLoadException">The assembly was built for another framework or version.</exception>
    public static IReadOnlyList<Type> In(Assembly assembly) =>
    [
        .. assembly.GetTypes()
            .Where(type => type is { IsInterface: false, IsAbstract: false } && Kinds.Any(kind => kind.Interface.IsAssignableFrom(type)))
            .OrderBy(type => type.FullName, StringComparer.Ordinal),
    ];

    /// <summary>How many operands a formula has.</summary>
    public static int CountOf(Type formula) => (int)FusionOf(formula).GetProperty(nameof(IFusion.Count))!.GetValue(null)!;

    /// <summary>Whether it is a formula of rows.</summary>
    public static bool IsOfRows(Type formula) => typeof(IRowFormula).IsAssignableFrom(formula);

    /// <summary>Whether it is a formula of several outputs.</summary>
    public static bool HasSeveralOutputs(Type formula) => typeof(IMultiOutputFormula).IsAssignableFrom(formula);

    /// <summary>Why a type that says it is a formula cannot be compiled for every device; null if it can.</summary>
    /// <exception cref="TargetInvocationException">The formula, or its example, throws.</exception>
    public static string? ProblemOf(Type formula)
    {
        if (!formula.IsValueType)
        {
            return "is a class; a formula is a structure";
        }

        if (formula.ContainsGenericParameters)
        {
            return "has type parameters of its own; give each formula a structure without";
        }

        if (FieldWithReferences(formula, formula.Name) is { } field)
        {
            return $"has the field {field}, which GPUs cannot see; options of a formula are numbers";
        }

        if (Kinds.Count(kind => kind.Interface.IsAssignableFrom(formula)) > 1)
        {
            return "is more than one kind of formula; give each a structure of its own";
        }

        if (typeof(IFormulaSlopes).IsAssignableFrom(formula) && (IsOfRows(formula) || HasSeveralOutputs(formula)))
        {
            return "gives slopes by hand, which only formulas of elements with one output can";
        }

        for (int operand = 0; operand < CountOf(formula); operand++)
        {
            if (RangeOf(formula, operand) is { } range && !(range.Least <= range.Most && float.IsFinite(range.Most - range.Least)))
            {
                return $"says that operand {operand + 1} lies between {range.Least} and {range.Most}";
            }
        }

        MethodInfo problemOfFusion = typeof(FormulaTypes).GetMethods()
            .Single(method => method.Name == nameof(ProblemOf) && method.IsGenericMethod);
        return (string?)problemOfFusion.MakeGenericMethod(FusionOf(formula)).Invoke(null, [NewFusion(formula)]);
    }

    /// <summary>Why a fusion cannot be computed; null if it can.</summary>
    /// <exception cref="Exception">Whatever the formula throws.</exception>
    public static string? ProblemOf<TFusion>(TFusion fusion)
        where TFusion : unmanaged, IFusion
    {
        if (Outside(TFusion.Count, 1, Operands<float>.Most, "operands") is { } operands)
        {
            return operands;
        }

        if (HasSeveralOutputs(TFusion.Formula))
        {
            return Outside(TFusion.Outputs, 1, Operands<float>.Most, "outputs") ?? MisuseOf<TFusion>(Dependence.Of(fusion));
        }

        if (!IsOfRows(TFusion.Formula))
        {
            _ = fusion.Value<Real<DoubleMath, double>>(IFusion.Output, new(1), new(1), new(1), new(1), default);
            return null;
        }

        return Outside(TFusion.Sums, 1, Row<float>.MostSums, "sums") ?? MisuseOf<TFusion>(Dependence.Of(fusion));
    }

    private static string? MisuseOf<TFusion>(Dependence dependence)
        where TFusion : unmanaged, IFusion
    {
        for (int part = 0; part < TFusion.Outputs + TFusion.Sums; part++)
        {
            string method = TFusion.Outputs > 1 ? $"Forward of output {part}"
                : part == IFusion.Output ? "Forward"
                : $"Term of sum {part - 1}";
            for (int operand = 0; operand < Operands<float>.Most; operand++)
            {
                bool isKnown = operand < TFusion.Count, isUsed = dependence.On(part, operand);
                if (isUsed && !isKnown)
                {
                    return $"uses operand {operand + 1} in {method}, and has {TFusion.Count}";
                }

                if (isUsed && TFusion.IsPerRow && part == IFusion.Output)
                {
                    return "gives one number a row, so that Forward must not use the operands, only what became of their sums";
                }
            }

            for (int sum = 0; sum < Row<float>.MostSums && TFusion.Sums > 0; sum++)
            {
                if (sum >= (part == IFusion.Output ? TFusion.Sums : part - 1) && dependence.On(part, Operands<float>.Most + sum))
                {
                    return $"uses sum {sum} in {method}, where there is none yet";
                }
            }

            if (!TFusion.NeedsMaximum && dependence.On(part, Dependence.Maximum))
            {
                return $"uses the maximum in {method}, and does not say NeedsMaximum";
            }
        }

        return null;
    }

    /// <summary>The formula with the options of its example, or with every field 0.</summary>
    /// <exception cref="TargetInvocationException">Its example, or its constructor, throws.</exception>
    public static object ExampleOf(Type formula) =>
        formula.GetProperty(nameof(IFormulaExample<NoOptions>.Example), BindingFlags.Public | BindingFlags.Static)?.GetValue(null)
        ?? Activator.CreateInstance(formula)!;

    /// <summary>Where an operand lies; null where nothing was said.</summary>
    public static BetweenAttribute? RangeOf(Type formula, int operand) => IsOfRows(formula) || HasSeveralOutputs(formula)
        ? formula.GetCustomAttributes<BetweenAttribute>().FirstOrDefault(range => range.Operand == operand)
        : formula.GetMethod("Forward")?.GetParameters()[operand].GetCustomAttribute<BetweenAttribute>();

    /// <summary>The formula of <see cref="ExampleOf"/> as kernels take it: an <see cref="IFusion"/>.</summary>
    public static object NewFusion(Type formula)
    {
        object example = ExampleOf(formula);
        Type kind = KindOf(formula);
        object fusion = Activator.CreateInstance(kind, example)!;
        return FusionOf(formula) is var type && type == kind ? fusion : Activator.CreateInstance(type, fusion, example)!;
    }

    /// <summary>The type of <see cref="NewFusion"/>.</summary>
    public static Type FusionOf(Type formula)
    {
        Type fusion = KindOf(formula);
        return typeof(IFormulaSlopes).IsAssignableFrom(formula) ? typeof(ByHand<,>).MakeGenericType(fusion, formula) : fusion;
    }

    private static Type KindOf(Type formula) =>
        Kinds.First(kind => kind.Interface.IsAssignableFrom(formula)).Fusion.MakeGenericType(formula);

    private static string? Outside(int count, int least, int most, string what) =>
        count >= least && count <= most ? null : $"has {count} {what}; it can have {least} to {most}";

    private static string? FieldWithReferences(Type type, string path)
    {
        foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            string name = $"{path}.{field.Name}";
            if (!field.FieldType.IsValueType || field.FieldType == typeof(bool) || field.FieldType == typeof(char))
            {
                return $"{name} of type {field.FieldType.Name}";
            }

            if (!field.FieldType.IsPrimitive && !field.FieldType.IsEnum && FieldWithReferences(field.FieldType, name) is { } inner)
            {
                return inner;
            }
        }

        return null;
    }

    private readonly struct NoOptions : IFormulaExample<NoOptions>
    {
        public static NoOptions Example => default;
    }
}
