using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Video;

/// <summary>
/// Packets of live video taken out of a <see cref="PacketTap"/>, which they outlive. They are shared with it, not copied. All members may
/// be used on any thread.
/// </summary>
public sealed unsafe class PacketClip : IDisposable
{
    private readonly ClipHandle _clip;

    internal PacketClip(NativeVideo native, nint clip, NativeVideo.ClipInfo* info)
    {
        _clip = new ClipHandle(native, clip);
        (Start, End, Bytes) = (info->Start, info->End, info->Bytes);
        Container = NativeVideo.Name((byte*)&info->Container, sizeof(NativeVideo.ClipInfo.ContainerName));
    }

    /// <summary>When the first frame is shown, in seconds from the first frame of the reader that filled the tap.</summary>
    public double Start { get; }

    /// <summary>The same of the latest frame.</summary>
    public double End { get; }

    public long Bytes { get; }

    /// <summary>The extension of a file that takes the packets as they are, without a dot.</summary>
    public string Container { get; }

    /// <summary>Writes a file without encoding anything anew; one of that name is overwritten.</summary>
    /// <exception cref="VideoException">It cannot be written; what there is of it stays.</exception>
    public void Save(string path)
    {
        byte* message = stackalloc byte[NativeVideo.MessageBytes];
        bool isHeld = false;
        try
        {
            _clip.DangerousAddRef(ref isHeld);
            fixed (byte* name = (byte[])[.. Encoding.UTF8.GetBytes(path), 0])
            {
                var fault = (VideoFault)_clip.Native.ClipSave(_clip.DangerousGetHandle(), name, message, NativeVideo.MessageBytes);
                if (fault != VideoFault.None)
                {
                    throw new VideoException(fault, path, NativeVideo.Text(message, NativeVideo.MessageBytes));
                }
            }
        }
        finally
        {
            if (isHeld)
            {
                _clip.DangerousRelease();
            }
        }
    }

    public void Dispose() => _clip.Dispose();

    private sealed class ClipHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        public ClipHandle(NativeVideo native, nint clip)
            : base(ownsHandle: true)
        {
            Native = native;
            SetHandle(clip);
        }

        public NativeVideo Native { get; }

        protected override bool ReleaseHandle()
        {
            Native.ClipFree(handle);
            return true;
        }
    }
}
