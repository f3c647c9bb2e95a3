using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>A call of NCCL failed, or what it had queued did.</summary>
internal sealed class NcclException : CudaException
{
    internal NcclException(string call, int status, string text, int device, int rank)
        : base(call, status, "NCCL", text, device, kernel: null, isSticky: false) => Rank = rank;

    /// <summary>Who noticed it; -1 where no rank was concerned.</summary>
    public int Rank { get; }
}

/// <summary>
/// One rank of a group of GPUs that exchange data through NCCL. Each rank has a GPU of its own, in a process of its own or on a thread of
/// its own, and all ranks make the same calls in the same order.
/// </summary>
/// <remarks>
/// A rank that waits for a peer which never comes waits for ever, in its stream and in whatever waits for that. NCCL notices some peers
/// that die, not all and not those that merely stopped: whoever learns that a rank has failed must have every other rank
/// <see cref="Abort"/>.
/// </remarks>
internal sealed unsafe class NcclCommunicator : CudaOwned
{
    private nint _handle;
    private string _last = "ncclCommInitRank";
    private volatile bool _failed;

    /// <summary>Joins the group; returns when all ranks have.</summary>
    /// <param name="context">The context of this rank's device.</param>
    /// <param name="id">From <see cref="NewUniqueId"/>, the same for all ranks of this group, and for no other.</param>
    /// <param name="rank">From 0.</param>
    /// <param name="size">Ranks of the group.</param>
    /// <exception cref="InvalidOperationException">There is no NCCL.</exception>
    /// <exception cref="NcclException">NCCL refuses: for example two ranks of one GPU.</exception>
    public NcclCommunicator(CudaContext context, ReadOnlySpan<byte> id, int rank, int size)
        : base(context)
    {
        Rank = rank;
        Size = size;
        NcclUniqueId unique;
        bool fits = id.Length == NcclUniqueId.Size;
        id[..Math.Min(id.Length, NcclUniqueId.Size)].CopyTo(new Span<byte>(unique.Internal, NcclUniqueId.Size));
        NcclUniqueId copy = unique;
        Make(() =>
        {
            RequireNccl();
            if (!fits)
            {
                throw new ArgumentException($"an id has {NcclUniqueId.Size} bytes", nameof(id));
            }

            nint handle;
            Check(NcclApi.ncclCommInitRank(&handle, size, copy, rank), "ncclCommInitRank");
            _handle = handle;
        });
    }

    /// <summary>This rank, from 0.</summary>
    public int Rank { get; }

    /// <summary>Ranks of the group.</summary>
    public int Size { get; }

    /// <summary>A new group's id, which one rank makes and all get.</summary>
    /// <returns>128 bytes.</returns>
    /// <exception cref="InvalidOperationException">There is no NCCL.</exception>
    public static byte[] NewUniqueId()
    {
        RequireNccl();
        NcclUniqueId id;
        int status = NcclApi.ncclGetUniqueId(&id);
        return status == 0
            ? new ReadOnlySpan<byte>(id.Internal, NcclUniqueId.Size).ToArray()
            : throw new NcclException("ncclGetUniqueId", status, TextOf(status, communicator: 0), device: -1, rank: -1);
    }

    /// <summary>Queues the sum over all ranks of their <paramref name="source"/>, which every rank gets, with the same bits.</summary>
    /// <param name="stream">A stream of this rank's device; may be capturing.</param>
    /// <param name="source">[count].</param>
    /// <param name="destination">[count]; may be the source.</param>
    /// <param name="count">Elements, the same on every rank; 0: nothing happens.</param>
    /// <param name="type">The type of source and destination. How sums of halves are rounded is up to NCCL.</param>
    public void AllReduceSum(CudaStream stream, nint source, nint destination, long count, CudaType type)
    {
        if (Begin("ncclAllReduce", count))
        {
            int dataType = type == CudaType.Float32 ? NcclApi.Single : NcclApi.Half;
            Queued(NcclApi.ncclAllReduce(source, destination, (nuint)count, dataType, NcclApi.Sum, _handle, stream.Handle),
                "ncclAllReduce");
        }
    }

    /// <summary>Queues a copy of the root's buffer to the buffers of all others.</summary>
    /// <param name="stream">A stream of this rank's device; may be capturing.</param>
    /// <param name="buffer">[bytes]; read on the root, overwritten elsewhere.</param>
    /// <param name="bytes">The same on every rank; 0: nothing happens.</param>
    /// <param name="root">The rank that sends.</param>
    public void Broadcast(CudaStream stream, nint buffer, long bytes, int root)
    {
        if (Begin("ncclBroadcast", bytes))
        {
            Queued(NcclApi.ncclBroadcast(buffer, buffer, (nuint)bytes, NcclApi.Byte, root, _handle, stream.Handle), "ncclBroadcast");
        }
    }

