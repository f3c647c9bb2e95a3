using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Windows of a model of other classes than the known pair.</summary>
public sealed class StretchTests
{
    private static readonly ClassList Three = ClassList.Of(["a", "b", "c"]);

    private static readonly DecisionRule Likeliest = new(double.NaN);

    [Fact]
    public void Windows_of_one_class_are_one_stretch_with_its_highest_probability()
    {
        WindowScore[] windows = Windows([0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.7, 0.2], [0.6, 0.2, 0.2]);

        IReadOnlyList<WindowScore> called = Timeline.SmoothClasses(windows, 0, Three, Likeliest);

        called.Select(window => window.Label).ShouldBe(["a", "a", "b", "a"]);
        called[2].Smoothed.ShouldBe(0.7);
        Timeline.Stretches(called, Three, Likeliest, double.NaN).ShouldBe(
        [
            new ViolenceEvent(0, 3.5, 0.8, 2) { Label = "a" }, new ViolenceEvent(3.5, 4.5, 0.7, 4) { Label = "b" },
            new ViolenceEvent(4.5, 7, 0.6, 5) { Label = "a" },
        ]);
        Timeline.Stretches([], Three, Likeliest, double.NaN).ShouldBeEmpty();
    }

    [Fact]
    public void Smoothing_is_the_mean_of_every_class()
    {
        IReadOnlyList<WindowScore> called = Timeline.SmoothClasses(
            Windows([0.6, 0.4, 0], [0, 0.7, 0.3], [0.6, 0.4, 0]), seconds: 2, Three, Likeliest);

        called[1].Label.ShouldBe("b");
        called[1].Probabilities!["a"].ShouldBe(0.4, 1e-12);
        called[1].Probabilities!["b"].ShouldBe(0.5, 1e-12);
        called[1].Probabilities!["c"].ShouldBe(0.1, 1e-12);
        called[1].Smoothed.ShouldBe(0.5, 1e-12);
    }

    [Fact]
    public void A_stretch_of_a_class_with_a_threshold_goes_on_down_to_the_release()
    {
        WindowScore[] windows = Windows([0.3, 0.6, 0.1], [0.15, 0.8, 0.05], [0.15, 0.45, 0.4], [0.15, 0.1, 0.75], [0.05, 0.9, 0.05]);
        DecisionRule rule = new(double.NaN) { OfClasses = [0.2, double.NaN, 0.5] };

        IReadOnlyList<WindowScore> called = Timeline.SmoothClasses(windows, 0, Three, rule);

        // a begins at 0.3 and holds at 0.15 until c reaches its own threshold; b, which has none, never ends an event.
        called.Select(window => window.Label).ShouldBe(["a", "b", "b", "c", "b"]);
        Timeline.Stretches(called, Three, rule, release: 0.1).ShouldBe(
        [
            new ViolenceEvent(0, 4.5, 0.3, 2) { Label = "a" }, new ViolenceEvent(4.5, 5.5, 0.75, 5) { Label = "c" },
            new ViolenceEvent(5.5, 8, 0.9, 6) { Label = "b" },
        ]);
        Timeline.Stretches(called, Three, rule, double.NaN).Select(stretch => stretch.Label).ShouldBe(["a", "b", "c", "b"]);
    }

    [Fact]
    public void Windows_that_are_called_nothing_are_in_no_stretch()
    {
        DecisionRule rule = new(double.NaN) { OfClasses = [0.6, 0.6, 0.6] };

        IReadOnlyList<WindowScore> called = Timeline.SmoothClasses(
            Windows([0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8]), 0, Three, rule);

        called.Select(window => window.Label).ShouldBe(["a", null, "c"]);
        called[1].Smoothed.ShouldBe(0.5);
        Timeline.Stretches(called, Three, rule, double.NaN).Select(stretch => (stretch.Label, stretch.Start, stretch.End))
            .ShouldBe([("a", 0, 2.5), ("c", 3.5, 6)]);
    }

    private static WindowScore[] Windows(params double[][] probabilities) =>
        [.. probabilities.Select((p, i) => new WindowScore(i, i + 4, double.NaN, double.NaN) { Scores = p })];
}
