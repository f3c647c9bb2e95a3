using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Kernels on disk. The folder is one variable of the process, so that these tests run one after the other.</summary>
[Collection(CudaCollection.Name)]
public sealed class PtxCacheTests : IDisposable
{
    private const string TextsVariable = "CUDATRAINER_TEST_TEXTS";

    private readonly string? _before = Environment.GetEnvironmentVariable(PtxCache.Variable);
    private readonly string _folder = Directory.CreateTempSubdirectory("cudatrainer-kernels").FullName;

    public PtxCacheTests() => Environment.SetEnvironmentVariable(PtxCache.Variable, _folder);

    private static KernelSource Put { get; } = new(((GpuKernelMethod<TestKernels.AddArguments>)TestKernels.Put).Method);

    private static KernelSource Bounded { get; } = new(((GpuKernelMethod<TestKernels.OneArray>)TestKernels.Bounded).Method);

    private static IEnumerable<KernelSource> Kernels => [.. KernelCatalog.Of(typeof(KernelSource).Assembly), Put, Bounded];

    [Fact]
    public void A_kernel_is_compiled_once_for_each_target()
    {
        string text = PtxCache.Get(Put, 80);
        text.ShouldContain(".visible .entry TestKernels_Put(");
        text.ShouldContain(".target sm_80");
        string entry = Directory.GetFiles(_folder).ShouldHaveSingleItem();
        DateTime written = File.GetLastWriteTimeUtc(entry);
        PtxCache.Get(Put, 80).ShouldBe(text);
        Directory.GetFiles(_folder).ShouldBe([entry]);
        File.GetLastWriteTimeUtc(entry).ShouldBe(written);
        PtxCache.Get(Put, 75).ShouldContain(".target sm_75");
        PtxCache.Get(Bounded, 80).ShouldContain("TestKernels_Bounded");
        Directory.GetFiles(_folder).Length.ShouldBe(3);
    }

    [Theory]
    [InlineData("truncated")]
    [InlineData("flipped")]
    [InlineData("empty")]
    [InlineData("foreign")]
    [InlineData("older")]
    [InlineData("header only")]
    public void A_damaged_entry_is_compiled_anew_and_replaced(string damage)
    {
        string text = PtxCache.Get(Put, 80);
        string entry = Directory.GetFiles(_folder).ShouldHaveSingleItem();
        byte[] good = File.ReadAllBytes(entry), flipped = [.. good];
        int header = Array.IndexOf(good, (byte)'\n') + 1;
        flipped[^100] ^= 1;
        File.WriteAllBytes(entry, damage switch
        {
            "truncated" => good[..(good.Length / 2)],
            "flipped" => flipped,
            "empty" => [],
            "header only" => good[..(header + SHA256.HashSizeInBytes)],
            "older" => [.. Encoding.ASCII.GetBytes("cudatrainer ptx 0\n"), .. good[header..]],
            _ => "something else altogether, and long enough for a header and a hash behind it"u8.ToArray(),
        });
        PtxCache.Get(Put, 80).ShouldBe(text);
        File.ReadAllBytes(entry).ShouldBe(good);
    }

    [Fact]
    public void An_entry_that_is_a_folder_costs_only_time()
    {
        string text = PtxCache.Get(Put, 80);
        string entry = Directory.GetFiles(_folder).ShouldHaveSingleItem();
        File.Delete(entry);
        Directory.CreateDirectory(entry);
        PtxCache.Get(Put, 80).ShouldBe(text);
        Directory.GetFiles(_folder).ShouldBeEmpty("what could not be moved to its place is removed");
    }

    [Fact]
    public void A_cache_that_cannot_be_written_costs_only_time()
    {
        string text = PtxCache.Get(Put, 80);
        Environment.SetEnvironmentVariable(PtxCache.Variable, "/proc/none/kernels");
        PtxCache.Get(Put, 80).ShouldBe(text);
    }

