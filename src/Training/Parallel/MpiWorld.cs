using System.Diagnostics;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Training.Parallel;

/// <summary>The processes that mpirun has started together, and messages between them.</summary>
/// <remarks>
/// <para>
/// All calls come from the thread that opened it. A call that waits for another process polls, and asks <see cref="WhileWaiting"/>
/// between two polls whether to go on: MPI itself would wait for a dead process for ever. An exchange that was given up leaves messages
/// half way, so that the world is broken from then on: every later call throws, and the process should end.
/// </para>
/// <para>
/// <see cref="Finish"/> is the orderly end, which all processes reach together. A process that leaves without it is reported by mpirun,
/// which then ends the others with SIGTERM, and with SIGKILL about a second later. A program that wants to say why it ends takes SIGTERM
/// as a request rather than as its end.
/// </para>
/// </remarks>
internal sealed unsafe class MpiWorld : IDisposable
{
    /// <summary>Environment variable with the path of the native library; it comes before every other place.</summary>
    public const string PathVariable = "CUDATRAINER_MPI_LIB";

    /// <summary>
    /// Tags of <see cref="Exchange(void*, long, int, void*, long, int, int)"/> are smaller; MPI guarantees tags to 32767.
    /// </summary>
    public const int TagLimit = 0x4000;

    private const string FileName = "libcudatrainer_mpi.so";

    private const int BroadcastTag = TagLimit;
    private const int AllGatherTag = TagLimit + 1;
    private const int BarrierTag = TagLimit + 2;

    /// <summary>Bytes of one MPI message: counts are ints, and smaller messages would gain nothing.</summary>
    private const long PieceBytes = 1 << 28;

    // Polls cost about 0.1 µs. Processes that share a processor need the other one to run; transfers by TCP progress only in polls.
    private const int PollsBeforeYield = 2_000;
    private const int PollsBeforeNap = 4_000;
    private const uint NapMicroseconds = 20;

    private const int NoRequest = -1;

