namespace CudaTrainer.Data.Video;

/// <summary>
/// The latest packets of live video as they came, within limits of time and memory. All members may be used on any thread; one reader at
/// a time fills it.
/// </summary>
public sealed unsafe class PacketTap : IDisposable
{
    private readonly NativeVideo _native;
    private readonly Lock _lock = new();
    private nint _tap;

    /// <param name="seconds">That are kept.</param>
    /// <param name="bytes">That are kept at most.</param>
    /// <exception cref="VideoException">The native library is missing.</exception>
    /// <exception cref="InsufficientMemoryException">There is no memory.</exception>
    public PacketTap(double seconds, long bytes)
    {
        _native = VideoLibrary.Require("live video");
        _tap = _native.TapOpen(seconds, bytes);
        if (_tap == 0)
        {
            throw new InsufficientMemoryException("There is no memory for the packets of live video.");
        }
    }

    /// <summary>For native code; valid until this tap is disposed of, which its reader must not outlive.</summary>
    internal nint Handle => _tap;

    /// <summary>The extension of a file that takes the packets as they are, without a dot; null before the first packet.</summary>
    public string? Container
    {
        get
        {
            byte* text = stackalloc byte[16];
            lock (_lock)
            {
                if (_tap == 0)
                {
                    return null;
                }

                _native.TapContainer(_tap, text, 16);
            }

            string name = NativeVideo.Text(text, 16);
            return name.Length > 0 ? name : null;
        }
    }

    /// <summary>Takes what is kept, from the last keyframe not after a time, or from the first that is kept.</summary>
    /// <param name="from">Seconds from the first frame of the reader that fills the tap.</param>
    /// <param name="to">Likewise.</param>
    /// <returns>It outlives the tap; null when nothing of that time is kept.</returns>
    public PacketClip? Take(double from, double to)
    {
        NativeVideo.ClipInfo info = default;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_tap == 0, this);
            nint clip = _native.TapTake(_tap, from, to, &info);
            return clip == 0 ? null : new PacketClip(_native, clip, &info);
        }
    }

    /// <summary>Writes what <see cref="Take"/> takes to a new file.</summary>
    /// <inheritdoc cref="Take"/>
    /// <exception cref="VideoException">The file cannot be written, or nothing of that time is kept.</exception>
    public void Save(double from, double to, string path)
    {
        using PacketClip clip = Take(from, to)
            ?? throw new VideoException(VideoFault.ZeroFrames, path, "nothing is kept of that time any more");
        clip.Save(path);
    }

    /// <summary>Frees the packets; whoever forgets it frees them with the object, which a reader at work keeps alive.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            Free();
        }

        GC.SuppressFinalize(this);
    }

    ~PacketTap() => Free();

    private void Free()
    {
        if (_tap != 0)
        {
            _native.TapFree(_tap);
        }

        _tap = 0;
    }
}
