using CudaTrainer.Data.Video;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Windows of 4 s, one a second, four frames each, at one frame a second: window i has the frames i to i + 3.</summary>
public class KeyFramesTests
{
    private static readonly double[] Attention = [0.1, 0.4, 0.3, 0.2];

    [Fact]
    public void Peaks_of_events_come_first_and_share_the_frames()
    {
        // Events around the windows 2 and 8; the windows beside them overlap them.
        WindowedPrediction video = Video(Attention, 0.1, 0.6, 0.9, 0.7, 0.1, 0.1, 0.1, 0.1, 0.8, 0.1);

        KeyFrames.Choose(video, 4).ShouldBe([(3, 2, 0.4), (4, 2, 0.3), (9, 8, 0.4), (10, 8, 0.3)]);
        KeyFrames.Choose(video, 3).ShouldBe([(3, 2, 0.4), (4, 2, 0.3), (9, 8, 0.4)]);
        KeyFrames.Choose(video, 1).ShouldBe([(3, 2, 0.4)]);
    }

    [Fact]
    public void A_long_event_is_shown_along_its_length()
    {
        WindowedPrediction video = Video(Attention, 0.7, 0.7, 0.7, 0.7, 0.7, 0.9, 0.7, 0.7, 0.7, 0.7);

        // The peak is window 5; of the others, 0, 1 and 9 do not overlap it, and 0 comes first.
        KeyFrames.Choose(video, 3).ShouldBe([(1, 0, 0.4), (6, 5, 0.4), (10, 9, 0.4)]);
    }

    [Fact]
    public void Without_events_the_highest_window_is_shown()
    {
        KeyFrames.Choose(Video(Attention, 0.1, 0.3, 0.2), 2).ShouldBe([(2, 1, 0.4), (3, 1, 0.3)]);
        KeyFrames.Choose(Video(Attention), 2).ShouldBeEmpty();
    }

    [Fact]
    public void Without_attention_frames_are_evenly_apart() =>
        KeyFrames.Choose(Video(null, 0.1, 0.3), 2).ShouldBe([(1, 1, null), (4, 1, null)]);

    [Fact]
    public void A_frame_that_stands_several_times_in_a_window_has_the_sum_of_its_weights()
    {
        WindowedPrediction video = Video(Attention, 0.3) with { Samples = [new WindowSample([0, 1, 0, 1], Attention)] };

        IReadOnlyList<(long Frame, int Window, double? Attention)> frames = KeyFrames.Choose(video, 4);

        frames.Select(frame => frame.Frame).ShouldBe([0, 1]);
        frames[0].Attention!.Value.ShouldBe(0.4, 1e-12);
        frames[1].Attention!.Value.ShouldBe(0.6, 1e-12);
    }

    private static WindowedPrediction Video(double[]? attention, params double[] probabilities)
    {
        const double threshold = 0.5;
        WindowScore[] windows = [.. probabilities.Select((p, i) => new WindowScore(i, i + 4, p, p))];
        var prediction = new Prediction("clip.mp4", 0, "", threshold, "ok", null,
            null)
        { Windows = windows, Events = Timeline.Events(windows, threshold, threshold), Release = threshold };
        return new WindowedPrediction(prediction, [.. windows.Select((_, i) => new WindowSample([i, i + 1, i + 2, i + 3], attention))],
            default(VideoInfo));
    }
}
