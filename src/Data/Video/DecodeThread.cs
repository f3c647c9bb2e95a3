using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;

namespace CudaTrainer.Data.Video;

/// <summary>A thread that runs native reads for whoever asks, so that a read that never returns costs a thread, not a caller.</summary>
/// <remarks>
/// Everything native code touches (path, options, pictures, message) is memory owned by the thread: a caller that
/// gives up can return at once. Idle threads wait for the next read, so there are as many as reads ever ran at the same time,
/// and a read that succeeds allocates nothing but the name of a codec or container that is new and, for motion, what a video of another
/// size or a longer one takes.
/// </remarks>
internal sealed unsafe class DecodeThread
{
    private const int Running = 0;
    private const int Finished = 1;
    private const int GivenUp = 2;

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);
    private static readonly Lock Lock = new();
    private static readonly Stack<DecodeThread> Idle = new();
    private static int _abandoned;

    private readonly SemaphoreSlim _start = new(0);
    private readonly SemaphoreSlim _done = new(0);
    private readonly Job* _job;
    private byte* _path;
    private nuint _pathBytes;
    private byte* _rgb;
    private nuint _rgbBytes;
    private MotionMeter? _meter;
    private NativeVideo? _native;
    private int _state;
    private int _fault;

    private DecodeThread()
    {
        _job = (Job*)NativeMemory.AllocZeroed((nuint)sizeof(Job));
        new Thread(Run) { IsBackground = true, Name = "video decoder" }.Start();
    }

    public static int Abandoned => Volatile.Read(ref _abandoned);

    public static VideoReadResult Read(
        NativeVideo native, string path, int frameCount, Span<byte> rgb, Span<float> motion, VideoReadOptions options,
        CancellationToken cancellation)
    {
        DecodeThread thread = Rent();
        VideoReadResult result = thread.Serve(native, path, frameCount, rgb, motion, options, cancellation, out bool lost);
        if (!lost)
        {
            lock (Lock)
            {
                Idle.Push(thread);
            }
        }

        return result;
    }

    /// <summary>The same on a thread of its own, which has the caller's credentials and is not used again.</summary>
    internal static VideoReadResult ReadOnNewThread(
        NativeVideo native, string path, int frameCount, Span<byte> rgb, VideoReadOptions options) =>
        new DecodeThread().Serve(native, path, frameCount, rgb, [], options, CancellationToken.None, out _);

    private VideoReadResult Serve(
        NativeVideo native, string path, int frameCount, Span<byte> rgb, Span<float> motion, VideoReadOptions options,
        CancellationToken cancellation, out bool lost)
    {
        Prepare(native, path, frameCount, rgb.Length, !motion.IsEmpty, options);
        lost = !Execute(options.TimeLimit, cancellation);
        if (!lost)
        {
            return Result(rgb, motion);
        }

        Interlocked.Increment(ref _abandoned);
        return cancellation.IsCancellationRequested
            ? new VideoReadResult(VideoFault.Cancelled, "", default)
            : new VideoReadResult(
                VideoFault.TimedOut,
                $"the limit of {options.TimeLimit.TotalSeconds:0.###} s was reached in a step that does not return",
                default);
    }

    private static DecodeThread Rent()
    {
        lock (Lock)
        {
            if (Idle.TryPop(out DecodeThread? idle))
            {
                return idle;
            }
        }

        return new DecodeThread();
    }

    private void Prepare(NativeVideo native, string path, int frameCount, int rgbBytes, bool hasMotion, VideoReadOptions options)
    {
        _native = native;
        nuint pathBytes = (nuint)Encoding.UTF8.GetMaxByteCount(path.Length) + 1;
        Reserve(ref _path, ref _pathBytes, pathBytes);
        int written = Encoding.UTF8.GetBytes(path, new Span<byte>(_path, (int)pathBytes));
        _path[written] = 0;
        Reserve(ref _rgb, ref _rgbBytes, (nuint)rgbBytes);
        if (hasMotion)
        {
            _meter ??= new MotionMeter();
            _meter.Reset();
            _job->Watcher = _meter.Watcher;
        }

        _job->HasPictures = rgbBytes > 0 ? 1 : 0;
        _job->RgbBytes = rgbBytes;
        _job->Stop = 0;
        _job->Info = default;
        _job->Options = new NativeVideo.ReadOptions
        {
            IndexOf = FrameSampler.ForNative(options.Timing),
            Stop = &_job->Stop,
            KeepBytes = options.KeepBytes,
            Frames = frameCount,
            Width = options.Width,
            Height = options.Height,
            LimitMilliseconds = (int)Math.Ceiling(options.TimeLimit.TotalMilliseconds),
            TolerateDamage = options.TolerateDamage ? 1 : 0,
            Watcher = hasMotion ? &_job->Watcher : null,
        };
        _state = Running;
    }

    /// <returns><c>false</c> if the native call did not come back; this thread is then lost.</returns>
    private bool Execute(TimeSpan limit, CancellationToken cancellation)
    {
        using CancellationTokenRegistration stopWhenCancelled = cancellation.UnsafeRegister(
            static thread => Volatile.Write(ref ((DecodeThread)thread!)._job->Stop, 1), this);
        _start.Release();
        try
        {
            if (_done.Wait(limit == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : limit + Grace, cancellation))
            {
                return true;
            }
        }
        catch (OperationCanceledException)
        {
            if (_done.Wait(Grace, CancellationToken.None))
            {
                return true;
            }
        }

        Volatile.Write(ref _job->Stop, 1);
        if (Interlocked.CompareExchange(ref _state, GivenUp, Running) == Running)
        {
            return false;
        }

        // It finished between the last wait and the decision.
        _done.Wait(CancellationToken.None);
        return true;
    }

    private VideoReadResult Result(Span<byte> rgb, Span<float> motion)
    {
        if (!motion.IsEmpty && _meter!.Failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        var fault = (VideoFault)_fault;
        VideoInfo info = NativeVideo.InfoOf(&_job->Info);
        if (fault != VideoFault.None)
        {
            return new VideoReadResult(fault, NativeVideo.Text(_job->Message, NativeVideo.MessageBytes), info);
        }

        new ReadOnlySpan<byte>(_rgb, rgb.Length).CopyTo(rgb);
        if (!motion.IsEmpty)
        {
            _meter!.Steps(motion);
            info = info with { MotionPairs = _meter.Pairs, Pictures = _meter.Pictures };
        }

        return new VideoReadResult(fault, "", info);
    }

    private void Run()
    {
        for (; ; )
        {
            _start.Wait();
            _fault = _native!.Read(
                _path, &_job->Options, _job->HasPictures != 0 ? _rgb : null, _job->RgbBytes, &_job->Info, _job->Message,
                    NativeVideo.MessageBytes);
            if (Interlocked.CompareExchange(ref _state, Finished, Running) != Running)
            {
                NativeMemory.Free(_path);
                NativeMemory.Free(_rgb);
                _meter?.Dispose();
                NativeMemory.Free(_job);
                return;
            }

            _done.Release();
        }
    }

    private static void Reserve(ref byte* buffer, ref nuint held, nuint bytes)
    {
        if (held < bytes)
        {
            buffer = (byte*)NativeMemory.Realloc(buffer, bytes);
            held = bytes;
        }
    }

    private struct Job
    {
        public NativeVideo.ReadOptions Options;
        public NativeVideo.Watcher Watcher;
        public NativeVideo.Info Info;
        public long RgbBytes;
        public int Stop;
        public int HasPictures;
        public fixed byte Message[NativeVideo.MessageBytes];
    }
}
