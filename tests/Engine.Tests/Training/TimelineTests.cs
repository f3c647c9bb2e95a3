using CudaTrainer.Training.Inference;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Smoothing and hysteresis on windows of 4 s, one a second: window i has its centre at i + 2.</summary>
public class TimelineTests
{
    [Fact]
    public void Smoothing_is_a_centred_mean_that_shrinks_at_the_ends()
    {
        IReadOnlyList<WindowScore> smoothed = Timeline.Smooth(Windows(0, 0.3, 0.6, 0, 1), seconds: 2);

        double[] expected = [0.15, 0.3, 0.3, 1.6 / 3, 0.5];
        smoothed.Select(window => window.Smoothed).Zip(expected).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < 1e-12);
        smoothed.Select(window => window.Violent).ShouldBe([0, 0.3, 0.6, 0, 1]);
        Timeline.Smooth(smoothed, 0).Select(window => window.Smoothed).ShouldBe([0, 0.3, 0.6, 0, 1]);
    }

    [Fact]
    public void An_event_lasts_until_the_probability_falls_below_the_release()
    {
        IReadOnlyList<WindowScore> windows = Timeline.Smooth(Windows(0.1, 0.45, 0.7, 0.45, 0.9, 0.2, 0.45, 0.1), 0);

        Timeline.Events(windows, threshold: 0.6, release: 0.4).ShouldBe([new ViolenceEvent(3.5, 6.5, 0.9, 6)]);
        Timeline.Events(windows, threshold: 0.6, release: 0.6)
            .ShouldBe([new ViolenceEvent(3.5, 4.5, 0.7, 4), new ViolenceEvent(5.5, 6.5, 0.9, 6)]);
        Timeline.Events(windows, threshold: 0.95, release: 0.1).ShouldBeEmpty();
    }

    [Fact]
    public void Events_at_the_ends_reach_the_ends_of_the_video()
    {
        IReadOnlyList<WindowScore> windows = Timeline.Smooth(Windows(0.8, 0.1, 0.1, 0.9), 0);

        Timeline.Events(windows, 0.5, 0.5).ShouldBe([new ViolenceEvent(0, 2.5, 0.8, 2), new ViolenceEvent(4.5, 7, 0.9, 5)]);
        Timeline.Events([], 0.5, 0.5).ShouldBeEmpty();
    }

    private static WindowScore[] Windows(params double[] probabilities) =>
        [.. probabilities.Select((p, i) => new WindowScore(i, i + 4, p, double.NaN))];
}
