using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class CudaLaunchTests : InteropTest
{
    /// <summary>Arguments are one structure: a missing, swapped or wrong one does not compile, and is no matter of tests.</summary>
    [Fact]
    public void Arguments_of_every_size_arrive()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        nint result = Upload(stream, new double[11]), numbers = Upload(stream, 7, -8);
        new GpuKernel<TestKernels.EchoArguments>(library, TestKernels.Echo).Launch(stream, new Grid(2), new TestKernels.EchoArguments
        {
            Byte = -3,
            Short = 65000,
            Results = new(result, 11),
            Float = 0.25f,
            Long = -(1L << 40),
            Int = -70000,
            Double = 1e100,
            Pair = new TestKernels.SmallAndLarge { Small = 200, Large = 1L << 50 },
            Day = DayOfWeek.Friday,
            Numbers = new(numbers, 2),
            Unsigned = 4_000_000_000,
        });
        Read<double>(stream, result, 11).ShouldBe(
            [-3, 65000, -70000, 0.25, -(double)(1L << 40), 1e100, -8, 4_000_000_000, 200, 1L << 50, 5]);
        context.Counters.KernelLaunches.ShouldBe(1);
    }

    [Fact]
    public void Grids_and_blocks_have_three_dimensions_in_this_order()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        nint result = Upload(stream, new int[2 * 3 * 4 * 5 * 2 * 3]);
        Load<TestKernels.OneArray>(library, TestKernels.Coordinates)
            .Launch(stream, new Grid(2, 3, 4), new Grid(5, 2, 3), 0, new TestKernels.OneArray { Numbers = new(result, 720) });
        int[] expected = [.. from block in Positions(2, 3, 4) from thread in Positions(5, 2, 3) select (1000 * block) + thread];
        Read<int>(stream, result, 720).ShouldBe(expected);

        // x counts fastest; written as digits zyx.
        static IEnumerable<int> Positions(int x, int y, int z) =>
            Enumerable.Range(0, x * y * z).Select(i => (i % x) + (10 * (i / x % y)) + (100 * (i / (x * y))));
    }

    [Fact]
    public void Dynamic_shared_memory_is_given_and_more_than_usual_must_be_asked_for()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.OneArray>(library, TestKernels.Reverse);
        nint numbers = Upload(stream, 1, 2, 3, 4);
        Launch(16);
        Read<int>(stream, numbers, 4).ShouldBe([4, 3, 2, 1]);

        const int Large = 64 << 10;
        Should.Throw<CudaException>(() => Launch(Large)).Message.ShouldContain("cuLaunchKernel(TestKernels_Reverse)");
        kernel.AllowShared(Large);
        Launch(Large);
        Read<int>(stream, numbers, 4).ShouldBe([1, 2, 3, 4]);
        Should.Throw<CudaException>(() => kernel.AllowShared(context.Info.SharedBytesPerBlockOptin + 1024));

        void Launch(int bytes) =>
            kernel.Launch(stream, new Grid(1), new Grid(4), bytes, new TestKernels.OneArray { Numbers = new(numbers, 4) });
    }

    [Fact]
    public void A_launch_asks_for_shared_memory_beyond_what_is_free_by_itself()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        nint numbers = Upload(stream, Enumerable.Range(0, 256).ToArray());
        new GpuKernel<TestKernels.OneArray>(library, TestKernels.Reverse)
            .Launch(stream, new Grid(1), new TestKernels.OneArray { Numbers = new(numbers, 256) }, sharedBytes: 64 << 10);
        Read<int>(stream, numbers, 256).ShouldBe(Enumerable.Range(0, 256).Reverse());
    }

    [Fact]
    public void A_block_beyond_the_launch_bounds_is_refused_by_name()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.OneArray>(library, TestKernels.Bounded);
        kernel.MaxThreads.ShouldBe(TestKernels.FewThreads);
        kernel.BlocksPerMultiprocessor(TestKernels.FewThreads, 0).ShouldBeGreaterThan(0);
        nint numbers = Upload(stream, new int[128]);
        CudaException failure = Should.Throw<CudaException>(
            () => kernel.Launch(stream, new Grid(1), new Grid(128), 0, new TestKernels.OneArray { Numbers = new(numbers, 128) }));
        (failure.Kernel, failure.IsSticky).ShouldBe(("TestKernels_Bounded", false));
        Read<int>(stream, numbers, 128).ShouldAllBe(number => number == 0);
    }

    [Fact]
    public void A_graph_replays_what_was_captured_on_the_memory_as_it_is_then()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.AddArguments>(library, TestKernels.Add);
        nint numbers = Upload(stream, 0, 10, 20), copy = Upload(stream, 0, 0, 0);
        stream.BeginCapture();
        Add(kernel, stream, numbers, 1);
        Add(kernel, stream, numbers, 2);
        stream.CopyOnDevice(numbers, copy, 12);
        using CudaGraph graph = stream.EndCapture();
        graph.NodeCount.ShouldBe(3);
        Read<int>(stream, numbers, 3).ShouldBe([0, 10, 20]);
        for (int i = 0; i < 4; i++)
        {
            graph.Launch(stream);
        }

        Read<int>(stream, copy, 3).ShouldBe([12, 22, 32]);
        context.Counters.GraphLaunches.ShouldBe(4);
    }

    [Fact]
    public void A_capture_can_be_abandoned_and_a_broken_one_leaves_the_stream_usable()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        nint numbers = Upload(stream, 1, 2);
        stream.BeginCapture();
        stream.Fill(numbers, 0, 8);
        stream.AbandonCapture();
        Read<int>(stream, numbers, 2).ShouldBe([1, 2]);

        stream.BeginCapture();
        stream.Fill(numbers, 0, 8);
        CudaException failure = Should.Throw<CudaException>(stream.Synchronize);
        (failure.Code, failure.IsSticky).ShouldBe((900, false));
        Should.Throw<CudaException>(() => stream.EndCapture()).Code.ShouldBe(901);
        Read<int>(stream, numbers, 2).ShouldBe([1, 2]);

        stream.BeginCapture();
        stream.Fill(numbers, 0, 8);
        using CudaGraph graph = stream.EndCapture();
        graph.Launch(stream);
        Read<int>(stream, numbers, 2).ShouldBe([0, 0]);
    }

    [Fact]
    public void Work_behind_an_event_of_another_stream_waits_for_it()
    {
        using CudaContext context = Open();
        using CudaStream first = new(context), second = new(context);
        using var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.AddArguments>(library, TestKernels.Add);
        using var done = new CudaEvent(context);
        for (int seed = 1; seed <= 20; seed++)
        {
            if (Interop.Cuda.IsSimulated)
            {
                Configure("SEED", $"{seed}");
            }

            CopyAfter50Additions(kernel, first, second, done).ShouldAllBe(number => number == 50);
        }
    }

    [Fact]
    public void Events_tell_time()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using CudaEvent start = new(context, timing: true), end = new(context, timing: true);
        nint numbers = context.TryAllocate(1 << 20);
        stream.Record(start);
        stream.Fill(numbers, 1, 1 << 20);
        stream.Record(end);
        end.Synchronize();
        start.HasPassed.ShouldBeTrue();
        end.HasPassed.ShouldBeTrue();
        end.MillisecondsSince(start).ShouldBeGreaterThan(0);
    }

    [Fact]
    public void A_removed_event_wait_is_noticed()
    {
        using CudaContext context = OpenSimulated();
        using CudaStream first = new(context), second = new(context);
        using var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.AddArguments>(library, TestKernels.Add);
        using var done = new CudaEvent(context);
        Configure("IGNORE_WAITS", "1");
        bool early = false;
        for (int seed = 1; seed <= 20 && !early; seed++)
        {
            Configure("SEED", $"{seed}");
            early = CopyAfter50Additions(kernel, first, second, done).Any(number => number != 50);
            context.Synchronize();
        }

        early.ShouldBeTrue();
    }

    [Fact]
    public void Kernels_read_page_locked_memory_in_place()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        using PinnedMemory host = context.AllocatePinned(16);
        var numbers = new Span<int>((void*)host.Pointer, 4);
        numbers.Fill(5);
        Add(Load<TestKernels.AddArguments>(library, TestKernels.Add), stream, host.Pointer, 3, 4);
        stream.Synchronize();
        numbers.ToArray().ShouldBe([8, 8, 8, 8]);
    }

    [Fact]
    public void Launches_copies_events_and_graphs_allocate_nothing_on_the_managed_heap()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        CudaKernel kernel = Load<TestKernels.AddArguments>(library, TestKernels.Add);
        using var place = new CudaEvent(context);
        using var cublas = new CublasHandle(context, stream, 1 << 20);
        using PinnedMemory host = context.AllocatePinned(64);
        nint numbers = Upload(stream, new int[16]), matrix = Upload(stream, new float[16]), product = Upload(stream, new float[16]);
        stream.BeginCapture();
        Add(kernel, stream, numbers, 1, 16);
        using CudaGraph graph = stream.EndCapture();
        Step();
        Step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++)
        {
            Step();
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);

        void Step()
        {
            stream.CopyToDevice(host.Pointer, numbers, 64);
            Add(kernel, stream, numbers, 1, 16);
            stream.Fill(numbers, 0, 64);
            cublas.Gemm(false, true, 4, 4, 4, 1, matrix, CudaType.Float32, 4, matrix, CudaType.Float32, 4, 0, product, CudaType.Float32, 4);
            graph.Launch(stream);
            stream.Record(place);
            stream.Wait(place);
            stream.CopyToHost(numbers, host.Pointer, 64);
            place.Synchronize();
            _ = place.HasPassed;
            stream.Synchronize();
        }
    }

    [Fact]
    public void A_kernel_that_writes_where_it_may_not_is_named()
    {
        using CudaContext context = OpenSimulated();
        using var stream = new CudaStream(context);
        using var library = new KernelLibrary(context);
        nint numbers = context.TryAllocate(1 << 10);
        CudaException failure = Should.Throw<CudaException>(() =>
        {
            Add(Load<TestKernels.AddArguments>(library, TestKernels.Add), stream, numbers + (1 << 10) - 16, 1, 1024);
            stream.Synchronize();
        });
        (failure.Code, failure.IsSticky).ShouldBe((700, true));
    }

    private static int[] CopyAfter50Additions(CudaKernel kernel, CudaStream first, CudaStream second, CudaEvent done)
    {
        nint numbers = Upload(first, new int[256]), copy = Upload(second, new int[256]);
        for (int i = 0; i < 50; i++)
        {
            Add(kernel, first, numbers, 1, 256);
        }

        first.Record(done);
        second.Wait(done);
        second.CopyOnDevice(numbers, copy, 1024);
        return Read<int>(second, copy, 256);
    }

    /// <summary>The kernel adds to one number a thread; what it is told of the array's length is what is checked.</summary>
    private static void Add(CudaKernel kernel, CudaStream stream, nint numbers, int value, int threads = 3) =>
        kernel.Launch(stream, new Grid(1), new Grid(threads), 0, new TestKernels.AddArguments
        {
            Numbers = new(numbers, threads),
            Value = value,
        });
}
