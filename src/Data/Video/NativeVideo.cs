using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Video;

/// <summary>The functions and structures of <c>native/video/cudatrainer_video.h</c>, same order, same names.</summary>
/// <remarks>
/// Function pointers out of an explicitly loaded library rather than <c>LibraryImport</c>: which file is used is decided and
/// reported by <see cref="VideoLibrary"/>, and an absent one is a value, not an exception at the first call.
/// </remarks>
internal sealed unsafe class NativeVideo
{
    internal const int MessageBytes = 1024;

    private const int Abi = 7;

    private static readonly List<string> Names = [];

    private readonly delegate* unmanaged[Cdecl]<byte*, int, void> _version;

    private NativeVideo(nint library)
    {
        _version = (delegate* unmanaged[Cdecl]<byte*, int, void>)NativeLibrary.GetExport(library, "ctv_version");
        Read = (delegate* unmanaged[Cdecl]<byte*, ReadOptions*, byte*, long, Info*, byte*, int, int>)
            NativeLibrary.GetExport(library, "ctv_read");
        Walk = (delegate* unmanaged[Cdecl]<byte*, WalkOptions*, delegate* unmanaged[Cdecl]<nint, Frame*, int>, nint, Info*, byte*, int,
            int>)
            NativeLibrary.GetExport(library, "ctv_walk");
        TapOpen = (delegate* unmanaged[Cdecl]<double, long, nint>)NativeLibrary.GetExport(library, "ctv_tap_open");
        TapContainer = (delegate* unmanaged[Cdecl]<nint, byte*, int, void>)NativeLibrary.GetExport(library, "ctv_tap_container");
        TapTake = (delegate* unmanaged[Cdecl]<nint, double, double, ClipInfo*, nint>)NativeLibrary.GetExport(library, "ctv_tap_take");
        TapFree = (delegate* unmanaged[Cdecl]<nint, void>)NativeLibrary.GetExport(library, "ctv_tap_free");
        ClipSave = (delegate* unmanaged[Cdecl]<nint, byte*, byte*, int, int>)NativeLibrary.GetExport(library, "ctv_clip_save");
        ClipFree = (delegate* unmanaged[Cdecl]<nint, void>)NativeLibrary.GetExport(library, "ctv_clip_free");
        Resize = (delegate* unmanaged[Cdecl]<byte*, int, int, long, byte*, int, int, int>)
            NativeLibrary.GetExport(library, "ctv_resize");
        CanEncode = (delegate* unmanaged[Cdecl]<byte*, int>)NativeLibrary.GetExport(library, "ctv_can_encode");
        WriterOpen = (delegate* unmanaged[Cdecl]<byte*, byte*, byte*, WriteOptions*, nint*, byte*, int, int>)
            NativeLibrary.GetExport(library, "ctv_writer_open");
        WriterAdd = (delegate* unmanaged[Cdecl]<nint, byte*, long, double, byte*, int, int>)
            NativeLibrary.GetExport(library, "ctv_writer_add");
        WriterFinish = (delegate* unmanaged[Cdecl]<nint, byte*, int, int>)
            NativeLibrary.GetExport(library, "ctv_writer_finish");
        WriterFree = (delegate* unmanaged[Cdecl]<nint, void>)NativeLibrary.GetExport(library, "ctv_writer_free");
    }

    public delegate* unmanaged[Cdecl]<byte*, ReadOptions*, byte*, long, Info*, byte*, int, int> Read { get; private set; }

    public delegate* unmanaged[Cdecl]<byte*, WalkOptions*, delegate* unmanaged[Cdecl]<nint, Frame*, int>, nint, Info*, byte*, int,
        int> Walk
    { get; }

    public delegate* unmanaged[Cdecl]<double, long, nint> TapOpen { get; }

    public delegate* unmanaged[Cdecl]<nint, byte*, int, void> TapContainer { get; }

    public delegate* unmanaged[Cdecl]<nint, double, double, ClipInfo*, nint> TapTake { get; }

    public delegate* unmanaged[Cdecl]<nint, void> TapFree { get; }

    public delegate* unmanaged[Cdecl]<nint, byte*, byte*, int, int> ClipSave { get; }

    public delegate* unmanaged[Cdecl]<nint, void> ClipFree { get; }

    public delegate* unmanaged[Cdecl]<byte*, int, int, long, byte*, int, int, int> Resize { get; }

    public delegate* unmanaged[Cdecl]<byte*, int> CanEncode { get; }

    public delegate* unmanaged[Cdecl]<byte*, byte*, byte*, WriteOptions*, nint*, byte*, int, int> WriterOpen { get; }

    public delegate* unmanaged[Cdecl]<nint, byte*, long, double, byte*, int, int> WriterAdd { get; }

    public delegate* unmanaged[Cdecl]<nint, byte*, int, int> WriterFinish { get; }

    public delegate* unmanaged[Cdecl]<nint, void> WriterFree { get; }