    [Fact]
    public void Several_writers_leave_one_good_entry()
    {
        string[] texts = new string[4];
        Thread[] threads = [.. texts.Select((_, i) => new Thread(() => texts[i] = PtxCache.Get(Put, 80)))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        texts.Distinct().ShouldHaveSingleItem();
        Directory.GetFiles(_folder).ShouldHaveSingleItem();
        PtxCache.Get(Put, 80).ShouldBe(texts[0]);
    }

    [Fact]
    public void The_key_names_the_compiler_that_is_used() =>
        PtxCompiler.Version.ShouldStartWith($"ILGPU {typeof(ILGPU.Context).Assembly.GetName().Version!.ToString(3)}, ");

    /// <summary>Ids of methods, blocks and values count on through a process, and none may reach the text.</summary>
    [Fact]
    public void Another_process_compiles_the_same_text_in_another_order()
    {
        string texts = Path.Combine(_folder, "texts");
        string mine = PtxCompiler.Compile(Put, 80), again = PtxCompiler.Compile(Put, 80);
        again.ShouldBe(mine);
        ChildTest.Run(typeof(PtxCacheTests), nameof(Process_that_compiles), new Dictionary<string, string> { [TextsVariable] = texts });

        // What lies in the cache of all tests was compiled here or by yet another process, and is needed by the tests of the kernels.
        Environment.SetEnvironmentVariable(PtxCache.Variable, _before);
        (File.ReadAllText(texts) == AllTexts(Kernels, kernel => PtxCache.Get(kernel, 80))).ShouldBeTrue();
    }

    [Fact(Explicit = true)]
    public void Process_that_compiles() => File.WriteAllText(
        Environment.GetEnvironmentVariable(TextsVariable)!, AllTexts(Kernels.Reverse(), kernel => PtxCompiler.Compile(kernel, 80)));

    /// <summary>The compiler takes a second to start and 70 MB; whoever has compiled before shall pay neither.</summary>
    [Fact]
    public void The_compiler_is_not_loaded_when_the_cache_has_the_kernels()
    {
        Assert.SkipUnless(Interop.Cuda.IsAvailable, $"no CUDA: {Interop.Cuda.UnavailableReason}");
        LaunchSome();
        Directory.GetFiles(_folder).Length.ShouldBe(3);
        var environment = new Dictionary<string, string> { [PtxCache.Variable] = _folder };
        ChildTest.Run(typeof(PtxCacheTests), nameof(Process_that_finds_its_kernels), environment);
        Directory.GetFiles(_folder).Length.ShouldBe(3);
    }

    [Fact(Explicit = true)]
    public void Process_that_finds_its_kernels()
    {
        // The folder is what the parent has named, not the constructor's.
        Environment.SetEnvironmentVariable(PtxCache.Variable, _before);
        LaunchSome();
        IEnumerable<string?> loaded = AppDomain.CurrentDomain.GetAssemblies().Select(assembly => assembly.GetName().Name);
        loaded.ShouldNotContain(name => name!.StartsWith("ILGPU", StringComparison.Ordinal));
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(PtxCache.Variable, _before);
        Directory.Delete(_folder, recursive: true);
    }

    private static string AllTexts(IEnumerable<KernelSource> kernels, Func<KernelSource, string> text) =>
        string.Concat(kernels.Select(text).Order(StringComparer.Ordinal));

    /// <summary>Two kernels of the library, in single and half precision, and one of the tests.</summary>
    private static void LaunchSome()
    {
        using var context = new CudaContext(0);
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        nint memory = context.TryAllocate(4096);
        stream.Fill(memory, 0, 4096);
        foreach (CudaType type in Enum.GetValues<CudaType>())
        {
            new Cuda.BiasRelu(library).Run(stream, 2, 8, memory, memory + 1024, relu: true, type);
        }

        var arguments = new TestKernels.AddArguments { Numbers = new(memory, 256), Value = 5 };
        new GpuKernel<TestKernels.AddArguments>(library, TestKernels.Put).Launch(stream, new Grid(1), arguments);
        stream.Synchronize();
    }
}
