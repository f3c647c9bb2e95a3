using CudaTrainer.Data.Video;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Engine.Tests.Video;

/// <summary>What each view shows, against what its name says.</summary>
public class ClipViewTests
{
    private const int Size = 9;

    [Fact]
    public void View_0_is_the_clip_as_it_is_and_no_other_is()
    {
        ClipView.All[0].ShouldSatisfyAllConditions(view => view.ChangesPictures.ShouldBeFalse(),
            view => view.Timing.ShouldBe(FrameTiming.Plain));
        ClipView.All.Skip(1).ShouldAllBe(view => view.ChangesPictures || view.Timing != FrameTiming.Plain);
        ClipView.All.Select(view => view.Name).Distinct().Count().ShouldBe(ClipView.All.Count);
    }

    [Fact]
    public void A_mirrored_picture_mirrored_again_is_the_picture()
    {
        byte[] picture = Picture(), changed = [.. picture];
        ClipView mirror = ClipView.All.First(view => view.Name == "mirrored");
        mirror.Apply(changed, Size, Size);

        for (int y = 0; y < Size; y++)
        {
            for (int x = 0; x < Size; x++)
            {
                changed.AsSpan(((y * Size) + x) * 3, 3).SequenceEqual(picture.AsSpan(((y * Size) + Size - 1 - x) * 3, 3)).ShouldBeTrue();
            }
        }

        mirror.Apply(changed, Size, Size);
        changed.ShouldBe(picture);
    }

    [Theory]
    [InlineData("brightness 1.2", 100, 120)]
    [InlineData("brightness 1.2", 250, 255)]
    [InlineData("brightness 0.8", 100, 80)]
    [InlineData("contrast 1.25", 128, 128)]
    [InlineData("contrast 1.25", 28, 3)]
    [InlineData("contrast 0.8", 28, 48)]
    [InlineData("contrast 0.8", 228, 208)]
    public void Light_changes_as_named(string name, byte before, byte after)
    {
        byte[] picture = [.. Enumerable.Repeat(before, Size * Size * 3)];
        ClipView.All.First(view => view.Name == name).Apply(picture, Size, Size);

        picture.ShouldAllBe(value => value == after);
    }

    /// <summary>
    /// A linear ramp stays one under any affine map, with the slope that the map says; both frames of a clip are changed alike.
    /// </summary>
    [Fact]
    public void A_turned_and_enlarged_ramp_has_the_slope_of_the_map()
    {
        const int size = 65;
        byte[] clip = new byte[2 * size * size * 3];
        for (int i = 0; i < clip.Length; i++)
        {
            clip[i] = (byte)(64 + (2 * (i / 3 % size)));
        }

        ClipView view = ClipView.All.First(view => view.Sine > 0);
        view.Apply(clip, size, size);

        int centre = size / 2;
        int At(int x, int y) => clip[((y * size) + x) * 3];
        At(centre, centre).ShouldBe(64 + (2 * centre));
        ((double)At(centre + 20, centre) - At(centre, centre)).ShouldBe(2 * 20 * Math.Sqrt(0.99) / view.Zoom, 1.01);
        ((double)At(centre, centre + 20) - At(centre, centre)).ShouldBe(2 * 20 * 0.1 / view.Zoom, 1.01);
        clip.AsSpan(0, clip.Length / 2).SequenceEqual(clip.AsSpan(clip.Length / 2)).ShouldBeTrue();
    }

    [Fact]
    public void Timing_moves_the_sampled_frames()
    {
        long[] Frames(FrameTiming timing, int total, int samples) =>
            [.. Enumerable.Range(0, samples).Select(i => FrameSampler.FrameIndex(total, samples, i, timing))];

        Frames(FrameTiming.Plain, 41, 5).ShouldBe([0, 10, 20, 30, 40]);
        Frames(FrameTiming.Later, 41, 5).ShouldBe([5, 15, 25, 35, 40]);
        Frames(FrameTiming.Earlier, 41, 5).ShouldBe([0, 5, 15, 25, 35]);
        Frames(FrameTiming.Slower, 41, 5).ShouldBe([4, 12, 20, 28, 36]);
        Frames(FrameTiming.Later, 3, 5).ShouldBe([1, 2, 0, 1, 2]);
        Frames(FrameTiming.Earlier, 3, 5).ShouldBe([2, 0, 1, 2, 0]);
        Frames(FrameTiming.Slower, 7, 1).ShouldBe([0]);
        foreach (FrameTiming timing in Enum.GetValues<FrameTiming>())
        {
            for (int total = 1; total < 40; total++)
            {
                Frames(timing, total, 6).ShouldAllBe(frame => frame >= 0 && frame < total);
            }
        }
    }

    private static byte[] Picture()
    {
        byte[] picture = new byte[Size * Size * 3];
        new Random(1).NextBytes(picture);
        return picture;
    }
}
