using System.Reflection;
using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Device;

/// <summary>A kernel as it is declared: a method, for one element type where it is generic.</summary>
internal sealed class KernelSource
{
    private readonly GpuKernelAttribute _attribute;

    /// <exception cref="KernelRefusedException">The method cannot be a kernel.</exception>
    public KernelSource(MethodInfo method)
    {
        Method = method;
        _attribute = method.GetCustomAttribute<GpuKernelAttribute>() ??
            throw new KernelRefusedException(method, "it has no [GpuKernel]", "The attribute names the threads of a block.");
        Type[] declaring = method.DeclaringType!.GetGenericArguments();
        Element = method.IsGenericMethod ? method.GetGenericArguments()[0] : _attribute.Element;
        string suffix = Element is null ? string.Empty : Element == typeof(Float16) ? "_f16" : "_f32";
        Name = $"{(declaring is [var subject] ? NameOf(subject) : method.DeclaringType.Name)}_{method.Name}{suffix}";
        if (!method.IsStatic || method.ReturnType != typeof(void) || method.GetParameters().Length != 1)
        {
            throw new KernelRefusedException(method, "its signature",
                "A kernel is a static void method of one parameter, the structure of its arguments.");
        }

        Arguments = method.GetParameters()[0].ParameterType;
        Layout = ArgumentLayout.Of(this);
    }

    public MethodInfo Method { get; }

    /// <summary>The element type it is compiled for; null for a kernel without versions.</summary>
    public Type? Element { get; }

    /// <summary>Its name in PTX, profiles and messages, for example <c>BatchNorm_Backward_f16</c>.</summary>
    public string Name { get; }

    public int Threads => _attribute.Threads;

    public int BlocksPerMultiprocessor => _attribute.BlocksPerMultiprocessor;

    public Type Arguments { get; }

    public ArgumentLayout Layout { get; }

    /// <summary>Everything but compiler and target that decides what the method compiles to.</summary>
    public string Identity
    {
        get
        {
            Type[] arguments = Method.IsGenericMethod ? Method.GetGenericArguments() : [];
            string types = string.Join(',', arguments.Select(type => type.FullName));
            IEnumerable<string> modules = ModulesOf(Method).Distinct().Order().Select(id => id.ToString("N"));
            return $"{string.Join('+', modules)} {Method.DeclaringType!.FullName}.{Method.Name}<{types}>({Arguments.FullName}) {Threads} {BlocksPerMultiprocessor}";
        }
    }

    private static IEnumerable<Guid> ModulesOf(MethodInfo method) =>
        [typeof(KernelSource).Module.ModuleVersionId, method.Module.ModuleVersionId, .. method.IsGenericMethod
            ? method.GetGenericArguments().SelectMany(ModulesOf)
            : [], .. ModulesOf(method.DeclaringType!)];

    private static IEnumerable<Guid> ModulesOf(Type type) =>
        [type.Module.ModuleVersionId, .. type.GetGenericArguments().SelectMany(ModulesOf)];

    /// <summary>What a generic kernel is for: its innermost type argument, for example the formula.</summary>
    private static string NameOf(Type type) => type.GetGenericArguments() is [var inner, ..] ? NameOf(inner) : type.Name;
}

/// <summary>Where the fields of a kernel's argument structure lie.</summary>
/// <param name="Bytes">The structure's size.</param>
/// <param name="Arrays">Offset of each array that a kernel gets, and the bytes of its elements.</param>
internal sealed record ArgumentLayout(int Bytes, IReadOnlyList<(int Offset, int ElementBytes)> Arrays)
{
    public static ArgumentLayout Of(KernelSource kernel)
    {
        var arrays = new List<(int, int)>();
        (int size, _) = Measure(kernel, kernel.Arguments, arrays);
        return size == SizeOf(kernel.Arguments) ? new ArgumentLayout(size, arrays) : throw new KernelRefusedException(
            kernel.Method, $"the layout of its arguments {kernel.Arguments.Name}",
                "Fields must lie in the order of their declaration, without packing.");
    }

    /// <summary>Fields in their order, each at the next multiple of its alignment: what the runtime does with plain structures, and what
    /// the compiler does.</summary>
    private static (int Size, int Alignment) Measure(KernelSource kernel, Type type, List<(int Offset, int ElementBytes)> arrays)
    {
        if (type == typeof(GpuArray))
        {
            arrays.Add((0, ElementBytes(kernel)));
            return (16, 8);
        }

        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(GpuArray<>))
        {
            arrays.Add((0, SizeOf(type.GetGenericArguments()[0])));
            return (16, 8);
        }

        if (type == typeof(nint) || type == typeof(nuint) || type == typeof(bool) || type == typeof(char) || type.IsPointer ||
            !type.IsValueType)
        {
            throw new KernelRefusedException(kernel.Method, $"an argument of type {type.Name}",
                "Arguments are numbers, structures of them and GpuArray.");
        }

        if (type.IsPrimitive || type.IsEnum)
        {
            int size = SizeOf(type.IsEnum ? Enum.GetUnderlyingType(type) : type);
            return (size, size);
        }

        int offset = 0, widest = 1;
        foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .OrderBy(field => field.MetadataToken))
        {
            int before = arrays.Count;
            (int size, int alignment) = Measure(kernel, field.FieldType, arrays);
            offset = RoundUp(offset, alignment);
            for (int i = before; i < arrays.Count; i++)
            {
                arrays[i] = (arrays[i].Offset + offset, arrays[i].ElementBytes);
            }

            offset += size;
            widest = Math.Max(widest, alignment);
        }

        // A structure without fields takes a byte, for the runtime as for the compiler.
        return (Math.Max(1, RoundUp(offset, widest)), widest);
    }

    private static int ElementBytes(KernelSource kernel) => kernel.Element is { } element
        ? (int)element.GetProperty(nameof(Float32.Bytes))!.GetValue(null)!
        : throw new KernelRefusedException(
            kernel.Method, "a GpuArray without a type in a kernel without versions",
            "Only kernels generic over IElement, or with an Element in their attribute, have an element type of their own.");

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    private static int SizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;
}
