using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Engine.Tests.Linear;

public sealed class LinearModelTests
{
    private static readonly string[] Five = ["a", "b", "c", "d", "e"];

    [Fact]
    public void Many_classes_are_told_apart_with_probabilities_that_fit_clips_held_out()
    {
        ManyClassRows train = new(150, 1, Five), test = new(100, 2, Five);
        LinearModel model = Fit(train);

        double[] answers = model.Answer(test);

        var metrics = ClassificationMetrics.Compute(test.Classes, test.Labels, answers, double.NaN,
            LossInfo.PlainOf(5).Mean(test.Labels, answers, test.Classes));
        metrics.Accuracy.ShouldBeGreaterThan(0.9);
        metrics.Loss.ShouldBeLessThan(0.5);
        answers.Chunk(5).ShouldAllBe(clip => Math.Abs(clip.Sum() - 1) < 1e-9);
        model.HeldOut.Length.ShouldBe(5 * train.Count);
        model.HeldOut.Chunk(5).ShouldAllBe(clip => Math.Abs(clip.Sum() - 1) < 1e-9);
    }

    [Fact]
    public void Two_other_classes_have_the_very_model_of_the_known_pair()
    {
        MemoryRows pair = new(90);
        LinearFit fit = LinearFit.Of(pair, Blocks(pair), balance: true, seed: 3, CancellationToken.None);
        LinearModel model = LinearModel.Of(pair, Blocks(pair), balance: true, seed: 3, CancellationToken.None);

        model.Answer(pair).ShouldBe(fit.Answer(pair));
        model.HeldOut.ShouldBe(fit.HeldOut);
        model.Logits[1].Weights.ShouldBe([.. fit.Odds.Weights.Select(weight => weight / 2)]);
        model.Logits[0].Bias.ShouldBe(-fit.Odds.Bias / 2);
    }

    private static LinearModel Fit(IFeatureRows rows) =>
        LinearModel.Of(rows, Blocks(rows), balance: true, seed: 3, CancellationToken.None);

    private static IReadOnlyList<IReadOnlyList<FeatureBlock>> Blocks(IFeatureRows rows) => [[new FeatureBlock(0, rows.Dimension, 12)]];
}
