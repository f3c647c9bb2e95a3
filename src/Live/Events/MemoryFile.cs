using CudaTrainer.Data.Video;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Live.Events;

/// <summary>A video in memory that can be decoded like a file and never is one.</summary>
internal sealed class MemoryFile : IDisposable
{
    /// <summary>Between two frames of what is decoded.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly SafeFileHandle _handle;

    /// <exception cref="IOException">There is no memory, or no more files may be opened.</exception>
    /// <exception cref="VideoException">The packets make no file.</exception>
    public MemoryFile(PacketClip clip)
    {
        _handle = Posix.OpenInMemory("cudatrainer-clip");
        try
        {
            clip.Save(Path);
            using VideoFrameReader reader = Read(0, 0, CancellationToken.None);
            Size = reader.Next() is null
                ? throw new VideoException(reader.Result.Fault, "the packets of the camera", reader.Result.Reason)
                : reader.Size;
        }
        catch
        {
            _handle.Dispose();
            throw;
        }
    }

    /// <summary>Of its pictures as displayed.</summary>
    public (int Width, int Height) Size { get; }

    private string Path => $"/proc/self/fd/{_handle.DangerousGetHandle()}";

    /// <summary>All frames; what is damaged ends them.</summary>
    /// <param name="width">Of each picture; 0 with <paramref name="height"/> 0 for that of the video.</param>
    public VideoFrameReader Read(int width, int height, CancellationToken stop) =>
        new(Path, new VideoFrameOptions { Width = width, Height = height, Ahead = 4, TimeLimit = Limit }, stop);

    public void Dispose() => _handle.Dispose();
}
