using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

public sealed class KernelCompilerTests : InteropTest
{
    private const string Source = """
        #include "value.cuh"
        extern "C" __global__ void put(int *x) { x[0] = VALUE; }
        """;

    private static readonly Dictionary<string, string> Three = new() { ["value.cuh"] = "#define VALUE 3\n" };

    [Fact]
    public void A_source_that_does_not_compile_is_told_with_file_line_and_log()
    {
        using CudaContext context = Open();
        var failure = Should.Throw<KernelSourceException>(() => new KernelCompiler().Load(
            context, "relu.cu", "extern \"C\" __global__ void relu(float *x)\n{\n    x[0] = undeclared_name;\n}\n", new Dictionary<string, string>()));
        (failure.File, failure.Line).ShouldBe(("relu.cu", 3));
        failure.Log.ShouldContain("undeclared_name");
        failure.Message.ShouldStartWith("relu.cu does not compile");
        context.FirstFailure.ShouldBeNull();
    }

    [Fact]
    public void A_header_that_is_not_given_is_an_error_too()
    {
        using CudaContext context = Open();
        Should.Throw<KernelSourceException>(() => new KernelCompiler().Load(context, "put.cu", Source, new Dictionary<string, string>())).Log.ShouldContain("value.cuh");
    }

    [Fact]
    public void A_kernel_is_compiled_once_and_again_when_a_header_changes() => WithCache(folder =>
    {
        using CudaContext context = Open();
        Run(context, Three).ShouldBe(3);
        string entry = Directory.GetFiles(folder).ShouldHaveSingleItem();
        DateTime written = File.GetLastWriteTimeUtc(entry);
        Run(context, Three).ShouldBe(3);
        Directory.GetFiles(folder).ShouldBe([entry]);
        File.GetLastWriteTimeUtc(entry).ShouldBe(written);
        Run(context, new() { ["value.cuh"] = "#define VALUE 4\n" }).ShouldBe(4);
        Directory.GetFiles(folder).Length.ShouldBe(2);
    });

    [Fact]
    public void Only_what_is_not_in_the_cache_is_compiled() => WithCache(_ =>
    {
        using CudaContext context = OpenSimulated();
        long before = Counted("compilations");
        Run(context, Three);
        Run(context, Three);
        (Counted("compilations") - before).ShouldBe(1);
    });

    [Theory]
    [InlineData("truncated")]
    [InlineData("flipped")]
    [InlineData("empty")]
    [InlineData("foreign")]
    public void A_damaged_entry_is_compiled_anew_and_replaced(string damage) => WithCache(folder =>
    {
        using CudaContext context = Open();
        Run(context, Three);
        string entry = Directory.GetFiles(folder).ShouldHaveSingleItem();
        byte[] good = File.ReadAllBytes(entry), bad = [.. good];
        bad[^100] ^= 1;
        File.WriteAllBytes(entry, damage switch { "truncated" => good[..(good.Length / 2)], "flipped" => bad, "empty" => [], _ => "something else altogether, and long enough for a header"u8.ToArray() });
        Run(context, Three).ShouldBe(3);
        File.ReadAllBytes(entry).Length.ShouldBe(good.Length);
        File.ReadAllBytes(entry).ShouldNotBe(bad);
    });

    [Fact]
    public void An_intact_entry_that_the_driver_refuses_is_compiled_anew() => WithCache(folder =>
    {
        using CudaContext context = Open();
        Run(context, Three);
        string entry = Directory.GetFiles(folder).ShouldHaveSingleItem();
        byte[] file = File.ReadAllBytes(entry), image = "an image of another build"u8.ToArray();
        int header = Array.IndexOf(file, (byte)'\n') + 1;
        File.WriteAllBytes(entry, [.. file[..header], .. System.Security.Cryptography.SHA256.HashData(image), .. image]);
        Run(context, Three).ShouldBe(3);
        File.ReadAllBytes(entry).ShouldBe(file);
    });

    [Fact]
    public void Several_writers_leave_one_good_entry() => WithCache(folder =>
    {
        using CudaContext context = Open();
        int[] results = new int[4];
        Thread[] threads = [.. results.Select((_, i) => new Thread(() =>
        {
            using CudaContext own = new(context.Ordinal);
            results[i] = Run(own, Three);
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        results.ShouldAllBe(result => result == 3);
        Directory.GetFiles(folder).ShouldHaveSingleItem();
        Run(context, Three).ShouldBe(3);
    });

    [Fact]
    public void A_cache_that_cannot_be_written_costs_only_time()
    {
        using CudaContext context = Open();
        string? before = Environment.GetEnvironmentVariable(KernelCompiler.CacheVariable);
        try
        {
            Environment.SetEnvironmentVariable(KernelCompiler.CacheVariable, "/proc/none/kernels");
            Run(context, Three).ShouldBe(3);
        }
        finally
        {
            Environment.SetEnvironmentVariable(KernelCompiler.CacheVariable, before);
        }
    }

    private static int Run(CudaContext context, Dictionary<string, string> headers)
    {
        using var stream = new CudaStream(context);
        using CudaModule module = new KernelCompiler().Load(context, "put.cu", Source, headers);
        nint number = Upload(stream, 0);
        var arguments = new KernelArguments();
        arguments.Add(number);
        module.GetKernel("put").Launch(stream, new Grid(1), new Grid(1), 0, arguments);
        int result = Read<int>(stream, number, 1)[0];
        context.Free(number);
        return result;
    }

    private static void WithCache(Action<string> test)
    {
        string? before = Environment.GetEnvironmentVariable(KernelCompiler.CacheVariable);
        string folder = Directory.CreateTempSubdirectory("cudatrainer-kernels").FullName;
        try
        {
            Environment.SetEnvironmentVariable(KernelCompiler.CacheVariable, folder);
            test(folder);
        }
        finally
        {
            Environment.SetEnvironmentVariable(KernelCompiler.CacheVariable, before);
            Directory.Delete(folder, recursive: true);
        }
    }
}
