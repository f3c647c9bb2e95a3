using CudaTrainer.Training.Metrics;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Training;

public class MetricsTests
{
    /// <summary>Labels with scores of few values, so that ties are common; both classes occur.</summary>
    private static readonly Gen<(int[] Labels, double[] Scores)> Answers =
        from count in Gen.Choose(2, 40)
        from labels in Gen.Choose(0, 1).ArrayOf(count)
        from scores in Gen.Choose(0, 8).ArrayOf(count)
        where labels.Distinct().Count() == 2
        select (labels, scores.Select(score => score / 8.0).ToArray());

    [Fact]
    public void Auc_counts_the_pairs_that_are_in_order() => ForAll((labels, scores) =>
    {
        double inOrder = 0, pairs = 0;
        foreach (double positive in Of(1, labels, scores))
        {
            foreach (double negative in Of(0, labels, scores))
            {
                pairs++;
                inOrder += positive > negative ? 1 : positive == negative ? 0.5 : 0;
            }
        }

        RankMetrics.RocAuc(labels, scores).ShouldBe(inOrder / pairs, 1e-12);
    });

    [Fact]
    public void Average_precision_sums_precision_over_recall_gained() => ForAll((labels, scores) =>
    {
        double area = 0, recallBefore = 0;
        foreach (double threshold in scores.Distinct().OrderDescending())
        {
            var at = ClassificationMetrics.Compute(labels, scores, threshold, loss: 0);
            area += (at.Recall - recallBefore) * at.Precision;
            recallBefore = at.Recall;
        }

        RankMetrics.AveragePrecision(labels, scores).ShouldBe(area, 1e-12);
    });

    [Fact]
    public void No_threshold_beats_the_chosen_one() => ForAll((labels, scores) =>
    {
        double chosen = Balanced(RankMetrics.BestThreshold(labels, scores));
        foreach (double other in scores.Append(0).Append(0.5).Append(2))
        {
            chosen.ShouldBeGreaterThanOrEqualTo(Balanced(other) - 1e-12);
        }

        double Balanced(double threshold) => ClassificationMetrics.Compute(labels, scores, threshold, loss: 0).BalancedAccuracy;
    });

    [Fact]
    public void The_threshold_lies_between_the_classes_when_they_are_apart() =>
        RankMetrics.BestThreshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]).ShouldBe(0.4, 1e-12);

    [Fact]
    public void Scores_that_cannot_be_told_apart_choose_no_threshold()
    {
        RankMetrics.BestThreshold([0, 1, 0, 0], [0.4, 0.4, 0.4, 0.4]).ShouldBe(0.5);
        RankMetrics.BestThreshold([0, 1, 0, 0], [0.4, 0.4000001, 0.4, 0.3999999]).ShouldBe(0.5);
    }

    [Fact]
    public void One_class_only_has_no_rank_metrics_and_the_plain_threshold()
    {
        RankMetrics.RocAuc([1, 1], [0.2, 0.7]).ShouldBe(double.NaN);
        RankMetrics.AveragePrecision([0, 0], [0.2, 0.7]).ShouldBe(double.NaN);
        RankMetrics.BestThreshold([0, 0], [0.2, 0.7]).ShouldBe(0.5);
    }

    [Fact]
    public void Counts_give_the_metrics()
    {
        // Nonviolent: 3 right, 1 wrong; violent: 2 right, 1 wrong. A score at the threshold is violent.
        var metrics = ClassificationMetrics.Compute([0, 0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.5, 0.9, 0.4], threshold: 0.5, loss: 0.25);

        metrics.ConfusionMatrix.ShouldBe([[3, 1], [1, 2]]);
        metrics.Accuracy.ShouldBe(5 / 7.0, 1e-12);
        metrics.MajorityBaseline.ShouldBe(4 / 7.0, 1e-12);
        metrics.Class0Accuracy.ShouldBe(0.75);
        metrics.Class1Accuracy.ShouldBe(2 / 3.0, 1e-12);
        metrics.BalancedAccuracy.ShouldBe((0.75 + (2 / 3.0)) / 2, 1e-12);
        metrics.Precision.ShouldBe(2 / 3.0, 1e-12);
        metrics.Recall.ShouldBe(2 / 3.0, 1e-12);
        metrics.F1.ShouldBe(2 / 3.0, 1e-12);
        metrics.Loss.ShouldBe(0.25);
    }

    [Fact]
    public void Calling_everything_nonviolent_does_not_look_good()
    {
        var metrics = ClassificationMetrics.Compute([0, 0, 0, 1], [0.1, 0.2, 0.2, 0.3], threshold: 0.5, loss: 0);

        metrics.Accuracy.ShouldBe(0.75);
        metrics.MajorityBaseline.ShouldBe(0.75);
        metrics.Recall.ShouldBe(0);
        metrics.BalancedAccuracy.ShouldBe(0.5);
        metrics.Precision.ShouldBe(double.NaN);
        metrics.F1.ShouldBe(0);
    }

    private static IEnumerable<double> Of(int label, int[] labels, double[] scores) => scores.Where((_, i) => labels[i] == label);

    private static void ForAll(Action<int[], double[]> check) =>
        Prop.ForAll(Arb.From(Answers), answers => check(answers.Labels, answers.Scores)).QuickCheckThrowOnFailure();
}
