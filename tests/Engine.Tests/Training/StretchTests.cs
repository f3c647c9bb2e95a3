using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Windows of a model of other classes than the known pair.</summary>
public sealed class StretchTests
{
    private static readonly ClassList Three = ClassList.Of(["a", "b", "c"]);

    [Fact]
    public void Windows_of_one_class_are_one_stretch_with_its_highest_probability()
    {
        WindowScore[] windows = Windows([0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.7, 0.2], [0.6, 0.2, 0.2]);

        IReadOnlyList<WindowScore> called = Timeline.SmoothClasses(windows, 0, Three);

        called.Select(window => window.Label).ShouldBe(["a", "a", "b", "a"]);
        called[2].Smoothed.ShouldBe(0.7);
        Timeline.Stretches(called).ShouldBe(
        [
            new ViolenceEvent(0, 3.5, 0.8, 2) { Label = "a" }, new ViolenceEvent(3.5, 4.5, 0.7, 4) { Label = "b" },
            new ViolenceEvent(4.5, 7, 0.6, 5) { Label = "a" },
        ]);
        Timeline.Stretches([]).ShouldBeEmpty();
    }

    [Fact]
    public void Smoothing_is_the_mean_of_every_class()
    {
        IReadOnlyList<WindowScore> called = Timeline.SmoothClasses(
            Windows([0.6, 0.4, 0], [0, 0.7, 0.3], [0.6, 0.4, 0]), seconds: 2, Three);

        called[1].Label.ShouldBe("b");
        called[1].Probabilities!["a"].ShouldBe(0.4, 1e-12);
        called[1].Probabilities!["b"].ShouldBe(0.5, 1e-12);
        called[1].Probabilities!["c"].ShouldBe(0.1, 1e-12);
        called[1].Smoothed.ShouldBe(0.5, 1e-12);
    }

    private static WindowScore[] Windows(params double[][] probabilities) =>
        [.. probabilities.Select((p, i) => new WindowScore(i, i + 4, double.NaN, double.NaN) { Scores = p })];
}
