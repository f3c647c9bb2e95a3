using System.Runtime.ExceptionServices;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// Tests of collectives whose ranks are threads of this process, each with a device, a stream and a communicator of its own.
/// </summary>
public abstract class NcclTest : InteropTest
{
    private protected sealed record Rank(int Number, CudaStream Stream, NcclCommunicator Communicator)
    {
        public CudaContext Context => Stream.Context;
    }

    /// <summary>A test that fails must not hang.</summary>
    protected static TimeSpan Patience { get; } = TimeSpan.FromMinutes(1);

    /// <summary>Runs all ranks to their end, or skips the test. What the first of them throws is thrown.</summary>
    private protected static void OnRanks(int size, Action<Rank> body)
    {
        RequireDevices(size);
        byte[] id = NcclCommunicator.NewUniqueId();
        var failures = new Exception?[size];
        Thread[] threads = [.. Enumerable.Range(0, size).Select(number => new Thread(() =>
        {
            try
            {
                using var context = new CudaContext(number);
                using var stream = new CudaStream(context);
                using var communicator = new NcclCommunicator(context, id, number, size);
                body(new Rank(number, stream, communicator));
            }
            catch (Exception exception)
            {
                failures[number] = exception;
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        if (failures.OfType<Exception>().FirstOrDefault() is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    protected static void RequireDevices(int count)
    {
        Assert.SkipUnless(Interop.Cuda.IsAvailable, $"no CUDA: {Interop.Cuda.UnavailableReason}");
        Assert.SkipUnless(Interop.Cuda.HasNccl, Interop.Cuda.NcclReason);
        Assert.SkipUnless(Interop.Cuda.Devices.Count >= count, $"there are fewer than {count} devices");
    }

    protected static void RequireSimulator() => Assert.SkipUnless(Interop.Cuda.IsSimulated, "a real GPU cannot be made to fail on demand");

    /// <summary>A rank's own numbers.</summary>
    protected static float[] Inputs(int count, int rank) => Numbers.Random(count, 100 + rank, 10);
}