    /// <summary>
    /// Queues the concatenation, in the order of the ranks, of all ranks' <paramref name="source"/>, which every rank gets.
    /// </summary>
    /// <param name="stream">A stream of this rank's device; may be capturing.</param>
    /// <param name="source">[bytesPerRank].</param>
    /// <param name="destination">[Size · bytesPerRank]; the source may be this rank's part of it.</param>
    /// <param name="bytesPerRank">The same on every rank; 0: nothing happens.</param>
    public void AllGather(CudaStream stream, nint source, nint destination, long bytesPerRank)
    {
        if (Begin("ncclAllGather", bytesPerRank))
        {
            Queued(NcclApi.ncclAllGather(source, destination, (nuint)bytesPerRank, NcclApi.Byte, _handle, stream.Handle), "ncclAllGather");
        }
    }

    /// <summary>
    /// Looks whether what was queued has failed: a collective that fails ends, and leaves its stream working. Does not wait.
    /// </summary>
    /// <exception cref="NcclException">It has, or was aborted: its results are not to be used.</exception>
    public void ThrowIfFailed()
    {
        const string Call = "ncclCommGetAsyncError";
        int error;
        Check(NcclApi.ncclCommGetAsyncError(Live(Call), &error), Call);
        if (error != NcclApi.InProgress)
        {
            Check(error, Call);
        }
    }

    /// <summary>
    /// Ends what this rank has queued, whoever it waits for, and the communicator with it; what the collectives should have written is
    /// undefined then. May be called from another thread, while the communicator's own waits in a synchronise. Never throws.
    /// </summary>
    public void Abort()
    {
        _failed = true;
        nint handle = Interlocked.Exchange(ref _handle, 0);
        if (handle != 0)
        {
            _ = NcclApi.ncclCommAbort(handle);
        }
    }

    /// <summary>After an error destroying would wait for peers that do not come.</summary>
    private protected override void Release()
    {
        int error;
        if (_failed || (_handle != 0 && (NcclApi.ncclCommGetAsyncError(_handle, &error) != 0 || error is not (0 or NcclApi.InProgress))))
        {
            Abort();
            return;
        }

        nint handle = Interlocked.Exchange(ref _handle, 0);
        if (handle != 0)
        {
            _ = NcclApi.ncclCommDestroy(handle);
        }
    }

    /// <summary>The peers wait for this rank, whose device will never answer.</summary>
    private protected override void Forsake() => Abort();

    private static void RequireNccl()
    {
        if (!Cuda.HasNccl)
        {
            throw new InvalidOperationException($"NCCL is not available: {(Cuda.IsAvailable ? Cuda.NcclReason : Cuda.UnavailableReason)}");
        }
    }

    /// <summary>
    /// What NCCL itself says of its last error, which names causes, where it is new enough (2.13) to tell; the meaning of the code
    /// otherwise.
    /// </summary>
    private static string TextOf(int status, nint communicator)
    {
        string text = Marshal.PtrToStringUTF8((nint)NcclApi.ncclGetErrorString(status)) ?? string.Empty;
        string? detail = NativeLibrary.TryGetExport(Cuda.Nccl.Handle, "ncclGetLastError", out nint function)
            ? Marshal.PtrToStringUTF8((nint)((delegate* unmanaged<nint, byte*>)function)(communicator))?.Trim()
            : null;
        return string.IsNullOrEmpty(detail) ? text : $"{text}: {detail}";
    }

    private bool Begin(string call, long count)
    {
        Context.Use();
        _ = Live(call);
        if (count <= 0)
        {
            return false;
        }

        _last = call;
        Context.Counters.LibraryCalls++;
        return true;
    }

    private void Queued(int status, string call)
    {
        Check(status, call);
        Context.Launched(call, kernel: null);
    }

    private nint Live(string call)
    {
        nint handle = _handle;
        return handle != 0 ? handle : throw Failed(call, NcclApi.InvalidUsage, "the communicator was aborted");
    }

    private void Check(int status, string call)
    {
        if (status != 0)
        {
            Throw(status, call);
        }
    }

    private void Throw(int status, string call)
    {
        _failed = true;

        // Synchronising, to ask the driver whether the device has died, might wait for a peer for ever. This asks without waiting.
        nuint free, total;
        int result = status == NcclApi.UnhandledCudaError ? DriverApi.cuMemGetInfo_v2(&free, &total) : DriverApi.Success;
        throw CudaException.IsStickyCode(result)
            ? Context.Failed(CudaException.FromDriver(result, call, Context.Ordinal, kernel: null))
            : Failed(call, status, TextOf(status, _handle));
    }

    private NcclException Failed(string call, int status, string text) =>
        new(call, status, $"rank {Rank} of {Size}{(call == _last ? string.Empty : $", after {_last}")}: {text}", Context.Ordinal, Rank);
}