    /// <exception cref="DllNotFoundException">No such file, or one of its own dependencies is missing.</exception>
    /// <exception cref="BadImageFormatException">Not a library of this architecture.</exception>
    /// <exception cref="EntryPointNotFoundException">Another library, or one built from another version.</exception>
    public static NativeVideo Load(string path)
    {
        nint library = NativeShim.Open(path);
        var abi = (delegate* unmanaged[Cdecl]<int>)NativeLibrary.GetExport(library, "ctv_abi");
        int found = abi();
        return found == Abi
            ? new NativeVideo(library)
            : throw new EntryPointNotFoundException($"interface version {found}, expected {Abi}: rebuild it");
    }

    /// <summary>The same library with another reader in its place: tests stand in one that never returns.</summary>
    internal NativeVideo WithRead(delegate* unmanaged[Cdecl]<byte*, ReadOptions*, byte*, long, Info*, byte*, int, int> read)
    {
        var copy = (NativeVideo)MemberwiseClone();
        copy.Read = read;
        return copy;
    }

    public string ReadVersion()
    {
        byte* text = stackalloc byte[256];
        _version(text, 256);
        return Text(text, 256);
    }

    /// <summary>A zero-terminated UTF-8 text in a buffer of <paramref name="bytes"/> bytes.</summary>
    public static string Text(byte* text, int bytes) => Encoding.UTF8.GetString(Bytes(text, bytes));

    /// <summary>The same for the name of a codec or container: there are few, so each becomes a string only once.</summary>
    public static string Name(byte* text, int bytes)
    {
        lock (Names)
        {
            foreach (string known in Names)
            {
                if (Ascii.Equals(Bytes(text, bytes), known))
                {
                    return known;
                }
            }

            string name = Text(text, bytes);
            Names.Add(name);
            return name;
        }
    }

    public static VideoInfo InfoOf(Info* info)
    {
        double seconds = info->Duration is > 0 and < 1e9 ? info->Duration : 0;
        return new VideoInfo(
            info->DecodedFrames,
            info->Width,
            info->Height,
            info->FrameRate,
            TimeSpan.FromSeconds(seconds),
            Name((byte*)&info->Codec, sizeof(Info.CodecName)),
            Name((byte*)&info->Container, sizeof(Info.ContainerName)),
            info->DecodeErrors,
            info->Passes,
            ResizeTime: TimeSpan.FromSeconds(info->ResizeSeconds));
    }

    private static ReadOnlySpan<byte> Bytes(byte* text, int bytes)
    {
        var span = new ReadOnlySpan<byte>(text, bytes);
        int end = span.IndexOf((byte)0);
        return end < 0 ? span : span[..end];
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Glimpse
    {
        public double Seconds;
        public double Step;
        public int Width;
        public int Height;
        public int Columns;
        public int Rows;
        public byte* Pixels;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Watcher
    {
        public nint State;
        public delegate* unmanaged[Cdecl]<nint, Glimpse*, int> Wants;
        public delegate* unmanaged[Cdecl]<nint, int> Take;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct ReadOptions
    {
        public delegate* unmanaged[Cdecl]<long, int, int, long> IndexOf;
        public int* Stop;
        public long KeepBytes;
        public int Frames;
        public int Width;
        public int Height;
        public int LimitMilliseconds;
        public int TolerateDamage;
        public int Reserved;
        public Watcher* Watcher;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Info
    {
        public long DecodedFrames;
        public long DecodeErrors;
        public double FrameRate;
        public double Duration;
        public int Width;
        public int Height;
        public int Passes;
        public CodecName Codec;
        public ContainerName Container;
        public double ResizeSeconds;

        [InlineArray(32)]
        internal struct CodecName
        {
            private byte _first;
        }

        [InlineArray(64)]
        internal struct ContainerName
        {
            private byte _first;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct WalkOptions
    {
        public int* Stop;
        public Watcher* Watcher;
        public int Width;
        public int Height;
        public int LimitMilliseconds;
        public int Reserved;
        public double PictureEvery;
        public double Left;
        public double Top;
        public double ZoneWidth;
        public double ZoneHeight;
        public Live* Live;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Live
    {
        public int IsAddress;
        public int Paced;
        public double Late;
        public int OpenMilliseconds;
        public int Rests;
        public nint Tap;
        public long PassedOver;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct ClipInfo
    {
        public double Start;
        public double End;
        public long Bytes;
        public ContainerName Container;

        [InlineArray(8)]
        internal struct ContainerName
        {
            private byte _first;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Frame
    {
        public long Index;
        public double Seconds;
        public byte* Rgb;
        public int Width;
        public int Height;
        public int RateNumerator;
        public int RateDenominator;
        public int ShownWidth;
        public int ShownHeight;
        public double Late;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct WriteOptions
    {
        public int Width;
        public int Height;
        public int FrameRateNumerator;
        public int FrameRateDenominator;
        public int Quality;
        public int Rotation;
        public int FastStart;
        public int HasTimes;
    }
}
