using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace CudaTrainer.Data.Video;

/// <summary>One frame of a <see cref="VideoFrameReader"/>.</summary>
/// <param name="Index">From 0.</param>
/// <param name="Rgb">[height, width, 3]; empty where no picture was asked for.</param>
/// <param name="Seconds">When it is shown, from the first frame on, by the time stamps.</param>
/// <param name="Motion">Between this frame and an earlier one; null where none was measured.</param>
public sealed record VideoFrame(long Index, byte[] Rgb, double Seconds = 0, MotionPair? Motion = null)
{
    /// <summary>When it was decoded, by <see cref="Stopwatch"/>.</summary>
    public long Decoded { get; init; }

    /// <summary>Seconds that it came later than the least delayed of the last minute; of live video only.</summary>
    public double Late { get; init; }

    /// <summary>Whether nobody wanted it (<see cref="LiveReading.Wants"/>), so that it has neither picture nor motion.</summary>
    public bool Rested { get; init; }
}

/// <summary>What moves between two frames.</summary>
/// <param name="Start">Seconds of the earlier frame.</param>
/// <param name="End">Seconds of the later frame.</param>
/// <param name="Features">[<see cref="MotionFeatures.PerPair"/>], for <see cref="MotionFeatures.Steps"/>.</param>
/// <param name="Picture">What the later frame looks like.</param>
public sealed record MotionPair(double Start, double End, float[] Features, PictureStatistics Picture = default);

/// <summary>How <see cref="VideoFrameReader"/> reads a file.</summary>
public sealed record VideoFrameOptions
{
    /// <summary>Width of each frame in pixels; 0, together with <see cref="Height"/>, for that of the video as displayed.</summary>
    public int Width { get; init; }

    /// <summary>Height of each frame in pixels.</summary>
    public int Height { get; init; }

    /// <summary>Seconds from one frame with a picture to the next; 0 = every frame has one.</summary>
    public double PictureEvery { get; init; }

    /// <summary>The part of each picture that is looked at, for pictures and motion; null for the whole.</summary>
    public PictureZone? Zone { get; init; }

    /// <summary>How live video is read; null for a file.</summary>
    public LiveReading? Live { get; init; }

    /// <summary>Whether motion is measured.</summary>
    public bool Motion { get; init; }

    /// <summary>Frames that may be decoded ahead of whoever takes them.</summary>
    public int Ahead { get; init; } = 16;

