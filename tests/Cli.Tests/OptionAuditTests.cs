using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Tests;

/// <summary>
/// Every option that is parsed is read by something that works with it: in the machine code of the program there is a call of its
/// property's getter outside the record itself and its validation. An option that nobody reads is a promise that
/// nobody keeps.
/// </summary>
public class OptionAuditTests
{
    private static readonly Assembly[] Assemblies = [typeof(Program).Assembly, typeof(TrainingOptions).Assembly, typeof(CudaTrainer.Live.Watching.Wall).Assembly];

    /// <summary>Read options to show, check or copy them.</summary>
    private const string Idle = "Validate";

    private static readonly Dictionary<short, OpCode> OpCodesByValue =
        typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (OpCode)field.GetValue(null)!)
            .ToDictionary(code => code.Value);

    [Fact]
    public void Every_option_is_read_somewhere()
    {
        // Of a setting that may be given several times its list is read.
        MethodInfo[] getters = [.. Properties().Where(property => property.GetCustomAttribute<SettingAttribute>()?.Values is null)
            .Select(property => property.GetMethod!)];
        getters.Length.ShouldBeGreaterThan(80);
        HashSet<MethodBase> read = [.. Assemblies.SelectMany(assembly => assembly.GetTypes()).Where(type => !IsIdle(type))
            .SelectMany(Bodies).Concat(Computed()).SelectMany(Calls)];

        getters.Where(getter => !read.Contains(getter)).Select(getter => $"{getter.DeclaringType!.Name}.{getter.Name[4..]}")
            .ShouldBeEmpty();
    }

    [Fact]
    public void An_option_that_nobody_reads_is_found()
    {
        MethodBase getter = typeof(Unread).GetProperty(nameof(Unread.Value))!.GetMethod!;

        Bodies(typeof(Reader)).SelectMany(Calls).ShouldContain(getter);
        Bodies(typeof(OptionAuditTests)).SelectMany(Calls).ShouldNotContain(getter);
    }

    /// <summary>The records that option tables are made of, and the parts of them that are records of options too.</summary>
    private static HashSet<Type> OptionRecords()
    {
        var types = new HashSet<Type>();
        foreach (CliCommand command in Program.Commands)
        {
            for (Type? type = command.GetType(); type is not null; type = type.BaseType)
            {
                if (type.IsGenericType)
                {
                    Add(type.GetGenericArguments()[0]);
                }
            }
        }

        return types;

        void Add(Type type)
        {
            if (type.Name.EndsWith("Options", StringComparison.Ordinal) && Assemblies.Contains(type.Assembly) && types.Add(type))
            {
                Add(type.BaseType!);
                foreach (PropertyInfo property in type.GetProperties())
                {
                    Add(property.PropertyType);
                }
            }
        }
    }

    /// <summary>
    /// Records read their own properties to compare and print them, generated serialisers to write them down; closures are types within the
    /// type.
    /// </summary>
    private static bool IsIdle(Type type) =>
        OptionRecords().Contains(type) || type == typeof(OptionValidation)
            || type.IsAssignableTo(typeof(JsonSerializerContext))
        || (type.DeclaringType is { } outer && IsIdle(outer));

    private static IEnumerable<PropertyInfo> Properties() => OptionRecords()
        .SelectMany(type => type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly));

    /// <summary>What records make of their settings for others, who read it under another name.</summary>
    private static IEnumerable<MethodBase> Computed() => OptionRecords()
        .SelectMany(type => type.GetProperties(
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.DeclaredOnly))
        .Where(property => !property.CanWrite).Select(property => property.GetMethod!);

    private static IEnumerable<MethodBase> Bodies(Type type) => type
        .GetMembers(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
            .OfType<MethodBase>()
        .Where(method => method.Name != Idle && !method.Name.StartsWith($"<{Idle}>", StringComparison.Ordinal));

    private static IEnumerable<MethodBase> Calls(MethodBase method)
    {
        byte[] code = method.GetMethodBody()?.GetILAsByteArray() ?? [];
        Type[] typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : [];
        Type[] methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : [];
        for (int at = 0; at < code.Length;)
        {
            short value = code[at] == 0xFE ? (short)(0xFE00 | code[at + 1]) : code[at];
            OpCode operation = OpCodesByValue[value];
            at += operation.Size;
            if (operation.OperandType == OperandType.InlineMethod)
            {
                yield return method.Module.ResolveMethod(BitConverter.ToInt32(code, at), typeArguments, methodArguments)!;
            }

            at += operation.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                _ => 4,
            };
        }
    }

    private sealed record Unread(int Value);

    private static class Reader
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static int Read(Unread options) => options.Value;
    }
}
