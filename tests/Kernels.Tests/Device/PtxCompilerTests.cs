using System.Text.RegularExpressions;
using CudaTrainer.Kernels.Device;

namespace CudaTrainer.Kernels.Tests;

/// <summary>From C# to PTX: every kernel there is, and methods that cannot be kernels.</summary>
public sealed partial class PtxCompilerTests
{
    public static TheoryData<string, string, string> Refused => new()
    {
        { nameof(RefusedKernels.Throws), "'Throw'» in Void Throws(OneArray)", "may not throw" },
        { nameof(RefusedKernels.UsesHalf), "Half", "System.Half" },
        { nameof(RefusedKernels.CountsNatively), "its local variable number 0 of type IntPtr", "Use long or ulong" },
        { nameof(RefusedKernels.CallsWhatCountsNatively), "in NativeCounter.Count, which it calls, the local variable number 1 of type IntPtr", "Use long or ulong" },
        { nameof(RefusedKernels.CallsWhatTakesANativeInteger), "in RefusedKernels.Lower, which it calls, the parameter value of type IntPtr", "Use long or ulong" },
        { nameof(RefusedKernels.CallsWhatCallsItself), "RefusedKernels.Factorial, which calls itself", "use a loop" },
        { nameof(RefusedKernels.TakesAClass), "an argument of type String", "Arguments are numbers, structures of them and GpuArray." },
        { nameof(RefusedKernels.TakesABool), "an argument of type Boolean", "Arguments are numbers" },
        { nameof(RefusedKernels.TakesAPointer), "an argument of type Int32*", "Arguments are numbers" },
        { nameof(RefusedKernels.TakesTwo), "its signature", "one parameter, the structure of its arguments" },
        { nameof(RefusedKernels.Returns), "its signature", "a static void method" },
        { nameof(RefusedKernels.HasNoAttribute), "it has no [GpuKernel]", "names the threads of a block" },
        { nameof(RefusedKernels.TakesUntyped), "a GpuArray without a type", "generic over IElement" },
    };

    [Fact]
    public void Every_kernel_compiles_for_the_oldest_target() => EveryKernelCompiles(70);

    [Theory]
    [Trait("Category", "Slow")]
    [InlineData(75)]
    [InlineData(80)]
    public void Every_kernel_compiles_for_newer_targets(int target) => EveryKernelCompiles(target);

    private static void EveryKernelCompiles(int target)
    {
        IReadOnlyList<KernelSource> kernels = KernelCatalog.Of(typeof(KernelSource).Assembly);
        kernels.Count.ShouldBeGreaterThan(20);
        kernels.Select(kernel => kernel.Name).ShouldBeUnique();
        foreach (KernelSource kernel in kernels)
        {
            string text = PtxCompiler.Compile(kernel, target);
            text.ShouldContain($".version {Interop.Cuda.PtxVersion}\n", customMessage: kernel.Name);
            text.ShouldContain($".target sm_{target}\n", customMessage: kernel.Name);
            text.ShouldContain($".entry {kernel.Name}(", customMessage: kernel.Name);
            WithoutSpace().IsMatch(text).ShouldBeFalse($"{kernel.Name} has an access without a state space");
            Calls().IsMatch(text).ShouldBeFalse($"{kernel.Name} calls something that is not in its text");
            text.ShouldNotContain(".local", customMessage: $"{kernel.Name} keeps something in local memory");
        }
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_cannot_be_a_kernel_is_refused_with_method_construct_and_rule(string method, string construct, string rule)
    {
        KernelRefusedException refused = Should.Throw<KernelRefusedException>(
            () => PtxCompiler.Compile(new KernelSource(typeof(RefusedKernels).GetMethod(method)!), 80));
        refused.Method.Name.ShouldBe(method);
        refused.Construct.ShouldContain(construct);
        refused.Rule.ShouldContain(rule);
        refused.Message.ShouldBe($"RefusedKernels.{method} cannot be a GPU kernel because of {refused.Construct}. {refused.Rule}");

        // The compiler's own state is of no use after some refusals; the next kernel must not notice.
        var next = new KernelSource(((GpuKernelMethod<TestKernels.AddArguments>)TestKernels.Put).Method);
        PtxCompiler.Compile(next, 80).ShouldContain("TestKernels_Put");
    }

    [Fact]
    public void Threads_and_blocks_of_the_declaration_are_in_the_text()
    {
        string text = PtxCompiler.Compile(new KernelSource(((GpuKernelMethod<TestKernels.OneArray>)TestKernels.Bounded).Method), 70);
        Regex.IsMatch(text, @"\.maxntid 64\b").ShouldBeTrue(text);
        text.ShouldNotContain(".minnctapersm");
    }

    [GeneratedRegex(@"^\s*(@!?%p\d+ )?(ld|st|atom|red)\.(v[24]\.)?[bfus]\d+\s", RegexOptions.Multiline)]
    private static partial Regex WithoutSpace();

    [GeneratedRegex(@"^\s*(\.extern \.func|call)", RegexOptions.Multiline)]
    private static partial Regex Calls();
}
