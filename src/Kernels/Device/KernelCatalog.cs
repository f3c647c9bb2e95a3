using System.Reflection;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Device;

/// <summary>Every kernel of an assembly, generic ones for both element types, in alphabetical order: for tests, tables and the check of a
/// GPU.</summary>
internal static class KernelCatalog
{
    public static IReadOnlyList<KernelSource> Of(Assembly assembly) =>
    [
        .. assembly.GetTypes()
            .SelectMany(type => Closed(type, assembly))
            .SelectMany(type => type.GetMethods(
                BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(IsNeeded)
            .SelectMany(Versions)
            .Select(method => new KernelSource(method))
            .OrderBy(kernel => kernel.Name, StringComparer.Ordinal),
    ];

    /// <summary>Kernels of any formula are shown by one of each kind, elements, rows and several outputs: that with the most
    /// operands.</summary>
    private static IEnumerable<Type> Closed(Type type, Assembly assembly)
    {
        if (!type.IsGenericTypeDefinition)
        {
            return [type];
        }

        return type.GetGenericArguments() is [var argument] && argument.GetGenericParameterConstraints().Contains(typeof(IFusion))
            ? FormulaTypes.In(assembly)
                .GroupBy(
                    formula => (FormulaTypes.IsOfRows(formula), FormulaTypes.HasSeveralOutputs(formula)),
                    (_, formulas) => formulas.MaxBy(FormulaTypes.CountOf)!)
                .Select(formula => type.MakeGenericType(FormulaTypes.FusionOf(formula)))
            : [];
    }

    private static bool IsNeeded(MethodInfo method) => method.GetCustomAttribute<GpuKernelAttribute>() is { } kernel
        && (!kernel.IsForRows || method.DeclaringType!.GetGenericArguments() is [{ } fusion]
            && fusion.GetGenericTypeDefinition() == typeof(RowFusion<>));

    private static IEnumerable<MethodInfo> Versions(MethodInfo method) => method.IsGenericMethodDefinition
        ? [method.MakeGenericMethod(typeof(Float32), typeof(Four)), method.MakeGenericMethod(typeof(Float16), typeof(Eight))]
        : [method];
}
