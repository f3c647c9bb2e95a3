using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Bench.Scaling;

/// <summary>Checks and times all-reduces of many sizes; what a process of <c>bench scaling</c> does.</summary>
internal static class AllReduceTimes
{
    /// <summary>Of the arrays, in bytes.</summary>
    public static readonly int[] Sizes = [4, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 22, 10_000_000, 1 << 24, 1 << 26];

    /// <summary>All-reduces before anything is timed: code is compiled again while it runs, and threads find their processors.</summary>
    private const int WarmUp = 500;

    private static readonly TimeSpan Recompiling = TimeSpan.FromMilliseconds(150);

    /// <summary>How often an array of a size is added up in one timing.</summary>
    public static int Repetitions(int bytes) => Math.Clamp((32 << 20) / bytes, 2, 200);

    /// <summary>This process's part of all-reduces by MPI; rank 0 prints <c>@allreduce BYTES WIRE SECONDS</c>.</summary>
    public static unsafe void RunMpi()
    {
        using var world = MpiWorld.Open();
        using var team = new ThreadTeam(1);
        using var ring = new MpiRing(world, team);
        using var values = new NativeArray(Sizes.Max() / sizeof(float));
        Run(world.Rank, world.Size, world.Barrier, (count, half) => ring.AllReduceSum(values.Pointer, count, half),
            count => new Span<float>(values.Pointer, count));
        world.Finish();
    }

    /// <summary>
    /// All-reduces among virtual devices of this process, one thread each, then copies of as many bytes: <c>@memcpy BYTES - SECONDS</c>.
    /// </summary>
    public static unsafe void RunHost(int devices)
    {
        CpuDevice[] cpus = [.. Enumerable.Range(0, devices).Select(index => new CpuDevice(1, index))];
        IReplicaLink[] links = HostLink.Connect(cpus);
        using (var threads = new ReplicaThreads(devices, rank => links[rank].Abort()))
        {
            var meeting = new Rendezvous(devices);
            threads.Run(rank =>
            {
                using Tensor values = Tensor.Zeros(cpus[rank], [Sizes.Max() / sizeof(float)]);
                Run(
                    rank, devices, meeting.Arrive, (count, half) => links[rank].AllReduce(values.Slice(0, count), half), count =>
                        new Span<float>((void*)values.Data, count));
            });
        }

        foreach (IDisposable item in links.Concat<IDisposable>(cpus))
        {
            item.Dispose();
        }

        using NativeArray source = NativeArray.Random(Sizes.Max() / sizeof(float), 1);
        using var target = new NativeArray(Sizes.Max() / sizeof(float));
        foreach (int bytes in Sizes)
        {
            int repetitions = Repetitions(bytes);
            Copy(bytes, 2);
            long began = Stopwatch.GetTimestamp();
            Copy(bytes, repetitions);
            Print("memcpy", bytes, "-", Stopwatch.GetElapsedTime(began).TotalSeconds / repetitions);
        }

        void Copy(int bytes, int times)
        {
            for (int i = 0; i < times; i++)
            {
                NativeMemory.Copy(source.Pointer, target.Pointer, (nuint)bytes);
            }
        }
    }

    private static void Run(int rank, int ranks, Action meet, Action<int, bool> allReduce, SpanOf values)
    {
        for (int i = 0; i < 2 * WarmUp; i++)
        {
            allReduce(1, i % 2 == 1);
            if (i % WarmUp == WarmUp - 1)
            {
                Thread.Sleep(Recompiling);
            }
        }

        foreach (int bytes in Sizes)
        {
            foreach (bool half in new[] { false, true })
            {
                int count = bytes / sizeof(float), repetitions = Repetitions(bytes);
                Span<float> array = values(count);

                // Small whole numbers: their sums are exact in half precision too, so that every replica has to have these bits.
                for (int i = 0; i < count; i++)
                {
                    array[i] = (i % 256) + rank;
                }

                meet();
                allReduce(count, half);
                for (int i = 0; i < count; i++)
                {
                    if (array[i] != (ranks * (i % 256)) + (ranks * (ranks - 1) / 2))
                    {
                        throw new WrongResultException(
                            $"all-reduce of {bytes} bytes over {ranks} ranks: element {i} on rank {rank} is {array[i]}");
                    }
                }

                meet();
                array.Clear();
                allReduce(count, half);
                allReduce(count, half);
                meet();
                long began = Stopwatch.GetTimestamp();
                for (int i = 0; i < repetitions; i++)
                {
                    allReduce(count, half);
                }

                if (rank == 0)
                {
                    Print("allreduce", bytes, half ? "fp16" : "fp32", Stopwatch.GetElapsedTime(began).TotalSeconds / repetitions);
                }
            }
        }
    }

    private static void Print(string what, int bytes, string wire, double seconds) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"@{what} {bytes} {wire} {seconds:G9}"));

    private delegate Span<float> SpanOf(int count);
}
