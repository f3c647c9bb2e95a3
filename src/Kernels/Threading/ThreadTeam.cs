using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu.Threading;

/// <summary>A kernel that a whole team runs together: each member is called once with its place in the team.</summary>
internal interface ITeamKernel
{
    void Run<TSimd, TVec>(Member member)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged;
}

/// <summary>
/// A fixed team of threads that runs kernels together. The calling thread is member 0; the others spin a while for the next kernel and
/// then sleep. Nothing is allocated per run. Members divide the work by <see cref="Member.Share(int, int)"/> or take it piece by piece
/// (<see cref="Member.Claim"/>); a kernel that computes each output element in one member, in one order, gives the same bits for every team
/// size.
/// </summary>
/// <remarks>One kernel runs at a time; a team is owned by one device and is not re-entrant.</remarks>
internal sealed unsafe partial class ThreadTeam : IDisposable
{
    /// <summary>Iterations of <see cref="Thread.SpinWait"/> in a round of busy waiting, which then takes about 0.3 µs.</summary>
    private const int SpinIterations = 8;

    /// <summary>Rounds before a member without a kernel goes to sleep: 0.6 ms, longer than the gap between two ops of a step.</summary>
    private const int RoundsBeforeSleep = 2_000;

    /// <summary>
    /// Rounds before a member that waits for others naps at every further round: 0.1 ms. Two members may have been woken on one processor,
    /// and share it as long as the one that waits spins or yields; one that wakes from a nap is free to be put on an idle processor.
    /// </summary>
    private const int RoundsBeforeNap = 300;

    private const uint NapMicroseconds = 20;

    private const int ActiveBits = 16;

    private readonly Thread[] _threads;
    private readonly Scratch[] _scratch;
    private readonly Scratch _workspace = new();
    private readonly Scratch _sharedPacking = new();

    /// <summary>What sleeping members wait on; a pulse reaches all of them, so that none can take another's wake-up.</summary>
    private readonly object _wake = new();
    private delegate*<void*, Member, void> _entry;
    private void* _kernel;

    /// <summary>Number of the kernel, and behind it in <see cref="ActiveBits"/> bits how many members run it.</summary>
    private long _ticket;
    private int _claimed;
    private int _running;
    private int _sleepers;
    private int _barrierArrived;
    private int _barrierGeneration;
    private bool _stop;
    private Exception? _failure;

    /// <param name="threads">Members, the caller included; ≥ 1.</param>
    /// <param name="level">The SIMD level that kernels run at; the process-wide choice if null.</param>
    public ThreadTeam(int threads, SimdLevel? level = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(threads, 1 << ActiveBits);
        Size = threads;
        Active = threads;
        Level = level ?? SimdSelection.Current;
        if (!SimdSelection.IsSupported(Level))
        {
            throw new PlatformNotSupportedException($"This machine cannot run SIMD level {Level}.");
        }

        _scratch = new Scratch[threads];
        for (int i = 0; i < threads; i++)
        {
            _scratch[i] = new Scratch();
        }

        _threads = new Thread[threads - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int index = i + 1;
            _threads[i] = new Thread(() => Work(index)) { IsBackground = true, Name = $"compute {index}" };
            _threads[i].Start();
        }
    }

    public int Size { get; }