    /// <summary>Set by mpirun or its kin: OpenMPI, PMIx (OpenMPI 5, Slurm), PMI (MPICH, Intel MPI), MVAPICH.</summary>
    private static readonly string[] LaunchVariables = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE", "PMI_RANK",
        "MV2_COMM_WORLD_SIZE"];

    private static readonly string[] SizeVariables = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

    private static readonly Lazy<(MpiApi? Api, string Detail)> Loaded = new(() => Load(NativeShim.Candidates(FileName, PathVariable)));

    private static int _opened;

    private readonly MpiApi _api;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private State _state;
    private long _messages;
    private long _bytes;
    private long _ticks;

    private MpiWorld(MpiApi api, int rank, int size, int localRank, int threadLevel)
    {
        _api = api;
        Rank = rank;
        Size = size;
        LocalRank = localRank;
        ThreadLevel = (MpiThreadLevel)threadLevel;
        LibraryVersion = NameOf(api.LibraryVersion());
    }

    private enum State
    {
        Open,
        Broken,
        Finished,
    }

    /// <summary>Whether this process was started by mpirun, or by another launcher that MPI knows.</summary>
    public static bool IsLaunched => LaunchVariables.Any(name => Environment.GetEnvironmentVariable(name) is { Length: > 0 });

    /// <summary>How many processes the launcher says it has started; null where it does not say.</summary>
    public static int? LaunchedSize => SizeVariables.Select(Environment.GetEnvironmentVariable)
        .Select(text => int.TryParse(text, out int size) ? size : (int?)null).FirstOrDefault(size => size is not null);

    /// <summary>Whether the native library and an MPI are there.</summary>
    public static bool IsAvailable => Loaded.Value.Api is not null;

    /// <summary>Where the native library was loaded from, or why there is none: every path tried and what to do.</summary>
    public static string Detail => Loaded.Value.Detail;

    /// <summary>The MPI that is installed, such as <c>Open MPI v4.1.4</c>, without joining anything; null when there is none.</summary>
    public static string? InstalledVersion => Loaded.Value.Api is { } api ? NameOf(api.LibraryVersion()) : null;

    /// <summary>This process's number, from 0.</summary>
    public int Rank { get; }

    public int Size { get; }

    /// <summary>This process's number among those that share its machine's memory, from 0.</summary>
    public int LocalRank { get; }

    public string HostName => Environment.MachineName;

    /// <summary>What the MPI says of itself, such as <c>Open MPI v4.1.4</c>.</summary>
    public string LibraryVersion { get; }

    /// <summary>What MPI allows threads to do. <see cref="MpiThreadLevel.Funneled"/> was asked for.</summary>
    public MpiThreadLevel ThreadLevel { get; }

    /// <summary>
    /// Called again and again by whatever waits for another process. What it throws, the waiting call throws, and the world is broken.
    /// </summary>
    public Action? WhileWaiting { get; set; }

    /// <summary>What this process has sent so far, and how long it has been in calls that communicate, waiting included.</summary>
    public MpiTraffic Traffic => new(_messages, _bytes, Stopwatch.GetElapsedTime(0, _ticks));

    /// <summary>Joins the other processes. Without mpirun the world is this process alone.</summary>
    /// <exception cref="MpiException">The native library or MPI is missing, or MPI cannot start.</exception>
    /// <exception cref="InvalidOperationException">This process has opened it before: MPI starts once in a process.</exception>
    public static MpiWorld Open()
    {
        MpiApi api = Loaded.Value.Api ?? throw new MpiException(Detail);
        if (Interlocked.Exchange(ref _opened, 1) != 0)
        {
            throw new InvalidOperationException("This process has opened its MPI world before; MPI starts only once.");
        }

        using var handlers = new FaultHandlers();
        int rank = 0, size = 0, localRank = 0, threadLevel = 0;
        int error = api.Init(&rank, &size, &localRank, &threadLevel);
        return error == 0
            ? new MpiWorld(api, rank, size, localRank, threadLevel)
            : throw new MpiException($"MPI cannot start: {api.Text(error)}");
    }

    /// <summary>Sends to one process and receives from one, which may be the same, at the same time. Returns when both are done.</summary>
    /// <param name="send">The message to send.</param>
    /// <param name="sendBytes">Its size; 0 sends nothing.</param>
    /// <param name="to">The rank that receives it, with a call that expects as many bytes.</param>
    /// <param name="receive">Output: the other message.</param>
    /// <param name="receiveBytes">Its size; 0 receives nothing.</param>
    /// <param name="from">The rank that sends it.</param>
    /// <param name="tag">0 ≤ tag &lt; <see cref="TagLimit"/>; both sides give the same.</param>
    /// <exception cref="MpiException">MPI reports an error, or the message has another size.</exception>
    public void Exchange(void* send, long sendBytes, int to, void* receive, long receiveBytes, int from, int tag)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tag);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(tag, TagLimit);
        ExchangePieces(send, sendBytes, to, receive, receiveBytes, from, tag);
    }

    /// <inheritdoc cref="Exchange(void*, long, int, void*, long, int, int)"/>
    public void Exchange(ReadOnlySpan<byte> send, int to, Span<byte> receive, int from, int tag)
    {
        fixed (byte* source = send, destination = receive)
        {
            Exchange(source, send.Length, to, destination, receive.Length, from, tag);
        }
    }

    /// <inheritdoc cref="Exchange(void*, long, int, void*, long, int, int)"/>
    public void Send(ReadOnlySpan<byte> message, int to, int tag) => Exchange(message, to, [], to, tag);

    /// <inheritdoc cref="Exchange(void*, long, int, void*, long, int, int)"/>
    public void Receive(Span<byte> message, int from, int tag) => Exchange([], from, message, from, tag);

    /// <summary>Copies the root's bytes to all processes, along a binomial tree.</summary>
    /// <param name="bytes">Of the same length on all ranks; input on the root, output elsewhere.</param>
    /// <param name="root">The rank that has them.</param>
    public void Broadcast(Span<byte> bytes, int root)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(root);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(root, Size);
        int place = (Rank - root + Size) % Size;
        fixed (byte* data = bytes)
        {
            // The lowest set bit of a place tells when it receives; all lower bits name those it sends to.
            int bit = 1;
            while (bit < Size && (place & bit) == 0)
            {
                bit <<= 1;
            }

            if (place != 0)
            {
                ExchangePieces(null, 0, 0, data, bytes.Length, (place - bit + root) % Size, BroadcastTag);
            }

            for (bit >>= 1; bit > 0; bit >>= 1)
            {
                if (place + bit < Size)
                {
                    ExchangePieces(data, bytes.Length, (place + bit + root) % Size, null, 0, 0, BroadcastTag);
                }
            }
        }
    }

    /// <summary>Gathers the bytes of all processes on all processes, in the order of ranks.</summary>
    /// <param name="mine">[n], n the same on all ranks.</param>
    /// <param name="all">Output: [<see cref="Size"/>, n].</param>
    public void AllGather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        int each = mine.Length;
        if (all.Length != (long)each * Size)
        {
            throw new ArgumentException($"{all.Length} bytes cannot hold {Size} parts of {each} bytes.", nameof(all));
        }

        mine.CopyTo(all[(Rank * each)..]);
        int next = (Rank + 1) % Size, previous = (Rank + Size - 1) % Size;
        fixed (byte* data = all)
        {
            for (int step = 0; step < Size - 1; step++)
            {
                long sent = (Rank - step + Size) % Size, received = (previous - step + Size) % Size;
                ExchangePieces(data + (sent * each), each, next, data + (received * each), each, previous, AllGatherTag);
            }
        }
    }

    /// <summary>Returns when all processes have called it: in round k each hears from the one 2^k places before it.</summary>
    public void Barrier()
    {
        Require();
        byte sent = 0, received;
        for (int distance = 1; distance < Size; distance <<= 1)
        {
            ExchangePieces(&sent, 1, (Rank + distance) % Size, &received, 1, (Rank + Size - distance) % Size, BarrierTag);
        }
    }

    /// <summary>The orderly end: waits for all processes and takes MPI down.</summary>
    /// <exception cref="MpiException">MPI reports an error, or the world is broken.</exception>
    public void Finish()
    {
        // MPI's own end waits without polling; behind a barrier nobody is known to be missing.
        Barrier();
        _state = State.Finished;
        Check(_api.Finalise(), "finalize");
    }

    /// <summary>Ends all processes of the world at once. Does not return.</summary>
    /// <param name="code">The exit code that mpirun is to give.</param>
    public void Abort(int code) => _api.Abort(code);

    /// <summary>
    /// Without <see cref="Finish"/> before, this process leaves the others, and MPI stays as it is until the process ends.
    /// </summary>
    public void Dispose()
    {
        if (_state == State.Open)
        {
            _state = State.Broken;
        }
    }

    /// <summary>Loads the first library that loads and has the interface this program was built for.</summary>
    /// <returns>The library and its path, or null and the account of what was tried.</returns>
    internal static (MpiApi? Api, string Detail) Load(IEnumerable<string> candidates)
    {
        (MpiApi? api, string detail) = NativeShim.Load(candidates, MpiApi.Load);
        return api is not null
            ? (api, detail)
            : (null, $"the native MPI library does not load; tried {detail}. Install an MPI (Debian: openmpi-bin and libopenmpi-dev) and " +
                $"build again (beside NuGet packages openmpi-bin is enough), or set {PathVariable} to its path");
    }

    /// <summary>Without the lists of build options that follow.</summary>
    private static string NameOf(string text) => text.Split('\n', 2)[0].Split(',', 2)[0].Trim();

    private void ExchangePieces(void* send, long sendBytes, int to, void* receive, long receiveBytes, int from, int tag)
    {
        Require();
        long start = Stopwatch.GetTimestamp();
        for (long offset = 0; offset < Math.Max(sendBytes, receiveBytes); offset += PieceBytes)
        {
            ExchangePiece(
                (byte*)send + offset, Math.Clamp(sendBytes - offset, 0, PieceBytes), to,
                (byte*)receive + offset, Math.Clamp(receiveBytes - offset, 0, PieceBytes), from, tag);
        }

        _ticks += Stopwatch.GetTimestamp() - start;
    }

    private void ExchangePiece(byte* send, long sendBytes, int to, byte* receive, long receiveBytes, int from, int tag)
    {
        int sending = NoRequest, receiving = NoRequest;
        bool done = false;
        try
        {
            // First the receive: a message that is expected need not be stored in between.
            if (receiveBytes > 0)
            {
                int request;
                Check(_api.ReceiveBegin(receive, receiveBytes, from, tag, &request), "irecv");
                receiving = request;
            }

            if (sendBytes > 0)
            {
                int request;
                Check(_api.SendBegin(send, sendBytes, to, tag, &request), "isend");
                sending = request;
                _messages++;
                _bytes += sendBytes;
            }

            for (int poll = 0; true; poll++)
            {
                if (receiving != NoRequest && IsDone(ref receiving, "receiving", out long received) && received != receiveBytes)
                {
                    throw new MpiException(
                        $"Rank {from} sent {received} bytes where rank {Rank} expected {receiveBytes}: the processes do not run the " +
                            $"same program with the same options.");
                }

                if (sending != NoRequest)
                {
                    IsDone(ref sending, "sending", out _);
                }

                if (sending == NoRequest && receiving == NoRequest)
                {
                    break;
                }

                WhileWaiting?.Invoke();
                Pause(poll);
            }

            done = true;
        }
        finally
        {
            if (!done)
            {
                _state = State.Broken;
                GiveUp(sending);
                GiveUp(receiving);
            }
        }
    }

    private bool IsDone(ref int request, string what, out long received)
    {
        int done = 0;
        long bytes = 0;
        int polled = request, error = _api.Test(polled, &done, &bytes);
        received = bytes;
        if (done != 0 || error != 0)
        {
            request = NoRequest;
        }

        Check(error, what);
        return done != 0;
    }

    private void GiveUp(int request)
    {
        if (request != NoRequest)
        {
            // There is nothing to do about an error here: the world is broken already.
            _ = _api.Forget(request);
        }
    }

    private static void Pause(int poll)
    {
        if (poll < PollsBeforeYield)
        {
            Thread.SpinWait(1);
        }
        else if (poll < PollsBeforeNap)
        {
            Thread.Yield();
        }
        else
        {
            ThreadTeam.Nap(NapMicroseconds);
        }
    }

    private void Require()
    {
        if (_state != State.Open)
        {
            throw new MpiException(
                _state == State.Finished
                ? "The MPI world has ended."
                : "The MPI world is broken: an exchange with another process was given up or failed.");
        }

        if (Environment.CurrentManagedThreadId != _thread)
        {
            throw new InvalidOperationException("The MPI world is used by another thread than the one that opened it.");
        }
    }

    private void Check(int error, string what)
    {
        if (error != 0)
        {
            _state = State.Broken;
            throw new MpiException($"MPI on rank {Rank} of {Size}: {what} failed: {_api.Text(error)}");
        }
    }
}

/// <summary>MPI's levels of thread support, weakest first.</summary>
internal enum MpiThreadLevel
{
    Single,
    Funneled,
    Serialized,
    Multiple,
}

/// <param name="Messages">Sent.</param>
/// <param name="Bytes">Sent.</param>
/// <param name="Time">In calls that communicate, waiting included.</param>
internal readonly record struct MpiTraffic(long Messages, long Bytes, TimeSpan Time);
