using CudaTrainer.Data.Video;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using SkiaSharp;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>With privacy, nothing of the picture is on the disk that is finer than a block.</summary>
public sealed class PrivacyTests : IDisposable
{
    /// <summary>What a codec with losses adds to a block of one colour.</summary>
    private const int Loss = 6;

    private readonly TemporaryFolder _folder = new();
    private readonly NewsLog _log = new();

    [Theory]
    [InlineData(320, 240, 384, 288)]
    [InlineData(1920, 1080, 512, 288)]
    [InlineData(1080, 1920, 288, 512)]
    [InlineData(176, 144, 352, 288)]
    [InlineData(4000, 100, 1152, 288)]
    public void Pictures_have_18_blocks_along_their_shorter_side(int width, int height, int expectedWidth, int expectedHeight) =>
        Pixelation.SizeFor((width, height)).ShouldBe((expectedWidth, expectedHeight));

    [Fact]
    public void No_block_of_what_is_saved_has_detail_and_yet_what_moves_is_seen()
    {
        using PacketTap tap = Staged.Tapped(_folder, 12);
        string output = _folder.File("events");
        using (LiveEvents events = Staged.Events(new EventOptions { Events = output, Privacy = true }, _log))
        {
            foreach (LiveAnswer answer in Staged.Answers(0.1, 0.1, 0.9, 0.9, 0.9, 0.1))
            {
                events.Add(Staged.Session(tap), answer);
            }

            events.Stop(Staged.Patience);
        }

        _log.Of<ArchiveTrouble>().ShouldBeEmpty();
        string json = Path.Combine(output, _log.Of<EventSaved>().Single().File), clip = Path.ChangeExtension(json, "mp4");
        Directory.GetFiles(output, "*", SearchOption.AllDirectories).Length.ShouldBe(4, "lock, clip, picture and JSON");

        (VideoReadResult result, int width, int height, List<(double Seconds, byte[] Rgb)> frames) = Staged.Decode(clip);
        result.Fault.ShouldBe(VideoFault.None, result.Reason);
        (width, height).ShouldBe((384, 288));
        frames.Count.ShouldBeGreaterThan(100);
        frames.Max(frame => Detail(frame.Rgb, width, height)).ShouldBeLessThanOrEqualTo(Loss);

        // The camera's own pictures have detail everywhere, so that the measure can fail.
        List<(double Seconds, byte[] Rgb)> original = Staged.Decode(_folder.File("camera.mp4")).Frames;
        Detail(original[50].Rgb, 320, 240).ShouldBeGreaterThan(100);

        // What changes over time is there: colour by the second.
        Blue(frames[85].Rgb).ShouldBe(Blue(original[85].Rgb), 12);
        Math.Abs(Blue(frames[85].Rgb) - Blue(frames[5].Rgb)).ShouldBeGreaterThan(40);

        using SKBitmap picture = SKBitmap.Decode(Path.ChangeExtension(json, "png"));
        byte[] rgb = [.. picture.Pixels.SelectMany(pixel => (byte[])[pixel.Red, pixel.Green, pixel.Blue])];
        (picture.Width, picture.Height).ShouldBe((4 * 384, 288));
        Detail(rgb, picture.Width, picture.Height).ShouldBe(0);
    }

    [Fact]
    public void A_clip_that_is_stopped_half_way_leaves_no_file()
    {
        string output = Directory.CreateDirectory(_folder.File("events")).FullName;
        using PacketTap tap = Staged.Tapped(_folder, 4);
        using PacketClip clip = tap.Take(0, 4)!;
        CancellationToken stopped = new(canceled: true);

        Should.Throw<OperationCanceledException>(() => Pixelation.Write(clip, Path.Combine(output, "x.mp4"), stopped));

        Directory.GetFiles(output).ShouldBeEmpty();
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The largest difference between neighbouring pixels of one block and one channel.</summary>
    private static int Detail(byte[] rgb, int width, int height)
    {
        int largest = 0;
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                int i = 3 * ((y * width) + x);
                for (int channel = i; channel < i + 3; channel++)
                {
                    int right = (x + 1) % Pixelation.BlockPixels == 0 ? 0 : rgb[channel + 3] - rgb[channel],
                        down = (y + 1) % Pixelation.BlockPixels == 0 ? 0 : rgb[channel + (3 * width)] - rgb[channel];
                    largest = Math.Max(largest, Math.Max(Math.Abs(right), Math.Abs(down)));
                }
            }
        }

        return largest;
    }

    private static double Blue(byte[] rgb) => Enumerable.Range(0, rgb.Length / 3).Average(i => rgb[(3 * i) + 2]);
}
