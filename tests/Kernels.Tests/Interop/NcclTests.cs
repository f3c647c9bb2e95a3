using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Collectives against plain loops, their order with other work, and what happens when a rank fails or does not come.</summary>
public sealed unsafe class NcclTests : NcclTest
{
    private const int InvalidArgument = 4;
    private const int SystemError = 2;
    private const int RemoteError = 6;

    public static TheoryData<int, CudaType, int> Sums()
    {
        var cases = new TheoryData<int, CudaType, int>();
        foreach (int size in new[] { 2, 3 })
        {
            foreach (CudaType type in new[] { CudaType.Float32, CudaType.Float16 })
            {
                foreach (int count in new[] { 0, 1, 17, 4096, 140_001 })
                {
                    cases.Add(size, type, count);
                }
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Sums))]
    public void Every_rank_gets_the_sum_of_all(int size, CudaType type, int count)
    {
        float[][] inputs = [.. Enumerable.Range(0, size)
            .Select(rank => Array.ConvertAll(Inputs(count, rank), value => type == CudaType.Float32 ? value : (float)(Half)value))];
        float[] expected = [.. Enumerable.Range(0, count).Select(i => inputs.Aggregate(0f, (sum, input) => sum + input[i]))
            .Select(sum => type == CudaType.Float32 ? sum : (float)(Half)sum)];
        float[][] results = new float[size][], inPlace = new float[size][];
        OnRanks(size, rank =>
        {
            // One element more than is summed, which must stay as it is.
            float[] input = [.. inputs[rank.Number], 7];
            nint source = UploadAs(rank.Stream, input, type), destination = UploadAs(rank.Stream, input, type);
            long calls = rank.Context.Counters.LibraryCalls;
            rank.Communicator.AllReduceSum(rank.Stream, source, destination, count, type);
            rank.Communicator.AllReduceSum(rank.Stream, source, source, count, type);
            results[rank.Number] = ReadAs(rank.Stream, destination, count + 1, type);
            inPlace[rank.Number] = ReadAs(rank.Stream, source, count + 1, type);
            rank.Communicator.ThrowIfFailed();
            (rank.Context.Counters.LibraryCalls - calls).ShouldBe(count == 0 ? 0 : 2);
            (rank.Communicator.Rank, rank.Communicator.Size).ShouldBe((rank.Number, size));
        });

        // The order of sums is NCCL's own, but the same on every rank.
        float tolerance = Interop.Cuda.IsSimulated ? 0 : type == CudaType.Float32 ? 1e-5f : 4e-2f;
        for (int i = 0; i < count; i++)
        {
            Math.Abs(results[0][i] - expected[i]).ShouldBeLessThanOrEqualTo(tolerance, $"element {i}");
        }

        results.Concat(inPlace).ShouldAllBe(result => result.SequenceEqual(results[0]));
        results[0][count].ShouldBe(7);
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 5)]
    [InlineData(3, 300_001)]
    public void Every_rank_gets_the_bytes_of_any_root(int size, int bytes)
    {
        long aborts = Interop.Cuda.IsSimulated ? Counted("communicator_aborts") : 0;
        byte[][] inputs = [.. Enumerable.Range(0, size).Select(rank => Bytes(bytes, rank))];
        OnRanks(size, rank =>
        {
            for (int root = 0; root < size; root++)
            {
                nint buffer = Upload<byte>(rank.Stream, [.. inputs[rank.Number], 77]);
                rank.Communicator.Broadcast(rank.Stream, buffer, bytes, root);
                byte[] expected = [.. inputs[root], 77];
                Read<byte>(rank.Stream, buffer, bytes + 1).SequenceEqual(expected).ShouldBeTrue($"root {root}, rank {rank.Number}");
            }

            rank.Communicator.ThrowIfFailed();
        });
        (Interop.Cuda.IsSimulated ? Counted("communicator_aborts") : 0).ShouldBe(aborts);
    }

    [Theory]
    [InlineData(2, 1, false)]
    [InlineData(3, 7, true)]
    [InlineData(3, 140_001, false)]
    [InlineData(2, 300_001, true)]
    public void Every_rank_gets_the_parts_of_all_in_order(int size, int bytes, bool inPlace)
    {
        byte[][] inputs = [.. Enumerable.Range(0, size).Select(rank => Bytes(bytes, rank))];
        byte[] expected = [.. inputs.SelectMany(input => input)];
        OnRanks(size, rank =>
        {
            byte[] before = new byte[size * bytes];
            inputs[rank.Number].CopyTo(before, rank.Number * bytes);
            nint all = Upload(rank.Stream, before);
            nint source = inPlace ? all + (rank.Number * bytes) : Upload(rank.Stream, inputs[rank.Number]);
            rank.Communicator.AllGather(rank.Stream, source, all, bytes);
            Read<byte>(rank.Stream, all, expected.Length).SequenceEqual(expected).ShouldBeTrue();
            rank.Communicator.ThrowIfFailed();
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Collectives_keep_their_place_among_other_work_in_adversarial_orders(int seed)
    {
        const int Count = 50_000;
        RequireDevices(2);
        if (Interop.Cuda.IsSimulated)
        {
            Configure("SEED", $"{seed}");
        }

        float[][] inputs = [Inputs(Count, 0), Inputs(Count, 1)];
        float[] sums = [.. inputs[0].Zip(inputs[1], (a, b) => a + b)];
        OnRanks(2, rank =>
        {
            CudaStream stream = rank.Stream;
            using var side = new CudaStream(rank.Context);
            using CudaEvent filled = new(rank.Context), summed = new(rank.Context);
            using PinnedMemory host = rank.Context.AllocatePinned(Count * 4), result = rank.Context.AllocatePinned(Count * 4);
            nint x = rank.Context.TryAllocate(Count * 4), y = rank.Context.TryAllocate(Count * 4);
            for (int round = 0; round < 3; round++)
            {
                // Another stream brings the numbers and takes the sums away, which are summed again meanwhile.
                inputs[rank.Number].CopyTo(new Span<float>((void*)host.Pointer, Count));
                side.Fill(x, 0, Count * 4);
                side.CopyToDevice(host.Pointer, x, Count * 4);
                side.Record(filled);
                stream.Wait(filled);
                rank.Communicator.AllReduceSum(stream, x, y, Count, CudaType.Float32);
                stream.Record(summed);
                side.Wait(summed);
                side.CopyToHost(y, result.Pointer, Count * 4);
                rank.Communicator.AllReduceSum(stream, y, x, Count, CudaType.Float32);
                side.Synchronize();
                new Span<float>((void*)result.Pointer, Count).SequenceEqual(sums).ShouldBeTrue();
                Read<float>(stream, x, Count).SequenceEqual(sums.Select(sum => sum + sum)).ShouldBeTrue();
            }

            rank.Communicator.ThrowIfFailed();
        });
    }

    [Fact]
    public void A_captured_collective_is_done_at_each_launch() => OnRanks(2, rank =>
    {
        nint values = Upload(rank.Stream, 1f + rank.Number);
        rank.Stream.BeginCapture();
        rank.Communicator.AllReduceSum(rank.Stream, values, values, 1, CudaType.Float32);
        using CudaGraph graph = rank.Stream.EndCapture();
        Read<float>(rank.Stream, values, 1).ShouldBe([1 + rank.Number]);
        for (int launch = 0; launch < 3; launch++)
        {
            graph.Launch(rank.Stream);
        }

        Read<float>(rank.Stream, values, 1).ShouldBe([12]);
        rank.Communicator.ThrowIfFailed();
    });

    [Fact]
    public void Ids_have_128_bytes_and_are_new_each_time()
    {
        RequireDevices(1);
        byte[] first = NcclCommunicator.NewUniqueId();
        first.Length.ShouldBe(128);
        first.ShouldNotBe(NcclCommunicator.NewUniqueId());
        using CudaContext context = Open();
        Should.Throw<ArgumentException>(() => new NcclCommunicator(context, first.AsSpan(1), 0, 1));
    }

    [Fact]
    public void A_communicator_that_cannot_be_made_says_why()
    {
        RequireDevices(1);
        using CudaContext context = Open();
        long live = Interop.Cuda.IsSimulated ? Counted("live_communicators") : 0;
        NcclException failure = Should.Throw<NcclException>(() => new NcclCommunicator(context, NcclCommunicator.NewUniqueId(), 2, 2));
        (failure.Call, failure.Code, failure.CodeName, failure.Rank, failure.Device, failure.IsSticky)
            .ShouldBe(("ncclCommInitRank", InvalidArgument, "NCCL", 2, context.Ordinal, false));
        failure.Message.ShouldStartWith($"ncclCommInitRank failed on cuda:{context.Ordinal}: NCCL (4): rank 2 of 2: invalid argument");
        using (var alone = new NcclCommunicator(context, NcclCommunicator.NewUniqueId(), 0, 1))
        {
            alone.ThrowIfFailed();
        }

        if (Interop.Cuda.IsSimulated)
        {
            Counted("live_communicators").ShouldBe(live);
        }
    }

    [Fact]
    public void A_failed_collective_is_told_with_its_rank_and_leaves_the_stream_working()
    {
        RequireDevices(3);
        RequireSimulator();
        Configure("FAIL_NCCL", "rank1");
        var failures = new NcclException[3];
        OnRanks(3, rank =>
        {
            nint values = Upload(rank.Stream, 1f), other = Upload(rank.Stream, 5f);
            rank.Communicator.AllReduceSum(rank.Stream, values, other, 1, CudaType.Float32);
            rank.Stream.Synchronize();
            failures[rank.Number] = Should.Throw<NcclException>(rank.Communicator.ThrowIfFailed);

            // Nobody may take what was there before for a result.
            Read<float>(rank.Stream, other, 1).ShouldBe([float.NaN]);
            Read<float>(rank.Stream, values, 1).ShouldBe([1]);
            Should.Throw<NcclException>(() => rank.Communicator.Broadcast(rank.Stream, values, 4, 0)).Call.ShouldBe("ncclBroadcast");
            rank.Context.FirstFailure.ShouldBeNull();
        });
        failures.Select(failure => failure.Rank).ShouldBe([0, 1, 2]);
        failures.Select(failure => failure.Code).ShouldBe([RemoteError, SystemError, RemoteError]);
        failures.ShouldAllBe(
            failure => failure.Call == "ncclCommGetAsyncError" && !failure.IsSticky && failure.Message.Contains("SIMULATED"));
        failures[1].Message.ShouldContain("on cuda:1: NCCL (2): rank 1 of 3, after ncclAllReduce:");
        failures[1].Message.ShouldContain("the collective failed, as configured");
        failures[2].Message.ShouldContain("rank 1 is gone");

        // Destroying them might have waited for ranks that do not come.
        (Counted("live_communicators"), Counted("communicator_aborts")).ShouldBe((0, 3));
    }

    [Fact]
    public void The_k_th_collective_can_be_made_to_fail()
    {
        RequireDevices(2);
        RequireSimulator();

        // Two ranks: the fifth is one of the two that make the third pair.
        Configure("FAIL_NCCL", "5");
        int[] done = new int[2];
        OnRanks(2, rank =>
        {
            nint values = Upload(rank.Stream, 1f);
            for (int i = 0; i < 4; i++)
            {
                rank.Communicator.AllReduceSum(rank.Stream, values, values, 1, CudaType.Float32);
                rank.Stream.Synchronize();
                try
                {
                    rank.Communicator.ThrowIfFailed();
                    done[rank.Number]++;
                }
                catch (NcclException)
                {
                    return;
                }
            }
        });
        done.ShouldBe([2, 2]);
    }

    [Fact]
    public void Aborting_frees_a_rank_whose_peer_does_not_come()
    {
        RequireDevices(2);
        if (Interop.Cuda.IsSimulated)
        {
            // Longer than the peer waits: only the abort may be what frees the rank.
            Configure("NCCL_TIMEOUT", "600");
        }

        using var hanging = new ManualResetEventSlim();
        using var freed = new ManualResetEventSlim();
        NcclCommunicator? communicator = null;
        var watchdog = new Thread(() =>
        {
            if (hanging.Wait(Patience))
            {
                communicator!.Abort();
                communicator.Abort();
            }
        });
        watchdog.Start();
        OnRanks(2, rank =>
        {
            if (rank.Number == 1)
            {
                freed.Wait(Patience).ShouldBeTrue();
                return;
            }

            communicator = rank.Communicator;
            using var passed = new CudaEvent(rank.Context);
            nint values = Upload(rank.Stream, 1f);
            rank.Communicator.AllReduceSum(rank.Stream, values, values, 1, CudaType.Float32);
            rank.Stream.Record(passed);
            Thread.Sleep(100);
            passed.HasPassed.ShouldBeFalse();
            rank.Communicator.ThrowIfFailed();
            hanging.Set();
            rank.Stream.Synchronize();
            freed.Set();
            foreach (Action later in new Action[] { rank.Communicator.ThrowIfFailed, () => rank.Communicator.AllGather(rank.Stream, values, values, 4) })
            {
                NcclException failure = Should.Throw<NcclException>(later);
                failure.Rank.ShouldBe(0);
                failure.Message.ShouldContain("the communicator was aborted");
            }

            rank.Context.FirstFailure.ShouldBeNull();
            Read<float>(rank.Stream, Upload(rank.Stream, 3f), 1).ShouldBe([3]);
        });
        watchdog.Join();
    }

    [Fact]
    public void A_rank_whose_device_died_does_not_hold_up_the_others()
    {
        RequireDevices(2);
        RequireSimulator();
        using var queued = new ManualResetEventSlim();
        OnRanks(2, rank =>
        {
            nint values = Upload(rank.Stream, 1f);
            if (rank.Number == 0)
            {
                rank.Communicator.AllReduceSum(rank.Stream, values, values, 1, CudaType.Float32);
                queued.Set();
                rank.Stream.Synchronize();
                Should.Throw<NcclException>(rank.Communicator.ThrowIfFailed).Code.ShouldBe(RemoteError);
                return;
            }

            queued.Wait(Patience).ShouldBeTrue();
            Configure("LOSE_DEVICE", "1");
            Should.Throw<CudaException>(() => rank.Communicator.AllReduceSum(rank.Stream, values, values, 1, CudaType.Float32))
                .CodeName.ShouldBe("CUDA_ERROR_ECC_UNCORRECTABLE");
            rank.Context.FirstFailure.ShouldNotBeNull();
        });
        Counted("live_communicators").ShouldBe(0);
    }

    private static byte[] Bytes(int count, int rank)
    {
        byte[] bytes = new byte[count];
        new Random(rank).NextBytes(bytes);
        return bytes;
    }

    private static nint UploadAs(CudaStream stream, float[] values, CudaType type) =>
        type == CudaType.Float32 ? Upload(stream, values) : Upload(stream, Array.ConvertAll(values, value => (Half)value));

    private static float[] ReadAs(CudaStream stream, nint device, int count, CudaType type) =>
        type == CudaType.Float32
            ? Read<float>(stream, device, count)
            : Array.ConvertAll(Read<Half>(stream, device, count), value => (float)value);
}
