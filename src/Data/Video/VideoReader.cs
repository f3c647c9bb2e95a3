namespace CudaTrainer.Data.Video;

/// <summary>Frames out of video files of any container and codec that FFmpeg knows. Safe to call from many threads at once.</summary>
/// <remarks>
/// <para>
/// A file is decoded once, front to back, and its frames are counted; what the container says about their number is not
/// believed. The frames that <see cref="FrameSampler"/> chooses are converted to RGB at full size (colour matrix, range and
/// rotation as the file says) and resized bilinearly with half-pixel centres and no antialiasing, bit for bit as
/// <c>cv2.resize</c> does. Each call decodes on one thread: parallelism is across files.
/// </para>
/// <para>
/// <see cref="VideoReadOptions.TimeLimit"/> ends the decoding itself, checked at every read, packet and frame. Should a single
/// step never return (a dead network drive, a decoder caught in a loop), the caller is released 2 seconds after the limit and
/// the stuck thread is left behind with its own buffers; see <see cref="AbandonedReads"/>. Without a limit nothing releases it.
/// </para>
/// </remarks>
public static class VideoReader
{
    /// <summary>Calls of this process that had to leave a stuck decoder thread behind.</summary>
    public static int AbandonedReads => DecodeThread.Abandoned;

    /// <summary>Reads <paramref name="frameCount"/> samples of a video.</summary>
    /// <param name="path">A regular file; its name may hold any Unicode, its extension means nothing.</param>
    /// <param name="frameCount">Samples wanted, 1 to 65536.</param>
    /// <param name="rgb">[frameCount, height, width, 3], filled with 0–255; undefined after a failure.</param>
    /// <param name="options">Size, limits; <see cref="VideoReadOptions.Default"/> when <c>null</c>.</param>
    /// <param name="cancellationToken">Ends the read early.</param>
    /// <exception cref="VideoException">The video cannot be read; <see cref="VideoException.Fault"/> says why.</exception>
    /// <exception cref="ArgumentException">The buffer or an option does not fit.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static VideoInfo Read(
        string path, int frameCount, Span<byte> rgb, VideoReadOptions? options = null, CancellationToken cancellationToken = default)
    {
        VideoReadResult result = TryRead(path, frameCount, rgb, options, cancellationToken);
        return result.Succeeded ? result.Info : throw new VideoException(result.Fault, path, result.Reason);
    }

    /// <summary>Reads like <see cref="Read"/> and returns a fault as a value: in a folder of thousands some files are always bad.</summary>
    /// <inheritdoc cref="Read" path="/param"/>
    /// <exception cref="VideoException">The native library is missing, which no other file would change.</exception>
    /// <exception cref="ArgumentException">The buffer or an option does not fit.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static VideoReadResult TryRead(
        string path, int frameCount, Span<byte> rgb, VideoReadOptions? options = null, CancellationToken cancellationToken = default) =>
        TryRead(path, frameCount, rgb, [], options, cancellationToken);

    /// <summary>
    /// As <see cref="TryRead(string, int, Span{byte}, VideoReadOptions?, CancellationToken)"/>, with motion from the same decoding.
    /// </summary>
    /// <inheritdoc cref="Read" path="/param"/>
    /// <param name="rgb">As in <see cref="Read"/>; empty for motion alone, which spares the pictures.</param>
    /// <param name="motion">[frameCount, <see cref="MotionFeatures.PerStep"/>], filled with the motion in as many equal intervals of time;
    /// empty for none.</param>
    /// <exception cref="VideoException">The native library is missing, which no other file would change.</exception>
    /// <exception cref="ArgumentException">A buffer or an option does not fit.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static VideoReadResult TryRead(
        string path, int frameCount, Span<byte> rgb, Span<float> motion, VideoReadOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        options ??= VideoReadOptions.Default;
        Check(path, frameCount, rgb.Length, motion.Length, options);
        cancellationToken.ThrowIfCancellationRequested();
        NativeVideo native = VideoLibrary.Require(path);
        VideoReadResult result = DecodeThread.Read(native, path, frameCount, rgb, motion, options, cancellationToken);
        if (result.Fault == VideoFault.Cancelled)
        {
            throw new OperationCanceledException(cancellationToken);
        }

        return result;
    }

    private static void Check(string path, int frameCount, int bytes, int motion, VideoReadOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.Contains('\0'))
        {
            throw new ArgumentException("A path cannot contain a zero character.", nameof(path));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(frameCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frameCount, 65536);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Width, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Height, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Width, 16384, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Height, 16384, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.KeepBytes, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.TimeLimit, TimeSpan.Zero, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.TimeLimit, TimeSpan.FromDays(1), nameof(options));
        long expected = (long)frameCount * options.Width * options.Height * 3;
        if (bytes != expected && (bytes > 0 || motion == 0))
        {
            throw new ArgumentException(
                $"The buffer has {bytes} bytes; [{frameCount}, {options.Height}, {options.Width}, 3] needs {expected}.", nameof(bytes));
        }

        if (motion > 0 && motion != frameCount * MotionFeatures.PerStep)
        {
            throw new ArgumentException(
                $"The buffer for motion has {motion} numbers; [{frameCount}, {MotionFeatures.PerStep}] needs {frameCount * MotionFeatures.PerStep}.", nameof(motion));
        }
    }
}
