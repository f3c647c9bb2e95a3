using System.Threading.Channels;
using CudaTrainer.Engine.Data.Dataset;
using CudaTrainer.Engine.Data.Video;

namespace CudaTrainer.Engine.Data.Extraction;

/// <summary>A clip after decoding: its frames, or why there are none.</summary>
/// <param name="Frames">[frames, 224, 224, 3]; to be given back with <see cref="ClipDecoder.Return"/>. Undefined content after a failure.</param>
public sealed record DecodedClip(Clip Clip, byte[] Frames, VideoFault Fault, string Reason);

/// <summary>
/// Decodes clips on several threads, a few ahead of whoever computes with them. Clips come out in whatever order they are finished; nothing that is computed may depend on it.
/// </summary>
internal sealed class ClipDecoder : IDisposable
{
    private readonly IReadOnlyList<Clip> _clips;
    private readonly int _frames;
    private readonly VideoReadOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly Channel<DecodedClip> _decoded = Channel.CreateUnbounded<DecodedClip>();
    private readonly Channel<byte[]> _buffers = Channel.CreateUnbounded<byte[]>();
    private readonly Thread[] _workers;
    private int _next = -1;
    private int _running;

    /// <param name="clips">What to decode.</param>
    /// <param name="frames">Frames sampled per clip.</param>
    /// <param name="workers">Threads.</param>
    /// <param name="ahead">Decoded clips that may wait.</param>
    /// <param name="timeLimit">Wall-clock limit per file.</param>
    /// <param name="stop">Ends decoding early.</param>
    public ClipDecoder(IReadOnlyList<Clip> clips, int frames, int workers, int ahead, TimeSpan timeLimit, CancellationToken stop)
    {
        _clips = clips;
        _frames = frames;
        _options = new VideoReadOptions { TimeLimit = timeLimit };
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stop);
        for (int i = 0; i < workers + ahead; i++)
        {
            _buffers.Writer.TryWrite(new byte[frames * _options.Width * _options.Height * 3]);
        }

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
        try
        {
            return _decoded.Reader.ReadAsync(_stop.Token).AsTask().GetAwaiter().GetResult();
        }
        catch (ChannelClosedException closed)
        {
            return closed.InnerException is { } failure ? throw failure : null;
        }
    }

    /// <summary>Gives a clip's frame buffer back.</summary>
    public void Return(DecodedClip clip) => _buffers.Writer.TryWrite(clip.Frames);

    public void Dispose()
    {
        _stop.Cancel();
        foreach (Thread worker in _workers)
        {
            worker.Join();
        }

        _stop.Dispose();
    }

    private void Work()
    {
        Exception? failure = null;
        try
        {
            for (int index = Interlocked.Increment(ref _next); index < _clips.Count; index = Interlocked.Increment(ref _next))
            {
                byte[] buffer = _buffers.Reader.ReadAsync(_stop.Token).AsTask().GetAwaiter().GetResult();
                VideoReadResult result = VideoReader.TryRead(_clips[index].Path, _frames, buffer, _options, _stop.Token);
                _decoded.Writer.TryWrite(new DecodedClip(_clips[index], buffer, result.Fault, result.Reason));
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        if (failure is not null || Interlocked.Decrement(ref _running) == 0)
        {
            _decoded.Writer.TryComplete(failure);
        }
    }
}