    /// <summary>Wall-clock limit for opening and from one frame to the next; <see cref="TimeSpan.Zero"/> for none.</summary>
    public TimeSpan TimeLimit { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>
/// Every frame of a video, front to back, decoded once by a thread of its own that stays a few frames ahead: a video of any length takes
/// the memory of those frames. What decodes of a damaged file is delivered; <see cref="Result"/> tells in the end.
/// </summary>
/// <remarks>
/// A native step that never returns is left behind with its thread and memory 2 seconds after the time limit, as <see cref="VideoReader"/>
/// does it. One thread takes frames; all members are for that thread.
/// </remarks>
public sealed unsafe class VideoFrameReader : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly VideoFrameOptions _options;
    private readonly CancellationToken _cancellation;
    private readonly Worker _worker;
    private bool _ended;
    private bool _lost;

    /// <exception cref="VideoException">The native library is missing.</exception>
    public VideoFrameReader(string path, VideoFrameOptions options, CancellationToken cancellation)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Ahead, 1, nameof(options));
        _options = options;
        _cancellation = cancellation;
        _worker = new Worker(VideoLibrary.Require(path), path, options);
    }

    /// <summary>How reading ended, once <see cref="Next"/> has returned null. A fault does not take back the frames before it.</summary>
    public VideoReadResult Result { get; private set; }

    /// <summary>
    /// The frame rate that the container claims, once there is a frame; (0, 1) when it claims none. It does not tell the time.
    /// </summary>
    public FrameRate Rate => _worker.Rate;

    /// <summary>The size of each picture, once there is one.</summary>
    public (int Width, int Height) Size => _worker.Size;

    /// <summary>The size of the video, or of its zone, as displayed, once there is a frame.</summary>
    public (int Width, int Height) ShownSize => _worker.ShownSize;

    /// <summary>Frames of live video that were left out because nobody took them in time.</summary>
    public long LeftOut => _worker.LeftOut;

    /// <summary>Packets of live video that were passed over because they came late.</summary>
    public long PassedOver => _worker.PassedOver;

    /// <summary>The next frame, which stays the caller's until it is given back; null after the last.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public VideoFrame? Next()
    {
        if (_ended)
        {
            return null;
        }

        TimeSpan limit = _options.TimeLimit == TimeSpan.Zero ? Timeout.InfiniteTimeSpan
            : _options.TimeLimit + Grace + (_options.Live?.OpenLimit ?? TimeSpan.Zero);
        if (!_worker.Ready.Wait(limit, _cancellation))
        {
            _ended = _lost = true;
            Result = new VideoReadResult(VideoFault.TimedOut,
                $"the limit of {_options.TimeLimit.TotalSeconds:0.###} s was reached in a step that does not return", default);
            return null;
        }

        return Taken();
    }

    /// <summary>The next frame if there is one now; null otherwise, and after the last, when <see cref="HasEnded"/> is set.</summary>
    public VideoFrame? TryNext() => _worker.Ready.Wait(0, _cancellation) ? Taken() : null;

    /// <summary>Whether there are no more frames; <see cref="Result"/> says why.</summary>
    public bool HasEnded => _ended;

    /// <summary>Leaves a reader alone whose native step does not return; its thread ends with that step.</summary>
    public void Abandon()
    {
        _ended = _lost = true;
        _worker.Stop();
    }

    /// <summary>Gives a frame back, whose memory then holds one to come.</summary>
    public void Return(VideoFrame frame)
    {
        if (frame.Rgb.Length > 0)
        {
            _worker.Return(frame.Rgb);
        }
    }

    public void Dispose()
    {
        _worker.Stop();
        if (!_lost && !_worker.Thread.Join(_options.TimeLimit == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : _options.TimeLimit + Grace))
        {
            _lost = true;
        }
    }

    private VideoFrame? Taken()
    {
        if (_ended)
        {
            return null;
        }

        if (_worker.TryTake(out VideoFrame? frame))
        {
            return frame;
        }

        _ended = true;
        Result = _worker.Failure is null ? _worker.Result : throw _worker.Failure;
        return null;
    }

    /// <summary>What the thread uses; it outlives the stream if the thread never returns.</summary>
    private sealed class Worker
    {
        private readonly NativeVideo _native;
        private readonly string _path;
        private readonly VideoFrameOptions _options;
        private readonly MotionMeter? _meter;
        private readonly Lock _lock = new();
        private readonly Queue<VideoFrame> _frames = new();
        private readonly Stack<byte[]> _free = new();
        private readonly SemaphoreSlim _room;
        private readonly CancellationTokenSource _stopping = new();
        private readonly LiveReading? _live;
        private readonly NativeVideo.Live* _liveState;
        private long _passedOver;
        private bool _rests;
        private double _step;
        private double _before;
        private int* _stop = (int*)NativeMemory.AllocZeroed(sizeof(int));

        public Worker(NativeVideo native, string path, VideoFrameOptions options)
        {
            (_native, _path, _options) = (native, path, options);
            _room = new SemaphoreSlim(options.Ahead);
            _meter = options.Motion ? new MotionMeter() : null;
            _live = options.Live;
            if (_live is not null)
            {
                _liveState = (NativeVideo.Live*)NativeMemory.AllocZeroed((nuint)sizeof(NativeVideo.Live));
            }

            Thread = new Thread(Run) { IsBackground = true, Name = "video stream" };
            Thread.Start();
        }

        public Thread Thread { get; }

        /// <summary>Counts frames that wait, and the end.</summary>
        public SemaphoreSlim Ready { get; } = new(0);

        public VideoReadResult Result { get; private set; }

        public Exception? Failure { get; private set; }

        public FrameRate Rate { get; private set; } = new(0);

        public (int Width, int Height) Size { get; private set; }

        public (int Width, int Height) ShownSize { get; private set; }

        public long LeftOut { get; private set; }

        public long PassedOver => Volatile.Read(ref _passedOver);

        public bool TryTake([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out VideoFrame? frame)
        {
            lock (_lock)
            {
                if (!_frames.TryDequeue(out frame))
                {
                    return false;
                }
            }

            _room.Release();
            return true;
        }

        public void Return(byte[] rgb)
        {
            lock (_lock)
            {
                _free.Push(rgb);
            }
        }

        public void Stop()
        {
            _stopping.Cancel();
            lock (_lock)
            {
                if (_stop is not null)
                {
                    Volatile.Write(ref *_stop, 1);
                }
            }
        }

        [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
        private static int Take(nint state, NativeVideo.Frame* frame) => ((Worker)GCHandle.FromIntPtr(state).Target!).Enqueue(frame)
            ? 0
            : 1;

        private bool Enqueue(NativeVideo.Frame* frame)
        {
            // An exception must not cross native code.
            try
            {
                MotionPair? pair = _meter?.TakePair();
                bool rested = _rests;
                DecideRest(frame->Seconds);
                if (_live is { KeepsUp: true } && !_room.Wait(0, _stopping.Token))
                {
                    LeftOut++;
                    return true;
                }

                if (_live is not { KeepsUp: true })
                {
                    _room.Wait(_stopping.Token);
                }

                byte[] rgb = frame->Rgb is null ? [] : Copy(frame->Rgb, checked(frame->Width * frame->Height * 3));
                Rate = new FrameRate(frame->RateNumerator, frame->RateDenominator);
                Size = (frame->Width, frame->Height);
                ShownSize = (frame->ShownWidth, frame->ShownHeight);
                lock (_lock)
                {
                    _frames.Enqueue(new VideoFrame(frame->Index, rgb, frame->Seconds, pair)
                    {
                        Decoded = Stopwatch.GetTimestamp(),
                        Late = frame->Late,
                        Rested = rested,
                    });
                }

                Ready.Release();
                _live?.Arrived?.Invoke();
                return true;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
            catch (Exception exception)
            {
                Failure = exception;
                return false;
            }
        }

        private byte[] Copy(byte* pixels, int bytes)
        {
            byte[]? rgb;
            lock (_lock)
            {
                _free.TryPop(out rgb);
            }

            rgb ??= new byte[bytes];
            new ReadOnlySpan<byte>(pixels, bytes).CopyTo(rgb);
            return rgb;
        }

        /// <summary>Whether the next frame is wanted; a step ahead of it, as nobody knows its time yet.</summary>
        private void DecideRest(double seconds)
        {
            if (_live is null)
            {
                return;
            }

            Volatile.Write(ref _passedOver, Volatile.Read(ref _liveState->PassedOver));
            (_step, _before) = (Math.Max(0, seconds - _before), seconds);
            bool rests = _live.Wants is { } wants && !wants(seconds + _step);
            if (rests && !_rests)
            {
                _meter?.Rest();
            }

            _rests = rests;
            _liveState->Rests = rests ? 1 : 0;
        }

        private void Run()
        {
            GCHandle self = GCHandle.Alloc(this);
            try
            {
                NativeVideo.Info info = default;
                byte* message = stackalloc byte[NativeVideo.MessageBytes];
                NativeVideo.Watcher watcher = _meter?.Watcher ?? default;
                var options = new NativeVideo.WalkOptions
                {
                    Stop = _stop,
                    Watcher = _meter is null ? null : &watcher,
                    Width = _options.Width,
                    Height = _options.Height,
                    LimitMilliseconds = (int)Math.Ceiling(_options.TimeLimit.TotalMilliseconds),
                    PictureEvery = _options.PictureEvery,
                    Live = _liveState,
                };
                if (_options.Zone is { } zone)
                {
                    (options.Left, options.Top, options.ZoneWidth, options.ZoneHeight) = (zone.Left, zone.Top, zone.Width, zone.Height);
                }

                if (_live is not null)
                {
                    *_liveState = new NativeVideo.Live
                    {
                        IsAddress = _live.IsAddress ? 1 : 0,
                        Paced = _live.Paced ? 1 : 0,
                        Late = _live.KeepsUp ? _live.Late.TotalSeconds : 0,
                        OpenMilliseconds = (int)Math.Ceiling(_live.OpenLimit.TotalMilliseconds),
                        Tap = _live.Tap?.Handle ?? 0,
                    };
                }

                byte[] path = [.. Encoding.UTF8.GetBytes(_path), 0];
                fixed (byte* name = path)
                {
                    var fault = (VideoFault)_native.Walk(name, &options, &Take, GCHandle.ToIntPtr(self), &info, message,
                        NativeVideo.MessageBytes);
                    Result = new VideoReadResult(fault,
                        fault == VideoFault.None ? "" : NativeVideo.Text(message, NativeVideo.MessageBytes), NativeVideo.InfoOf(&info));
                    Failure ??= _meter?.Failure;
                }
            }
            catch (Exception exception)
            {
                Failure = exception;
            }
            finally
            {
                lock (_lock)
                {
                    NativeMemory.Free(_stop);
                    _stop = null;
                }

                NativeMemory.Free(_liveState);

                self.Free();
                _meter?.Dispose();
                Ready.Release();
                _live?.Arrived?.Invoke();
            }
        }
    }
}
