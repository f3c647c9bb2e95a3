using System.Buffers.Binary;
using System.Text;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// The processes that work on one run together, on one machine or many: MPI carries what they tell each other, a <see cref="Heartbeat"/>
/// tells who died. Each has one device.
/// Rank 0 writes; folders are ones that all of them see.
/// </summary>
internal sealed class ProcessGroup : IDisposable
{
    private readonly MpiWorld _world;
    private readonly Heartbeat _heartbeat;
    private bool _finished;
    private bool _failed;

    private ProcessGroup(MpiWorld world, Heartbeat heartbeat, int localSize)
    {
        _world = world;
        _heartbeat = heartbeat;
        LocalSize = localSize;
    }

    public int Rank => _world.Rank;

    public int Size => _world.Size;

    /// <summary>This process's number among those of its machine.</summary>
    public int LocalRank => _world.LocalRank;

    /// <summary>Processes on this machine.</summary>
    public int LocalSize { get; }

    /// <summary>The one that writes and speaks.</summary>
    public bool IsLead => Rank == 0;

    /// <summary>Cancelled when a process was lost.</summary>
    public CancellationToken Lost => _heartbeat.Lost;

    public string Description => $"rank {Rank} of {Size} on {_world.HostName}, {_world.LibraryVersion}";

    /// <summary>Joins the processes that mpirun started with this one.</summary>
    /// <exception cref="RunException">mpirun did not start this process, there is no MPI, or a process cannot be reached.</exception>
    public static ProcessGroup Open()
    {
        if (!MpiWorld.IsLaunched)
        {
            throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Distributed))} mpi: this process was not started by mpirun.",
                $"Start it as: mpirun -n 2 cudatrainer train {SettingName.Of(nameof(TrainingOptions.Distributed))} mpi …");
        }

        MpiWorld world;
        try
        {
            world = MpiWorld.Open();
        }
        catch (MpiException exception)
        {
            throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Distributed))} mpi: {exception.Message}",
                "docs/scaling.md says what is needed.", exception);
        }

        // The launcher of another MPI starts processes that each believe to be alone, and would write the same files.
        if (MpiWorld.LaunchedSize is { } size && size != world.Size)
        {
            world.Dispose();
            throw new RunException(
                $"{SettingName.Of(nameof(TrainingOptions.Distributed))} mpi: mpirun has started {size} processes, but " +
                    $"{world.LibraryVersion} sees {world.Size}.",
                    "Use the mpirun of the MPI that cudatrainer was built with (`cudatrainer doctor` names it).");
        }

        var heartbeat = Heartbeat.Start(world);
        byte[] host = new byte[64];
        Encoding.UTF8.GetBytes(world.HostName.AsSpan(0, Math.Min(20, world.HostName.Length)), host);
        byte[] hosts = new byte[host.Length * world.Size];
        world.AllGather(host, hosts);
        int local = Enumerable.Range(0, world.Size).Count(rank => hosts.AsSpan(rank * host.Length, host.Length).SequenceEqual(host));
        return new ProcessGroup(world, heartbeat, local);
    }

    /// <summary>The way of this process's replica to the others'.</summary>
    /// <exception cref="RunException">The device has none.</exception>
    public IReplicaLink Connect(IDevice device) => device switch
    {
        CpuDevice cpu => new MpiLink(_world, cpu, Fail),
        CudaDevice when !Kernels.Interop.Cuda.HasNccl => throw new RunException(
            $"{SettingName.Of(nameof(TrainingOptions.Distributed))} on {device.Name} needs NCCL: {Kernels.Interop.Cuda.NcclReason}",
            "Install libnccl2 for this CUDA version (docs/cuda.md), or train on one machine: " +
                $"{SettingName.Of(nameof(TrainingOptions.Device))} cuda uses all its GPUs without " +
                "NCCL."),
        CudaDevice gpu => new NcclLink(_world, gpu, Lost, Fail),
        _ => throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Distributed))} does not work on {device.Name}.",
            $"Use {SettingName.Of(nameof(TrainingOptions.Device))} cpu or cuda."),
    };

    /// <summary>Rank 0's text on all ranks.</summary>
    /// <param name="text">Read on rank 0 only.</param>
    public string Broadcast(string? text)
    {
        byte[] bytes = IsLead ? Encoding.UTF8.GetBytes(text!) : [];
        byte[] length = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        _world.Broadcast(length, 0);
        bytes = IsLead ? bytes : new byte[BinaryPrimitives.ReadInt32LittleEndian(length)];
        _world.Broadcast(bytes, 0);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>Returns when all processes have called it.</summary>
    public void Meet() => _world.Barrier();

    /// <summary>All ranks have to have the same bytes here.</summary>
    /// <param name="bytes">As many on every rank.</param>
    /// <returns>The first rank that differs from rank 0; null if none does.</returns>
    public int? FirstThatDiffers(ReadOnlySpan<byte> bytes)
    {
        byte[] all = new byte[bytes.Length * Size];
        _world.AllGather(bytes, all);
        for (int rank = 1; rank < Size; rank++)
        {
            if (!all.AsSpan(rank * bytes.Length, bytes.Length).SequenceEqual(all.AsSpan(0, bytes.Length)))
            {
                return rank;
            }
        }

        return null;
    }

    /// <exception cref="RankLostException">A process was lost.</exception>
    public void ThrowIfLost() => _heartbeat.ThrowIfLost();

    /// <summary>Tells the others that this process ends because of an error.</summary>
    public void Fail(string reason)
    {
        _failed = true;
        _heartbeat.Fail(reason);
    }

    /// <summary>Does this process's part of the work. The others hear how it ended; after success, all end together.</summary>
    public T Run<T>(Func<T> work)
    {
        try
        {
            T result = work();
            if (_failed)
            {
                return result;
            }

            _world.Finish();
            _heartbeat.Finish();
            _finished = true;
            return result;
        }
        catch (Exception exception) when (exception is not RankLostException)
        {
            _heartbeat.Fail(exception.Message);
            throw;
        }
    }

    /// <summary>Without the success of <see cref="Run"/> before, the others hear that this process failed.</summary>
    public void Dispose()
    {
        if (!_finished)
        {
            _heartbeat.Fail("it ended before its work was done");
        }

        _heartbeat.Dispose();
        _world.Dispose();
    }

    /// <summary>Every one of the first <paramref name="parts"/> ranks gets all their parts.</summary>
    /// <param name="bytes">Of a part.</param>
    /// <param name="gathered">[parts, bytes]; this rank's part is in its place.</param>
    internal static unsafe void ExchangeParts(MpiWorld world, long bytes, byte* gathered, int parts, int tag)
    {
        for (int distance = 1; distance < parts; distance++)
        {
            int to = (world.Rank + distance) % parts, from = (world.Rank + parts - distance) % parts;
            world.Exchange(gathered + (world.Rank * bytes), bytes, to, gathered + (from * bytes), bytes, from, tag);
        }
    }
}
