using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

public sealed unsafe class VideoLibraryTests : IDisposable
{
    private static readonly ManualResetEventSlim Release = new();

    private readonly Clips _clips = new();

    public void Dispose() => _clips.Dispose();

    [Fact]
    public void Tells_which_FFmpeg_it_uses()
    {
        VideoLibrary.IsAvailable.ShouldBeTrue(VideoLibrary.Detail);
        VideoLibrary.Version!.ShouldMatch(@"^FFmpeg \S+ \(libavformat \d+\.\d+\.\d+, libavcodec \d+\.\d+\.\d+\)$");
        File.Exists(VideoLibrary.Detail).ShouldBeTrue();
    }

    [Fact]
    public void A_library_that_does_not_load_is_explained_path_by_path()
    {
        string absent = _clips.PathOf("absent.so");
        string text = _clips.Bytes("text.so", "not a library"u8);
        (NativeVideo? native, string? detail) = VideoLibrary.Load([absent, text, "libc.so.6"]);
        native.ShouldBeNull();
        detail.ShouldContain($"{absent} (");
        detail.ShouldContain($"{text} (");
        detail.ShouldContain("libc.so.6 (");
        detail.ShouldContain("ctv_abi");
        detail.ShouldContain("make setup");
        detail.ShouldContain("libavformat-dev");
        detail.ShouldContain(VideoLibrary.PathVariable);
    }

    [Fact]
    public void The_first_library_that_loads_is_taken()
    {
        (NativeVideo? native, string? detail) = VideoLibrary.Load([_clips.PathOf("absent.so"), VideoLibrary.Detail]);
        native.ShouldNotBeNull();
        detail.ShouldBe(VideoLibrary.Detail);
    }

    [Fact]
    public void A_step_that_never_returns_does_not_hold_the_caller()
    {
        NativeVideo stuck = VideoLibrary.Native!.WithRead(&NeverReturns);
        int before = VideoReader.AbandonedReads;
        byte[] rgb = new byte[8 * 8 * 3];
        VideoReadResult result = DecodeThread.Read(
            stuck, "x.mp4", 1, rgb, [], new VideoReadOptions { TimeLimit = TimeSpan.FromMilliseconds(1) }, CancellationToken.None);
        result.Fault.ShouldBe(VideoFault.TimedOut);
        result.Reason.ShouldContain("does not return");
        VideoReader.AbandonedReads.ShouldBe(before + 1);

        // The thread left behind neither serves later reads nor touches the caller's memory when it comes back.
        Release.Set();
        VideoReader.Read(_clips.Coloured("fine.mkv", 1), 1, rgb, new VideoReadOptions { Width = 8, Height = 8 });
        (rgb[0], rgb[1], rgb[2]).ShouldBe(Clips.ColourOf(0));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int NeverReturns(
        byte* path, NativeVideo.ReadOptions* options, byte* rgb, long bytes, NativeVideo.Info* info, byte* message, int messageBytes)
    {
        Release.Wait();
        new Span<byte>(rgb, (int)bytes).Fill(0xEE);
        return 0;
    }
}