    /// <summary>Members that run kernels, 1 to <see cref="Size"/>, the others sleep. To be set between kernels.</summary>
    public int Active
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Size);
            field = value;
        }
    }

    public SimdLevel Level { get; }

    /// <summary>What multiplies matrices in bfloat16; without one (the default) products are in single precision.</summary>
    /// <exception cref="ArgumentException">The level is not that of 512 bits, for which it is made.</exception>
    public PairTile PairTile
    {
        get;
        init => field = Level == SimdLevel.V512 || !value.Exists ? value
            : throw new ArgumentException($"Pairs are multiplied at level {SimdLevel.V512}, not {Level}.", nameof(value));
    }

    /// <summary>Runs <paramref name="kernel"/> on every member and returns when all are done.</summary>
    public void Run<TKernel>(ref TKernel kernel)
        where TKernel : struct, ITeamKernel
    {
        void* pointer = Unsafe.AsPointer(ref kernel);
        delegate*<void*, Member, void> entry = Level switch
        {
            SimdLevel.V512 => &Enter<TKernel, Simd512, Vector512<float>>,
            SimdLevel.V256 => &Enter<TKernel, Simd256, Vector256<float>>,
            _ => &Enter<TKernel, Simd128, Vector128<float>>,
        };
        _claimed = 0;
        if (Active == 1)
        {
            entry(pointer, new Member(this, 0));
            return;
        }

        _kernel = pointer;
        _entry = entry;
        _failure = null;
        Volatile.Write(ref _running, Active - 1);
        NextTicket();

        try
        {
            entry(pointer, new Member(this, 0));
        }
        finally
        {
            for (int round = 0; Volatile.Read(ref _running) != 0; round++)
            {
                Wait(round);
            }
        }

        if (_failure is { } failure)
        {
            throw new InvalidOperationException($"A kernel failed on another thread of the team: {failure.Message}", failure);
        }
    }

    public void Dispose()
    {
        if (_stop)
        {
            return;
        }

        _stop = true;
        NextTicket();
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        foreach (Scratch scratch in _scratch)
        {
            scratch.Dispose();
        }

        _workspace.Dispose();
        _sharedPacking.Dispose();
    }

    /// <summary>Waits until every member has called it as often.</summary>
    internal void Barrier()
    {
        if (Active == 1)
        {
            return;
        }

        int generation = Volatile.Read(ref _barrierGeneration);
        if (Interlocked.Increment(ref _barrierArrived) == Active)
        {
            Volatile.Write(ref _barrierArrived, 0);
            Interlocked.Increment(ref _barrierGeneration);
            return;
        }

        for (int round = 0; Volatile.Read(ref _barrierGeneration) == generation; round++)
        {
            Wait(round);
        }
    }

    /// <summary>
    /// Working memory of an op that runs several kernels and shares data between members: apart from the members' scratch, 4096-byte
    /// aligned, uninitialised, valid until its next call. Called by the owner between kernels, not by members.
    /// </summary>
    internal byte* Workspace(nuint bytes) => _workspace.Get(bytes);

    /// <summary>Like <see cref="Workspace"/>, for the matrix product itself: its callers keep their operands in the workspace.</summary>
    internal byte* SharedPacking(nuint bytes) => _sharedPacking.Get(bytes);

    internal int Claim() => Interlocked.Increment(ref _claimed) - 1;

    internal byte* ScratchOf(int member, nuint bytes) => _scratch[member].Get(bytes);

    /// <summary>Lets the calling thread sleep for less than the runtime's sleeps, which take a millisecond; where the system cannot, it
    /// yields.</summary>
    public static void Nap(uint microseconds)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = usleep(microseconds);
        }
        else
        {
            Thread.Yield();
        }
    }

    private static void Enter<TKernel, TSimd, TVec>(void* kernel, Member member)
        where TKernel : struct, ITeamKernel
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => Unsafe.AsRef<TKernel>(kernel).Run<TSimd, TVec>(member);

    private static void Wait(int round)
    {
        if (round < RoundsBeforeNap)
        {
            Thread.SpinWait(SpinIterations);
        }
        else
        {
            Nap(NapMicroseconds);
        }
    }

    [LibraryImport("libc")]
    private static partial int usleep(uint microseconds);

    private void Work(int index)
    {
        long seen = 0;
        while (true)
        {
            seen = AwaitOther(seen);
            if (_stop)
            {
                return;
            }

            if (index >= (seen & ((1 << ActiveBits) - 1)))
            {
                continue;
            }

            try
            {
                _entry(_kernel, new Member(this, index));
            }
            catch (Exception exception)
            {
                _failure = exception;
            }

            Interlocked.Decrement(ref _running);
        }
    }

    /// <returns>The first ticket other than <paramref name="seen"/>.</returns>
    private long AwaitOther(long seen)
    {
        long ticket;
        for (int round = 0; round < RoundsBeforeSleep; round++)
        {
            ticket = Volatile.Read(ref _ticket);
            if (ticket != seen)
            {
                return ticket;
            }

            Thread.SpinWait(SpinIterations);
        }

        Interlocked.Increment(ref _sleepers);
        lock (_wake)
        {
            while ((ticket = Volatile.Read(ref _ticket)) == seen)
            {
                Monitor.Wait(_wake);
            }
        }

        Interlocked.Decrement(ref _sleepers);
        return ticket;
    }

    /// <summary>Begins the next kernel. A member that counts itself as a sleeper later sees the new ticket.</summary>
    private void NextTicket()
    {
        Interlocked.Exchange(ref _ticket, (((_ticket >> ActiveBits) + 1) << ActiveBits) | (uint)Active);
        if (Volatile.Read(ref _sleepers) > 0)
        {
            lock (_wake)
            {
                Monitor.PulseAll(_wake);
            }
        }
    }

    /// <summary>One member's working memory, kept between kernels and grown when a kernel asks for more.</summary>
    private sealed class Scratch : IDisposable
    {
        private void* _memory;
        private nuint _bytes;

        public byte* Get(nuint bytes)
        {
            if (bytes > _bytes)
            {
                NativeMemory.AlignedFree(_memory);
                _memory = NativeMemory.AlignedAlloc(bytes, 4096);
                _bytes = bytes;
            }

            return (byte*)_memory;
        }

        public void Dispose()
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
            _bytes = 0;
        }
    }
}

/// <summary>A thread's place in a running team.</summary>
internal readonly unsafe struct Member(ThreadTeam team, int index)
{
    public int Index => index;

    public int Count => team.Active;

    /// <summary>Waits for all members of the team.</summary>
    public void Barrier() => team.Barrier();

    /// <summary>
    /// This member's contiguous share of [0, <paramref name="count"/>), cut at multiples of <paramref name="multiple"/>; shares differ by
    /// at most one multiple.
    /// </summary>
    public (int Begin, int End) Share(int count, int multiple = 1)
    {
        long blocks = (count + multiple - 1) / multiple;
        long begin = blocks * index / Count * multiple;
        long end = blocks * (index + 1) / Count * multiple;
        return ((int)Math.Min(begin, count), (int)Math.Min(end, count));
    }

    /// <inheritdoc cref="Share(int, int)"/>
    public (long Begin, long End) Share(long count, int multiple)
    {
        long blocks = (count + multiple - 1) / multiple;
        return (Math.Min(blocks * index / Count * multiple, count), Math.Min(blocks * (index + 1) / Count * multiple, count));
    }

    /// <summary>
    /// The next of the numbers 0, 1, 2… that no member has claimed in this run, for kernels whose pieces of work may lie with any member
    /// without a change of the result: a member that the machine holds up then holds up nobody else.
    /// </summary>
    public int Claim() => team.Claim();

    /// <summary>Working memory of this member, 4096-byte aligned, uninitialised; valid until its next call.</summary>
    public byte* Scratch(nuint bytes) => team.ScratchOf(index, bytes);

    /// <summary>Working memory of another member, to read what it has left there after a barrier.</summary>
    public byte* ScratchOf(int other, nuint bytes) => team.ScratchOf(other, bytes);
}
