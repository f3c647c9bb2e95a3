using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Video;

/// <summary>Writes a video file frame by frame; the container follows from the extension.</summary>
/// <remarks>
/// The file appears whole, at <see cref="Close"/>, or not at all: until then it has a temporary name beside its destination.
/// The same frames and options give the same bytes on one FFmpeg build.
/// </remarks>
public sealed unsafe class VideoWriter : IDisposable
{
    private static int _counter;

    private readonly NativeVideo _native;
    private readonly WriterHandle _writer;
    private readonly string _path;
    private readonly string _temporaryPath;
    private bool _closed;

    /// <summary>Creates the file.</summary>
    /// <param name="path">The destination, such as <c>clip.mp4</c>; its folder must exist.</param>
    /// <param name="options">Size, rate, codec.</param>
    /// <exception cref="VideoException">The file cannot be created, or this FFmpeg cannot write it so.</exception>
    public VideoWriter(string path, VideoWriterOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(options);
        _native = VideoLibrary.Require(path);
        _path = path;
        Options = options;
        string full = Path.GetFullPath(path);
        _temporaryPath = Path.Combine(
            Path.GetDirectoryName(full)!,
            $".{Path.GetFileName(full)}.{Environment.ProcessId}-{Interlocked.Increment(ref _counter)}.partial");
        _writer = Open();
    }

    public VideoWriterOptions Options { get; }

    /// <summary>Bytes of one frame: height · width · 3.</summary>
    public int FrameBytes => Options.Width * Options.Height * 3;

    /// <summary>Whether the FFmpeg in use can encode <paramref name="codec"/>; <c>false</c> without the native library.</summary>
    public static bool CanEncode(VideoCodec codec)
    {
        fixed (byte* name = Utf8(codec.Name()))
        {
            return VideoLibrary.Native is { } native && native.CanEncode(name) != 0;
        }
    }

    /// <summary>Appends one frame.</summary>
    /// <param name="rgb">[height, width, 3].</param>
    /// <param name="seconds">
    /// When it is shown, with <see cref="VideoWriterOptions.HasTimes"/>. A frame that would take the place of the one before it, because
    /// the container knows one rate only, is left out.
    /// </param>
    /// <exception cref="VideoException">Encoding or writing failed.</exception>
    public void AddFrame(ReadOnlySpan<byte> rgb, double seconds = 0)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (rgb.Length != FrameBytes)
        {
            throw new ArgumentException(
                $"The frame has {rgb.Length} bytes; [{Options.Height}, {Options.Width}, 3] needs {FrameBytes}.", nameof(rgb));
        }

        byte* message = stackalloc byte[NativeVideo.MessageBytes];
        fixed (byte* pixels = rgb)
        {
            int fault = _native.WriterAdd(
                _writer.DangerousGetHandle(), pixels, rgb.Length, seconds, message, NativeVideo.MessageBytes);
            ThrowIfFailed(fault, message);
        }

        GC.KeepAlive(this);
    }

    /// <summary>Completes the file and gives it its name.</summary>
    /// <exception cref="VideoException">Writing failed; an older file of that name is untouched.</exception>
    public void Close()
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        _closed = true;
        byte* message = stackalloc byte[NativeVideo.MessageBytes];
        int fault = _native.WriterFinish(_writer.DangerousGetHandle(), message, NativeVideo.MessageBytes);
        _writer.Dispose();
        try
        {
            ThrowIfFailed(fault, message);
            using (SafeFileHandle file = File.OpenHandle(_temporaryPath, FileMode.Open, FileAccess.ReadWrite))
            {
                RandomAccess.FlushToDisk(file);
            }

            File.Move(_temporaryPath, _path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new VideoException(VideoFault.WriteFailed, _path, exception.Message.TrimEnd('.'));
        }
        finally
        {
            DeleteTemporary();
        }
    }

    /// <summary>Discards the file unless it was closed.</summary>
    public void Dispose()
    {
        if (!_closed)
        {
            _closed = true;
            _writer.Dispose();
            DeleteTemporary();
        }
    }

    private WriterHandle Open()
    {
        var native = new NativeVideo.WriteOptions
        {
            Width = Options.Width,
            Height = Options.Height,
            FrameRateNumerator = Options.FrameRate.Numerator,
            FrameRateDenominator = Options.FrameRate.Denominator,
            Quality = Options.Quality,
            Rotation = Options.RotationDegrees,
            FastStart = Options.FastStart ? 1 : 0,
            HasTimes = Options.HasTimes ? 1 : 0,
        };
        string container = Path.GetExtension(_path).TrimStart('.').ToLowerInvariant();
        byte* message = stackalloc byte[NativeVideo.MessageBytes];
        nint handle = 0;
        int fault;
        fixed (byte* path = Utf8(_temporaryPath), extension = Utf8(container), codec = Utf8(Options.Codec.Name()))
        {
            fault = _native.WriterOpen(path, extension, codec, &native, &handle, message, NativeVideo.MessageBytes);
        }

        if (fault != 0)
        {
            DeleteTemporary();
        }

        ThrowIfFailed(fault, message);
        return new WriterHandle(_native, handle);
    }

    private void ThrowIfFailed(int fault, byte* message)
    {
        if (fault != 0)
        {
            throw new VideoException((VideoFault)fault, _path, NativeVideo.Text(message, NativeVideo.MessageBytes));
        }
    }

    private void DeleteTemporary()
    {
        try
        {
            File.Delete(_temporaryPath);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // What led here matters more than a file left behind.
        }
    }

    private static byte[] Utf8(string text)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    private sealed class WriterHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        private readonly NativeVideo _native;

        public WriterHandle(NativeVideo native, nint handle)
            : base(ownsHandle: true)
        {
            _native = native;
            SetHandle(handle);
        }

        protected override bool ReleaseHandle()
        {
            _native.WriterFree(handle);
            return true;
        }
    }
}
