using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class BackgroundWritesTests
{
    [Fact]
    public void What_is_written_is_what_the_tensor_was_when_it_was_copied()
    {
        using var device = new CpuDevice(threads: 1);
        using Tensor tensor = Tensor.From(device, [3], [1f, 2, 3]);
        using var writes = new BackgroundWrites();
        using var mayWrite = new ManualResetEventSlim();
        float[] copy = writes.Copy("a", tensor), written = [];
        writes.Start(() =>
        {
            mayWrite.Wait();
            written = [.. copy];
        });
        tensor.Write((ReadOnlySpan<float>)[4, 5, 6]);
        mayWrite.Set();
        writes.Finish();

        written.ShouldBe([1, 2, 3]);
        writes.Copy("a", tensor).ShouldBeSameAs(copy, "the memory is used again");
        copy.ShouldBe([4, 5, 6]);
    }

    [Fact]
    public void What_goes_wrong_is_told_once_to_the_one_who_waits()
    {
        using var writes = new BackgroundWrites();
        writes.Start(() => throw new IOException("the disk is full"));

        Should.Throw<IOException>(writes.Finish).Message.ShouldBe("the disk is full");
        writes.Finish();
    }

    [Fact]
    public void Nothing_is_thrown_when_a_run_that_failed_is_given_up()
    {
        bool hasEnded = false;
        using (var writes = new BackgroundWrites())
        {
            writes.Start(() =>
            {
                Thread.Sleep(50);
                hasEnded = true;
                throw new IOException();
            });
        }

        hasEnded.ShouldBeTrue("files are not left half written");
    }
}
