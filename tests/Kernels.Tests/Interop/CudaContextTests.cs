using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class CudaContextTests : InteropTest
{
    [Fact]
    public void Devices_are_described()
    {
        using CudaContext context = Open();
        CudaDeviceInfo info = context.Info;
        info.Ordinal.ShouldBe(context.Ordinal);
        info.Name.ShouldNotBeEmpty();
        info.Uuid.ShouldMatch("^GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$");
        Interop.Cuda.Devices.Select(device => device.Uuid).ShouldBeUnique();
        info.ComputeMajor.ShouldBeGreaterThanOrEqualTo(7);
        info.WarpSize.ShouldBe(32);
        info.SharedBytesPerBlockOptin.ShouldBeGreaterThanOrEqualTo(48 << 10);
        Interop.Cuda.DriverVersion.ShouldBeGreaterThanOrEqualTo(Interop.Cuda.MinimumDriver);
        Interop.Cuda.UnavailableReason.ShouldBeEmpty();
    }

    [Fact]
    public void The_simulator_says_so_everywhere()
    {
        using CudaContext context = OpenSimulated();
        context.Info.Name.ShouldContain("SIMULATED");
        Interop.Cuda.Libraries.ShouldAllBe(library => library.IsSimulated && library.Version.StartsWith("SIMULATED"));
    }

    [Fact]
    public void Memory_is_counted_and_comes_back()
    {
        using CudaContext context = Open();
        (long free, long total) = context.MemoryInfo();
        nint address = context.TryAllocate(64L << 20);
        (address % 256).ShouldBe(0);
        context.MemoryInfo().ShouldBe((free - (64L << 20), total));
        context.Free(address);
        context.MemoryInfo().ShouldBe((free, total));
        (context.Counters.DeviceAllocations, context.Counters.DeviceFrees).ShouldBe((1, 1));
    }

    [Fact]
    public void Out_of_memory_gives_0_and_hurts_nothing()
    {
        using CudaContext context = Open();
        context.TryAllocate(context.MemoryInfo().Total + (1L << 30)).ShouldBe(0);
        context.FirstFailure.ShouldBeNull();
        nint address = context.TryAllocate(1000);
        address.ShouldNotBe(0);
        context.Free(address);
    }

    [Fact]
    public void What_a_constructor_made_before_memory_ran_out_is_given_back()
    {
        using CudaContext context = OpenSimulated();
        using var stream = new CudaStream(context);
        (long Free, long) before = context.MemoryInfo();
        Configure("FAIL_ALLOC", "1");
        Should.Throw<CudaException>(() => new CublasHandle(context, stream, 1 << 20)).Message.ShouldContain("OUT_OF_MEMORY");

        using var cudnn = new CudnnHandle(context, stream);
        for (int k = 1; k <= 2; k++)
        {
            Configure("FAIL_ALLOC", $"{k}");
            Should.Throw<CudaException>(() => new CudnnLstm(cudnn, 2, 3, 8, 8, CudaType.Float32)).Code.ShouldBe(2);
            context.MemoryInfo().ShouldBe(before);
        }

        new CudnnLstm(cudnn, 2, 3, 8, 8, CudaType.Float32).Dispose();
    }

    [Fact]
    public void Copies_and_fills_arrive_and_are_counted()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        nint a = Upload(stream, 1, 2, 3, 4), b = context.TryAllocate(16);
        long copies = context.Counters.Copies, bytes = context.Counters.CopiedBytes;
        stream.CopyOnDevice(a, b, 16);
        stream.Fill(b + 4, 0xFF, 4);
        Read<int>(stream, b, 4).ShouldBe([1, -1, 3, 4]);
        (context.Counters.Copies - copies, context.Counters.CopiedBytes - bytes, context.Counters.Fills).ShouldBe((2, 32, 1));
        stream.CopyOnDevice(a, b, 0);
        stream.Fill(b, 0, 0);
        (context.Counters.Copies - copies, context.Counters.Fills).ShouldBe((2, 1));
    }

    [Fact]
    public void A_copy_beyond_an_allocation_is_refused_by_name()
    {
        using CudaContext context = OpenSimulated();
        using var stream = new CudaStream(context);
        nint device = context.TryAllocate(64);
        using PinnedMemory host = context.AllocatePinned(128);
        CudaException failure = Should.Throw<CudaException>(() => stream.CopyToDevice(host.Pointer, device, 65));
        (failure.Call, failure.CodeName, failure.Code, failure.IsSticky)
            .ShouldBe(("cuMemcpyHtoDAsync", "CUDA_ERROR_INVALID_VALUE", 1, false));
        failure.Message.ShouldContain($"cuMemcpyHtoDAsync failed on cuda:{context.Ordinal}");
        stream.CopyToDevice(host.Pointer, device, 64);
        stream.Synchronize();
    }

    [Fact]
    public void Copies_between_devices_arrive_with_and_without_peer_access()
    {
        Assert.SkipUnless(Interop.Cuda.Devices.Count > 1, "there is only one device");
        foreach (string mode in Interop.Cuda.IsSimulated ? new[] { "on", "off" } : ["as it is"])
        {
            if (Interop.Cuda.IsSimulated)
            {
                Configure("PEER", mode);
            }

            using CudaContext first = new(0), second = new(1);
            using CudaStream one = new(first), two = new(second);
            bool can = second.CanAccessPeer(first);
            if (can)
            {
                second.EnablePeerAccess(first);
                second.EnablePeerAccess(first);
            }

            can.ShouldBe(mode switch { "on" => true, "off" => false, _ => can });
            nint from = Upload(one, 5, 6, 7), to = Upload(two, 0, 0, 0);
            two.CopyFromPeer(from, first, to, 12);
            Read<int>(two, to, 3).ShouldBe([5, 6, 7]);
            first.Free(from);
        }
    }

    [Fact]
    public void After_a_sticky_error_every_call_names_the_first_that_failed_and_disposing_still_works()
    {
        CudaContext context = OpenSimulated();
        var stream = new CudaStream(context);
        PinnedMemory pinned = context.AllocatePinned(64);
        using var place = new CudaEvent(context);
        var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.OneArray>(library, TestKernels.Bounded);
        Configure("FAIL_LAUNCH", kernel.Name);
        CudaException first = Should.Throw<CudaException>(() =>
        {
            Launch(kernel, stream, context.TryAllocate(256));
            stream.Synchronize();
        });
        first.IsSticky.ShouldBeTrue();
        first.CodeName.ShouldBe("CUDA_ERROR_LAUNCH_FAILED");
        first.Message.ShouldContain("CUDATRAINER_SYNC=1");
        context.FirstFailure.ShouldBe(first);

        foreach (Action later in new Action[]
        {
            () => context.Use(), () => context.TryAllocate(64), () => stream.Synchronize(), () => stream.Record(place), () =>
                Launch(kernel, stream, 0), () => _ = new CudaEvent(context),
            () => context.AllocatePinned(8), () => stream.CopyToHost(0, pinned.Pointer, 8), () => _ = place.HasPassed,
        })
        {
            CudaException failure = Should.Throw<CudaException>(later);
            failure.Message.ShouldContain(first.Message);
            failure.Message.ShouldContain($"cuda:{context.Ordinal} cannot be used any more");
            (failure.Call, failure.Code, failure.IsSticky).ShouldBe((first.Call, first.Code, true));
            failure.InnerException.ShouldBe(first);
        }

        context.Free(12345);
        pinned.Dispose();
        stream.AbandonCapture();
        stream.Dispose();
        library.Dispose();
        context.Dispose();
        context.Dispose();
        Should.Throw<ObjectDisposedException>(context.Use);
    }

    [Fact]
    public void A_lost_device_is_noticed_by_whatever_is_called_next()
    {
        using CudaContext context = OpenSimulated();
        using var stream = new CudaStream(context);
        nint device = context.TryAllocate(256);
        Configure("LOSE_DEVICE", "1");
        CudaException failure = Should.Throw<CudaException>(() =>
        {
            stream.Fill(device, 0, 256);
            stream.Synchronize();
        });
        (failure.Code, failure.IsSticky).ShouldBe((214, true));
        context.FirstFailure.ShouldBe(failure);
    }

    [Fact]
    public void A_failure_of_a_library_on_a_dead_device_is_told_in_the_drivers_words()
    {
        using CudaContext context = OpenSimulated();
        using var stream = new CudaStream(context);
        using var cublas = new CublasHandle(context, stream, 1 << 20);
        nint a = Upload(stream, new float[16]), c = Upload(stream, new float[16]);
        Configure("LOSE_DEVICE", "1");
        CudaException failure = Should.Throw<CudaException>(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                cublas.Gemm(false, false, 4, 4, 4, 1, a, CudaType.Float32, 4, a, CudaType.Float32, 4, 0, c, CudaType.Float32, 4);
                stream.Synchronize();
            }
        });
        (failure.CodeName, failure.IsSticky).ShouldBe(("CUDA_ERROR_ECC_UNCORRECTABLE", true));
    }

    [Fact]
    public void Everything_made_from_a_context_ends_with_it()
    {
        CudaContext context = OpenSimulated();
        string[] kinds = ["live_streams", "live_events", "live_pinned", "live_modules", "live_graph_execs"];
        long[] before = [.. kinds.Select(Counted)];
        Make(context);
        kinds.Select(Counted).Zip(before, (now, then) => now - then).ShouldBe([1, 1, 1, 1, 1]);

        // Nobody holds these objects any more; finalizers must release nothing, the context must.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        kinds.Select(Counted).Zip(before, (now, then) => now - then).ShouldBe([1, 1, 1, 1, 1]);
        context.Dispose();
        kinds.Select(Counted).ShouldBe(before);

        static void Make(CudaContext context)
        {
            var stream = new CudaStream(context);
            _ = new CudaEvent(context);
            _ = context.AllocatePinned(64);
            _ = new CudaModule(context, CudaModuleTests.Empty, "empty");
            nint device = context.TryAllocate(64);
            stream.BeginCapture();
            stream.Fill(device, 0, 64);
            stream.EndCapture().NodeCount.ShouldBe(1);
        }
    }

    [Fact]
    public void Undisposed_contexts_are_counted()
    {
        int before = CudaContext.Undisposed;
        CudaContext context = Open();
        CudaContext.Undisposed.ShouldBe(before + 1);
        context.Dispose();
        context.Dispose();
        CudaContext.Undisposed.ShouldBe(before);
    }

    [Fact]
    public void A_context_works_from_another_thread()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        nint device = Upload(stream, 1, 2);
        int[] values = [];
        var thread = new Thread(() => values = Read<int>(stream, device, 2));
        thread.Start();
        thread.Join();
        values.ShouldBe([1, 2]);
    }

    [Theory]
    [InlineData(2, false)]
    [InlineData(46, true)]
    [InlineData(214, true)]
    [InlineData(600, false)]
    [InlineData(700, true)]
    [InlineData(701, false)]
    [InlineData(702, true)]
    [InlineData(704, false)]
    [InlineData(710, true)]
    [InlineData(711, false)]
    [InlineData(712, false)]
    [InlineData(713, false)]
    [InlineData(714, true)]
    [InlineData(719, true)]
    [InlineData(720, false)]
    [InlineData(900, false)]
    [InlineData(901, false)]
    [InlineData(999, true)]
    public void Errors_that_end_a_context_are_told_from_those_that_do_not(int code, bool sticky) =>
        CudaException.IsStickyCode(code).ShouldBe(sticky);

    private static void Launch(CudaKernel kernel, CudaStream stream, nint pointer) =>
        kernel.Launch(stream, new Grid(1), new Grid(32), 0, new TestKernels.OneArray { Numbers = new(pointer, TestKernels.FewThreads) });
}
