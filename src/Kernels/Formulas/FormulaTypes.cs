using System.Reflection;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>Formulas by reflection, for those who find them in an assembly.</summary>
public static class FormulaTypes
{
    private static readonly (Type Interface, Type Fusion)[] Kinds =
    [
        (typeof(IFormula1), typeof(Fusion1<>)), (typeof(IFormula2), typeof(Fusion2<>)), (typeof(IFormula3), typeof(Fusion3<>)),
        (typeof(IFormula4), typeof(Fusion4<>)), (typeof(IRowFormula), typeof(RowFusion<>)),
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

    /// <summary>Why a type that says it is a formula cannot be compiled for every device; null if it can.</summary>
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

        return Outside(formula, nameof(IFusion.Count), 1, Operands<float>.Most, "operands")
            ?? (IsOfRows(formula) ? Outside(formula, nameof(IFusion.Sums), 1, Row<float>.MostSums, "sums") : null);
    }

    /// <summary>The formula with the options of its example, or with every field 0.</summary>
    /// <exception cref="TargetInvocationException">Its example, or its constructor, throws.</exception>
    public static object ExampleOf(Type formula) =>
        formula.GetProperty(nameof(IFormulaExample<NoOptions>.Example), BindingFlags.Public | BindingFlags.Static)?.GetValue(null)
        ?? Activator.CreateInstance(formula)!;

    /// <summary>Where an operand lies; null where nothing was said.</summary>
    public static BetweenAttribute? RangeOf(Type formula, int operand) => IsOfRows(formula)
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

    private static string? Outside(Type formula, string property, int least, int most, string what)
    {
        int count = (int)FusionOf(formula).GetProperty(property)!.GetValue(null)!;
        return count >= least && count <= most ? null : $"has {count} {what}; it can have {least} to {most}";
    }

    private static string? FieldWithReferences(Type type, string path)
    {
        foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            string name = $"{path}.{field.Name}";
            if (!field.FieldType.IsValueType)
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
