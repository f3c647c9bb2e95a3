using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>What the driver makes of PTX, good and bad.</summary>
public sealed class CudaModuleTests : InteropTest
{
    public const string Empty = """
        .version 7.0
        .target sm_70
        .address_size 64
        .visible .entry nothing()
        {
            ret;
        }
        """;

    [Fact]
    public void Text_becomes_a_kernel_and_an_unknown_one_is_named_with_its_module()
    {
        using CudaContext context = Open();
        using var module = new CudaModule(context, Empty, "empty");
        module.GetKernel("nothing").Name.ShouldBe("nothing");
        Should.Throw<CudaException>(() => module.GetKernel("nothin"))
            .Message.ShouldContain("cuModuleGetFunction(nothin of empty) failed on cuda:");
    }

    [Fact]
    public void Text_that_is_wrong_is_told_in_the_words_of_the_drivers_compiler()
    {
        using CudaContext context = Open();
        CudaException failure = Should.Throw<CudaException>(() => new CudaModule(context, With("ret;", "frob %r1;"), "wrong"));
        (failure.Call, failure.Code, failure.CodeName, failure.Kernel, failure.IsSticky).ShouldBe(
            ("cuModuleLoadDataEx", 218, "CUDA_ERROR_INVALID_PTX", "wrong", false));
        failure.Message.ShouldStartWith($"cuModuleLoadDataEx(wrong) failed on cuda:{context.Ordinal}: CUDA_ERROR_INVALID_PTX (218): ");
        failure.Message.ShouldContain("frob");
        failure.Message.ShouldContain("line 6");

        // The device is as good as before.
        context.FirstFailure.ShouldBeNull();
        using var module = new CudaModule(context, Empty, "empty");
    }

    [Theory]
    [InlineData("")]
    [InlineData("no PTX at all, only text")]
    public void What_is_no_PTX_is_refused(string text)
    {
        using CudaContext context = Open();
        Should.Throw<CudaException>(() => new CudaModule(context, text, "text")).Message.ShouldContain("cuModuleLoadDataEx(text) failed");
    }

    [Fact]
    public void A_long_log_is_cut_and_not_lost()
    {
        using CudaContext context = Open();
        string name = new('x', 50_000);
        CudaException failure = Should.Throw<CudaException>(() => new CudaModule(context, With("ret;", $"mov.b32 {name}, 0;"), "long"));
        failure.Message.ShouldContain("xxx");
        failure.Message.Length.ShouldBeLessThan(20_000);
    }

    [Fact]
    public void A_driver_too_old_for_our_PTX_is_named_with_the_one_that_is_needed()
    {
        using CudaContext context = OpenSimulated();
        using var library = new KernelLibrary(context);
        Configure("DRIVER_VERSION", "10020");
        CudaException failure = Should.Throw<CudaException>(() => Load<TestKernels.OneArray>(library, TestKernels.Bounded));
        (failure.Code, failure.CodeName, failure.Kernel, failure.IsSticky).ShouldBe(
            (222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "TestKernels_Bounded", false));
        failure.Message.ShouldContain(
            "PTX 7.0, which needs a driver of CUDA 11.0 (450.36) or newer; this one supports CUDA 10.2: install a newer NVIDIA driver");

        Configure("DRIVER_VERSION", "11000");
        Load<TestKernels.OneArray>(library, TestKernels.Bounded).MaxThreads.ShouldBe(TestKernels.FewThreads);
    }

    [Fact]
    public void PTX_that_is_newer_than_the_driver_is_told_so()
    {
        using CudaContext context = OpenSimulated();
        Configure("DRIVER_VERSION", "11020");
        CudaException failure = Should.Throw<CudaException>(() => new CudaModule(context, With("7.0", "8.4"), "newer"));
        failure.Code.ShouldBe(222);
        failure.Message.ShouldContain("PTX 8.4 is newer than 7.2");
        failure.Message.ShouldContain("this one supports CUDA 11.2");
    }

    [Fact]
    public void A_target_above_the_device_is_told_so()
    {
        using CudaContext context = OpenSimulated();
        Configure("COMPUTE_CAPABILITY", "7.0");
        CudaException failure = Should.Throw<CudaException>(() => new CudaModule(context, With("sm_70", "sm_75"), "above"));
        (failure.Code, failure.IsSticky).ShouldBe((209, false));
        failure.Message.ShouldContain("compute capability 7.0 (Volta) and newer");
    }

    [Theory]
    [InlineData(7, 0, 70)]
    [InlineData(7, 5, 75)]
    [InlineData(8, 0, 80)]
    [InlineData(8, 9, 80)]
    [InlineData(12, 0, 80)]
    public void Kernels_are_compiled_for_the_device_or_the_newest_target(int major, int minor, int target)
    {
        using CudaContext context = Open();
        KernelLibrary.TargetOf(context.Info with { ComputeMajor = major, ComputeMinor = minor }).ShouldBe(target);
    }

    [Fact]
    public void The_trial_runs_a_kernel()
    {
        using CudaContext context = Open();
        KernelTrial trial = KernelTrial.Run(context);
        trial.PtxVersion.ShouldBe("7.0");
        trial.Target.ShouldBeInRange(70, 80);
        trial.Compilation.ShouldBeGreaterThan(TimeSpan.Zero);
        trial.Loading.ShouldBeGreaterThan(TimeSpan.Zero);
        context.Counters.KernelLaunches.ShouldBe(1);
        context.Counters.DeviceFrees.ShouldBe(context.Counters.DeviceAllocations);
    }

    private static string With(string what, string instead) => Empty.Replace(what, instead, StringComparison.Ordinal);
}
