using System.Reflection;

namespace CudaTrainer.Kernels.Device;

/// <summary>Every kernel of an assembly, generic ones for both element types, in alphabetical order: for tests, tables and the check of a
/// GPU.</summary>
internal static class KernelCatalog
{
    public static IReadOnlyList<KernelSource> Of(Assembly assembly) =>
    [
        .. assembly.GetTypes()
            .SelectMany(type => type.GetMethods(
                BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(method => method.IsDefined(typeof(GpuKernelAttribute)))
            .SelectMany(Versions)
            .Select(method => new KernelSource(method))
            .OrderBy(kernel => kernel.Name, StringComparer.Ordinal),
    ];

    private static IEnumerable<MethodInfo> Versions(MethodInfo method) => method.IsGenericMethodDefinition
        ? [method.MakeGenericMethod(typeof(Float32), typeof(Four)), method.MakeGenericMethod(typeof(Float16), typeof(Eight))]
        : [method];
}
