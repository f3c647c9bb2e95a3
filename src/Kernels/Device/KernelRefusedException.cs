using System.Reflection;

namespace CudaTrainer.Kernels.Device;

/// <summary>A method cannot run on a GPU.</summary>
/// <param name="method">Which.</param>
/// <param name="construct">What in it cannot.</param>
/// <param name="rule">What kernels may do instead.</param>
/// <param name="cause">What the compiler said.</param>
internal sealed class KernelRefusedException(MethodInfo method, string construct, string rule, Exception? cause = null)
    : Exception($"{method.DeclaringType?.Name}.{method.Name} cannot be a GPU kernel because of {construct}. {rule}", cause)
{
    public MethodInfo Method { get; } = method;

    public string Construct { get; } = construct;

    public string Rule { get; } = rule;
}
