using System.Diagnostics;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <summary>A clip after decoding: its frames, or why there are none.</summary>
/// <param name="Frames">[frames, height, width, 3], empty without pictures; to be given back with <see cref="ClipDecoder.Return"/>.
/// Undefined content after a failure.</param>
/// <param name="Motion">[frames, 231], empty without motion; given back together with the frames.</param>
/// <param name="Info">What decoding showed; filled as far as reading got.</param>
internal readonly record struct DecodedClip(Clip Clip, byte[] Frames, float[] Motion, VideoFault Fault, string Reason, VideoInfo Info);

/// <summary>
/// Decodes clips on several threads, a few ahead of whoever computes with them. Clips come out in whatever order they are finished; nothing
/// that is computed may depend on it.
/// </summary>
internal sealed class ClipDecoder : IDisposable
{
    private readonly IReadOnlyList<Clip> _clips;
    private readonly int _frames;
    private readonly VideoReadOptions _options;
    private readonly ClipView _view;
    private readonly bool _verifiesContent;
    private readonly CancellationTokenSource _stop;
    private readonly Lock _lock = new();
    private readonly Queue<DecodedClip> _decoded;
    private readonly Stack<(byte[] Frames, float[] Motion)> _buffers;
    private readonly SemaphoreSlim _decodedSignal = new(0);
    private readonly SemaphoreSlim _bufferSignal;
    private readonly Thread[] _workers;
    private readonly TraceRecorder? _trace;
    private int _next = -1;
    private int _running;
    private Exception? _failure;

    /// <param name="clips">What to decode.</param>
    /// <param name="frames">Frames sampled per clip.</param>
    /// <param name="workers">Threads.</param>
    /// <param name="ahead">Decoded clips that may wait.</param>
    /// <param name="timeLimit">Wall-clock limit per file.</param>
    /// <param name="view">How clips are looked at.</param>
    /// <param name="stop">Ends decoding early.</param>
    /// <param name="stream">Whether pictures, motion or both are wanted.</param>
    /// <param name="trace">Where decoding is recorded, if given.</param>
    /// <param name="verifiesContent">Whether a clip whose file has another content than it was found with counts as unreadable.</param>
    /// <param name="shape">Of the backbone that frames are for; VGG19's by default.</param>
    public ClipDecoder(
        IReadOnlyList<Clip> clips, int frames, int workers, int ahead, TimeSpan timeLimit, ClipView view, CancellationToken stop,
        FeatureStream stream = FeatureStream.Rgb, TraceRecorder? trace = null, bool verifiesContent = false,
        BackboneShape? shape = null)
    {
        _verifiesContent = verifiesContent;
        _clips = clips;
        _frames = frames;
        _view = view;
        BackboneShape size = shape ?? BackboneShape.Vgg19;
        _options = new VideoReadOptions { Width = size.Width, Height = size.Height, TimeLimit = timeLimit, Timing = view.Timing };
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stop);
        int buffers = workers + ahead;
        _decoded = new Queue<DecodedClip>(buffers);
        _buffers = new Stack<(byte[] Frames, float[] Motion)>(buffers);
        _bufferSignal = new SemaphoreSlim(buffers);
        for (int i = 0; i < buffers; i++)
        {
            _buffers.Push((stream.HasRgb() ? new byte[frames * _options.Width * _options.Height * 3] : [],
                stream.HasMotion() ? new float[frames * MotionFeatures.PerStep] : []));
        }

        _trace = trace;
        _running = workers;
        _workers = [.. Enumerable.Range(1, workers).Select(i => new Thread(Work) { IsBackground = true, Name = $"decoder {i}" })];
        foreach (Thread worker in _workers)
        {
            worker.Start();
        }
    }

    /// <summary>The next decoded clip; null when all have been delivered.</summary>
    /// <exception cref="OperationCanceledException">Decoding was stopped.</exception>
    public DecodedClip? Next()
    {
        _decodedSignal.Wait(_stop.Token);
        lock (_lock)
        {
            if (_decoded.TryDequeue(out DecodedClip clip))
            {
                return clip;
            }
        }

        // The threads have ended and what they decoded has been delivered; from now on there is nothing.
        _decodedSignal.Release();
        _stop.Token.ThrowIfCancellationRequested();
        return _failure is null ? null : throw _failure;
    }

    /// <summary>Gives a clip's frame buffer back.</summary>
    public void Return(in DecodedClip clip)
    {
        lock (_lock)
        {
            _buffers.Push((clip.Frames, clip.Motion));
        }

        _bufferSignal.Release();
    }

    public void Dispose()
    {
        _stop.Cancel();
        foreach (Thread worker in _workers)
        {
            worker.Join();
        }

        _stop.Dispose();
        _decodedSignal.Dispose();
        _bufferSignal.Dispose();
    }

    private void Work()
    {
        TraceTrack? track = _trace?.Track("extract", Thread.CurrentThread.Name ?? "decoder");
        try
        {
            for (int index = Interlocked.Increment(ref _next); index < _clips.Count; index = Interlocked.Increment(ref _next))
            {
                _bufferSignal.Wait(_stop.Token);
                (byte[] Frames, float[] Motion) buffer;
                lock (_lock)
                {
                    buffer = _buffers.Pop();
                }

                long began = Stopwatch.GetTimestamp();
                VideoReadResult result = VideoReader.TryRead(_clips[index].Path, _frames, buffer.Frames, buffer.Motion, _options,
                    _stop.Token);
                if (track is not null)
                {
                    Record(track, began, result.Info.ResizeTime);
                }

                if (_verifiesContent && !IsAsFound(_clips[index]))
                {
                    result = new VideoReadResult(
                        VideoFault.Unreadable, "the file was replaced or written to while it was read", result.Info);
                }

                if (result.Succeeded && _view.ChangesPictures)
                {
                    _view.Apply(buffer.Frames, _options.Width, _options.Height);
                }

                lock (_lock)
                {
                    _decoded.Enqueue(new DecodedClip(_clips[index], buffer.Frames, buffer.Motion, result.Fault, result.Reason,
                        result.Info));
                }

                _decodedSignal.Release();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception exception)
        {
            _failure = exception;
            _decodedSignal.Release();
        }

        if (Interlocked.Decrement(ref _running) == 0)
        {
            _decodedSignal.Release();
        }
    }

    private bool IsAsFound(Clip clip)
    {
        try
        {
            return FileHash.Sha256(clip.Path, _stop.Token) == clip.ContentHash;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            return false;
        }
    }

    /// <summary>
    /// The frames wanted are resized when all have been decoded, as a rule: the second pass that some long files need resizes as it goes,
    /// and its share is drawn at the end all the same.
    /// </summary>
    private static void Record(TraceTrack track, long began, TimeSpan resizing)
    {
        long end = Stopwatch.GetTimestamp();
        long resized = Math.Max(began, end - (long)(resizing.TotalSeconds * Stopwatch.Frequency));
        track.Add("decoding", SpanKind.Beside, began, resized);
        track.Add("resizing", SpanKind.Beside, resized, end);
    }
}
