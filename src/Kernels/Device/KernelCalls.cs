using System.Reflection;
using System.Reflection.Emit;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// The methods that a kernel calls, found in their IL, and what in them would end the process inside of ILGPU instead of being refused by
/// it.
/// </summary>
internal static class KernelCalls
{
    private static readonly Dictionary<short, OpCode> KnownOpCodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    /// <exception cref="KernelRefusedException">A native integer, or a method that calls itself: ILGPU overflows the stack on
    /// both.</exception>
    public static void Check(MethodInfo kernel) => Check(kernel, kernel, [], []);

    private static void Check(MethodInfo kernel, MethodBase method, HashSet<MethodBase> checkedOnes, Stack<MethodBase> callers)
    {
        if (callers.Contains(method))
        {
            throw new KernelRefusedException(kernel, $"{NameOf(method)}, which calls itself",
                "GPUs have no stack to speak of: use a loop.");
        }

        if (!checkedOnes.Add(method) || IsForeign(method) || method.GetMethodBody() is not { } body)
        {
            return;
        }

        string place = method == kernel ? "its" : $"in {NameOf(method)}, which it calls, the";
        if (body.LocalVariables.FirstOrDefault(local => IsNative(local.LocalType)) is { } local)
        {
            throw Native($"{place} local variable number {local.LocalIndex} of type {local.LocalType.Name}");
        }

        if (method.GetParameters().FirstOrDefault(parameter => method != kernel && IsNative(parameter.ParameterType)) is { } parameter)
        {
            throw Native($"{place} parameter {parameter.Name} of type {parameter.ParameterType.Name}");
        }

        callers.Push(method);
        foreach (MethodBase called in CallsIn(method, body.GetILAsByteArray()!))
        {
            Check(kernel, called, checkedOnes, callers);
        }

        callers.Pop();

        KernelRefusedException Native(string construct) => new(kernel, construct, "Use long or ulong for addresses.");
    }

    private static bool IsNative(Type type) => type == typeof(nint) || type == typeof(nuint);

    /// <summary>Methods of the runtime and of ILGPU, for which the compiler has code of its own.</summary>
    private static bool IsForeign(MethodBase method)
    {
        string assembly = method.Module.Assembly.GetName().Name!;
        return assembly.StartsWith("System.", StringComparison.Ordinal) || assembly.Split('.')[0] == "ILGPU";
    }

    private static string NameOf(MethodBase method) => $"{method.DeclaringType?.Name}.{method.Name}";

    private static IEnumerable<MethodBase> CallsIn(MethodBase method, byte[] il)
    {
        Type[] typeArguments = method.DeclaringType?.GetGenericArguments() ?? [];
        Type[] methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : [];
        Type? constrained = null;
        for (int at = 0; at < il.Length;)
        {
            OpCode code = KnownOpCodes[il[at] == 0xFE ? (short)(0xFE00 | il[at + 1]) : il[at]];
            at += code.Size;
            int operand = OperandBytes(code, il, at);
            if (code == OpCodes.Constrained)
            {
                constrained = method.Module.ResolveType(BitConverter.ToInt32(il, at), typeArguments, methodArguments);
            }
            else if (code.OperandType == OperandType.InlineMethod)
            {
                MethodBase called = method.Module.ResolveMethod(BitConverter.ToInt32(il, at), typeArguments, methodArguments)!;
                yield return constrained is null ? called : Implementation(constrained, (MethodInfo)called);
                constrained = null;
            }

            at += operand;
        }
    }

    /// <summary>What a call of an interface's static method comes to for the type that stands in its place.</summary>
    private static MethodInfo Implementation(Type type, MethodInfo method)
    {
        if (method.DeclaringType is not { IsInterface: true } declaring || type.IsInterface)
        {
            return method;
        }

        InterfaceMapping mapping = type.GetInterfaceMap(declaring);
        int index = Array.IndexOf(mapping.InterfaceMethods, method.IsGenericMethod ? method.GetGenericMethodDefinition() : method);
        MethodInfo found = index < 0 ? method : mapping.TargetMethods[index];
        return found.IsGenericMethodDefinition ? found.MakeGenericMethod(method.GetGenericArguments()) : found;
    }

    private static int OperandBytes(OpCode code, byte[] il, int at) => code.OperandType switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(il, at)),
        _ => 4,
    };
}
