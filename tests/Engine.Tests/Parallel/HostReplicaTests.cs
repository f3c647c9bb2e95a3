using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>Virtual devices on the processor.</summary>
public sealed class HostReplicaTests : ReplicaTests
{
    [Theory]
    [InlineData(2, 8)]
    [InlineData(2, 7)]
    [InlineData(3, 8)]
    [InlineData(4, 9)]
    [InlineData(4, 3)]
    [InlineData(8, 24)]
    [InlineData(8, 2)]
    [InlineData(8, 1)]
    public void Shards_add_up(int replicas, int samples) => Shards_give_the_gradients_of_the_shards_one_after_another(replicas, samples);

    [Theory]
    [InlineData(2, 8)]
    [InlineData(2, 7)]
    [InlineData(4, 9)]
    [InlineData(4, 3)]
    [InlineData(2, 64)]
    [InlineData(4, 64)]
    [InlineData(8, 64)]
    [InlineData(8, 2)]
    [InlineData(8, 1)]
    public void Synchronised_statistics(int replicas, int samples) =>
        Synchronised_replicas_give_the_gradients_of_one_device(replicas, samples);

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Overflow(int replicas) => An_overflow_on_one_replica_skips_the_step_on_all(replicas);

    [Fact]
    public void Halves_on_the_wire_leave_replicas_identical_and_gradients_nearly_so()
    {
        float[] exact = Gradients(3, 12, Options(), out _, out float[] buffers);
        float[] rounded = Gradients(3, 12, Options(half: true), out _, out float[] others);
        Error(rounded, exact).ShouldBeInRange(1e-5, 1e-3);
        rounded.ShouldAllBe(value => value == (float)(Half)value);

        // Running statistics never travel in half precision; they are added up in another order only.
        Error(others, buffers).ShouldBeLessThan(1e-7);
    }

    [Theory]
    [InlineData(1, 4)]
    [InlineData(7, 3)]
    [InlineData(1000, 4)]
    [InlineData(5000, 8)]
    public void An_all_reduce_adds_up_and_a_gather_keeps_the_order(int count, int replicas)
    {
        IDevice[] devices = Open(replicas);
        IReplicaLink[] links = HostLink.Connect(devices);
        using ReplicaThreads threads = new(replicas, rank => links[rank].Abort());
        float[][] sums = new float[replicas][], parts = new float[replicas][];
        threads.Run(rank =>
        {
            using Tensor values = Tensor.From(devices[rank], [count],
                [.. Enumerable.Range(0, count).Select(i => (float)(i + (rank * rank)))]);
            links[rank].AllReduce(values, halfOnWire: false);
            links[rank].Join();
            sums[rank] = values.Read<float>();
            if (rank < 2)
            {
                using Tensor part = Tensor.From(devices[rank], [3], [rank, 10f, rank + 1]),
                    gathered = Tensor.Allocate(devices[rank], [2, 3]);
                links[rank].AllGather(part, gathered, 2);
                parts[rank] = gathered.Read<float>();
            }
        });
        float squares = Enumerable.Range(0, replicas).Sum(rank => rank * rank);
        sums.ShouldAllBe(sum => sum.SequenceEqual(Enumerable.Range(0, count).Select(i => (replicas * (float)i) + squares)));
        parts[0].ShouldBe([0, 10, 1, 1, 10, 2]);
        parts[1].ShouldBe(parts[0]);
        links[0].Figures.Calls.ShouldBe(1);
        Close(devices);
    }

    [Fact]
    public void A_replica_that_fails_ends_the_waiting_of_the_others_and_its_own_error_is_the_one_that_is_told()
    {
        IDevice[] devices = Open(3);
        IReplicaLink[] links = HostLink.Connect(devices);
        using ReplicaThreads threads = new(3, rank => links[rank].Abort());
        Should.Throw<InvalidOperationException>(() => threads.Run(rank =>
        {
            using Tensor values = Tensor.Zeros(devices[rank], [64]);
            links[rank].AllReduce(values, false);
            _ = rank == 1 ? throw new InvalidOperationException("out of luck") : 0;
            links[rank].AllReduce(values, false);
        })).Message.ShouldBe("out of luck");
        Close(devices);
    }

    [Fact]
    public void Replicas_that_have_drifted_apart_are_found()
    {
        IDevice[] devices = Open(2);
        using (ReplicaGroup group = new(devices, () => Model(), Options()))
        {
            Steps(group, 8, 1);
            Tensor values = group.Replicas[1].Parameters.Values;
            float[] changed = values.Read<float>();
            changed[5] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(changed[5]) ^ 1);
            values.Write((ReadOnlySpan<float>)changed);
            Should.Throw<RunException>(() => group.Check(17)).Message.ShouldBe("After step 17 replica 1 is not the same as replica 0.");
        }

        Close(devices);
    }

    [Theory]
    [InlineData(10, 3)]
    [InlineData(2, 5)]
    [InlineData(64, 2)]
    public void Shards_cover_a_batch_in_order(int samples, int replicas)
    {
        int next = 0;
        for (int rank = 0; rank < replicas; rank++)
        {
            Shard shard = Shard.Of(samples, rank, replicas);
            shard.First.ShouldBe(next);
            next += shard.Count;
            (shard.Count > 0).ShouldBe(rank < Shard.Busy(samples, replicas));
        }

        next.ShouldBe(samples);
    }

    protected override IDevice[] Open(int count) => [.. Enumerable.Range(0, count).Select(index => new CpuDevice(threads: 1, index))];
}
