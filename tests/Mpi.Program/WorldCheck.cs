using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Mpi.Program;

/// <summary>What <see cref="MpiWorld"/> promises, apart from the loss of a process.</summary>
internal static class WorldCheck
{
    public static void Run(MpiWorld world, Checker check)
    {
        check.That("the launcher is noticed", MpiWorld.IsLaunched);
        check.That("threads may exist", world.ThreadLevel >= MpiThreadLevel.Funneled, $"{world.ThreadLevel}");
        check.That("on one machine, local ranks are ranks", world.LocalRank == world.Rank);
        check.That("the MPI has a name", world.LibraryVersion.Length > 0 && world.LibraryVersion == MpiWorld.InstalledVersion);
        ExchangeSizes(world, check);
        Collectives(world, check);
        SendAndReceive(world, check);
        Guards(world, check);
    }

    /// <summary>From a byte to beyond what MPI copies into a message at once.</summary>
    private static void ExchangeSizes(MpiWorld world, Checker check)
    {
        int next = (world.Rank + 1) % world.Size, previous = (world.Rank + world.Size - 1) % world.Size;
        foreach (int bytes in new[] { 1, 4_095, 4_097, 70_001, 3_000_001 })
        {
            byte[] received = new byte[bytes + 1];
            world.Exchange(Message(world.Rank, bytes), next, received.AsSpan(0, bytes), previous, tag: 7);
            check.That($"exchange of {bytes} bytes",
                received.AsSpan(0, bytes).SequenceEqual(Message(previous, bytes)) && received[bytes] == 0);
        }

        // Different sizes each way, one of them nothing.
        byte[] odd = new byte[previous * 1_000];
        world.Exchange(Message(world.Rank, world.Rank * 1_000), next, odd, previous, tag: 8);
        check.That("sizes may differ by direction", odd.AsSpan().SequenceEqual(Message(previous, previous * 1_000)));
    }

    private static void Collectives(MpiWorld world, Checker check)
    {
        for (int root = 0; root < world.Size; root++)
        {
            byte[] bytes = world.Rank == root ? Message(root, 5_003) : new byte[5_003];
            world.Broadcast(bytes, root);
            check.That($"broadcast of rank {root}", bytes.AsSpan().SequenceEqual(Message(root, 5_003)));
        }

        byte[] all = new byte[world.Size * 37];
        world.AllGather(Message(world.Rank, 37), all);
        check.That("all-gather",
            all.AsSpan().SequenceEqual(Enumerable.Range(0, world.Size).SelectMany(rank => Message(rank, 37)).ToArray()));
        Barriers(world, check);
    }

    /// <summary>Behind a barrier, everybody sees what everybody did before it, here in a folder.</summary>
    private static void Barriers(MpiWorld world, Checker check)
    {
        byte[] name = Guid.NewGuid().ToByteArray();
        world.Broadcast(name, 0);
        string folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"cudatrainer-barrier-{new Guid(name)}")).FullName;
        for (int round = 0; round < 5; round++)
        {
            // The later ranks are late.
            Thread.Sleep(world.Rank * 5);
            File.WriteAllText(Path.Combine(folder, $"{round}-{world.Rank}"), string.Empty);
            world.Barrier();
            check.That($"barrier {round}", Directory.GetFiles(folder, $"{round}-*").Length == world.Size);
        }

        world.Barrier();
        if (world.Rank == 0)
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void SendAndReceive(MpiWorld world, Checker check)
    {
        if (world.Rank == 0)
        {
            for (int rank = 1; rank < world.Size; rank++)
            {
                byte[] received = new byte[100];
                world.Receive(received, rank, tag: 3);
                check.That($"message of rank {rank}", received.AsSpan().SequenceEqual(Message(rank, 100)));
            }
        }
        else
        {
            world.Send(Message(world.Rank, 100), 0, tag: 3);
        }
    }

    private static void Guards(MpiWorld world, Checker check)
    {
        check.That("a tag beyond the limit", Throws<ArgumentOutOfRangeException>(() => world.Send([1], 0, MpiWorld.TagLimit)));
        check.That("a second world", Throws<InvalidOperationException>(() => MpiWorld.Open()));
        bool refused = false;
        var other = new Thread(() => refused = Throws<InvalidOperationException>(world.Barrier));
        other.Start();
        other.Join();
        check.That("another thread", refused);

        // MPI libraries install handlers for these signals, which the runtime needs for its exceptions.
        check.That("a null reference is an exception", Throws<NullReferenceException>(() => Length(null!)));
        check.That("a division by zero is an exception", Throws<DivideByZeroException>(() => Divide(1, 0)));
    }

    [SuppressMessage("Design", "CA1031", Justification = "Another exception is what the check is to report.")]
    public static bool Throws<T>(Action action)
        where T : Exception
    {
        try
        {
            action();
            return false;
        }
        catch (Exception exception)
        {
            return exception is T;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Length(int[] array) => array.Length;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Divide(int a, int b) => a / b;

    private static byte[] Message(int rank, int bytes) =>
        [.. Enumerable.Range(0, bytes).Select(i => (byte)((i * 31) + (rank * 7) + (i >> 8)))];
}
