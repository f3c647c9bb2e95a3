using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Tests.Video;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Engine.Tests.Training.Reporting;

/// <summary>What makes a clip hard to see, measured on clips that are made for it.</summary>
public sealed class ClipTraitsTests : IDisposable
{
    private const int Wide = 480, High = 320;

    private readonly Clips _clips = new();

    public void Dispose() => _clips.Dispose();

    [Fact]
    public void A_bright_clip_with_motion_has_nothing_to_complain_of()
    {
        Reasons("good.avi", 30, Wide, High, (frame, x, y) => Chequers(x + (8 * frame), y)).ShouldBeEmpty();
    }

    [Fact]
    public void Each_difficulty_is_named_with_its_number_and_no_other()
    {
        Reasons("dark.avi", 30, Wide, High, (frame, x, y) => (byte)(Chequers(x + (8 * frame), y) / 5))
            .ShouldContain(reason => reason.StartsWith("dark (mean brightness "));
        Reasons("flat.avi", 30, Wide, High, (frame, _, _) => (byte)(100 + (frame * 40 % 120))).ShouldHaveSingleItem()
            .ShouldStartWith("low contrast (deviation 0.");
        Reasons("still.avi", 30, Wide, High, (_, x, y) => Chequers(x, y)).ShouldHaveSingleItem()
            .ShouldStartWith("few moving pixels (0.0 %");
        Reasons("small.avi", 30, 160, 120, (frame, x, y) => Chequers(x + (8 * frame), y)).ShouldHaveSingleItem()
            .ShouldBe("small picture (160 × 120)");
        Reasons("few.avi", 3, Wide, High, (frame, x, y) => Chequers(x + (8 * frame), y)).ShouldContain("few frames (3 for 4 samples)");
        Reasons("brief.avi", 6, Wide, High, (frame, x, y) => Chequers(x + (8 * frame), y)).ShouldHaveSingleItem()
            .ShouldStartWith("brief (0.");
    }

    [Fact]
    public void Measures_are_those_of_the_pixels()
    {
        // Two frames of two pixels: black and white, then both white.
        ClipTraits traits = ClipTraits.Of([0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255], 2, default);

        traits.Brightness.ShouldBe(0.75, 1e-6);
        traits.Contrast.ShouldBe(0.25, 1e-6);
        traits.Moving.ShouldBe(0.5, 1e-6);
        ClipTraits.Of([0, 255, 0], 1, default).Brightness.ShouldBe(0.587, 1e-6);
        ClipTraits.Of([0, 255, 0], 1, default).Moving.ShouldBe(double.NaN);
    }

    private static byte Chequers(int x, int y) => (byte)((((x / 16) + (y / 16)) % 2 * 160) + 60);

    private IReadOnlyList<string> Reasons(string name, int frames, int width, int height, Func<int, int, int, byte> grey)
    {
        _clips.Write(name, frames,
            new VideoWriterOptions { Width = width, Height = height, Codec = VideoCodec.Mjpeg, Quality = 95, FrameRate = new(15) },
            (frame, rgb) =>
        {
            for (int i = 0; i < width * height; i++)
            {
                rgb.Slice(3 * i, 3).Fill(grey(frame, i % width, i / width));
            }
        });
        var pictures = ReportPictures.Read(new TrainingOptions { DatasetPath = _clips.Folder, Frames = 4 }, [name], [],
            CancellationToken.None);
        pictures.Shortage.ShouldBeNull();
        return pictures.Traits[name].Reasons(4);
    }
}
