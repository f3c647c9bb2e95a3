using System.Text.Json;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Metrics of more classes than two, against what their definitions count one by one.</summary>
public sealed class ManyClassMetricsTests
{
    private static readonly ClassList Four = ClassList.Of(["a", "b", "c", "d"]);

    [Fact]
    public void Every_metric_is_what_its_definition_counts()
    {
        (int[] labels, double[] scores) = Draw(300);

        var metrics = ClassificationMetrics.Compute(Four, labels, scores, double.NaN, 1.5);

        int[] called = [.. labels.Select((_, clip) => Largest(scores, clip))];
        metrics.Accuracy.ShouldBe(labels.Zip(called, (label, call) => label == call ? 1.0 : 0).Average(), 1e-12);
        for (int label = 0; label < 4; label++)
        {
            ClassMetrics one = metrics.PerClass![label];
            double right = labels.Where((own, i) => own == label && called[i] == label).Count();
            one.Name.ShouldBe(Four[label]);
            one.Count.ShouldBe(labels.Count(own => own == label));
            one.Recall.ShouldBe(right / one.Count, 1e-12);
            one.Precision.ShouldBe(right / called.Count(call => call == label), 1e-12);
            one.F1.ShouldBe(2 * one.Precision * one.Recall / (one.Precision + one.Recall), 1e-12);
            one.Auc.ShouldBe(PairsInOrder(labels, scores, label), 1e-12);
            for (int other = 0; other < 4; other++)
            {
                metrics.ConfusionMatrix[label][other].ShouldBe(labels.Where((own, i) => own == label && called[i] == other).Count());
            }
        }

        metrics.BalancedAccuracy.ShouldBe(metrics.PerClass!.Average(one => one.Recall), 1e-12);
        metrics.MacroF1!.Value.ShouldBe(metrics.PerClass!.Average(one => one.F1), 1e-12);
        metrics.Auc.ShouldBe(metrics.PerClass!.Average(one => one.Auc), 1e-12);
        metrics.Top2Accuracy!.Value.ShouldBe(labels.Where((label, clip) => scores.Skip(4 * clip).Take(4)
            .Count(p => p > scores[(4 * clip) + label]) < 2).Count() / 300.0, 1e-12);
        metrics.Threshold.ShouldBe(double.NaN);
    }

    [Fact]
    public void Files_keep_them_and_refuse_what_does_not_fit()
    {
        (int[] labels, double[] scores) = Draw(40);
        ClassificationMetrics metrics = Bootstrap.WithIntervals(
            ClassificationMetrics.Compute(Four, labels, scores, double.NaN, 1), labels, scores);

        string json = JsonSerializer.Serialize(metrics, RunJson.Default.ClassificationMetrics);
        ClassificationMetrics read = JsonSerializer.Deserialize(json, RunJson.Default.ClassificationMetrics)!;

        read.PerClass.ShouldBe(metrics.PerClass);
        read.Classes.ShouldBe(Four.Names);
        json.ShouldContain("\"macro_f1\"");
        json.ShouldContain("\"top_2_accuracy\"");
        string three = json.Replace("\"d\"\n  ]", "\"d\",\"e\"\n  ]", StringComparison.Ordinal);
        three.ShouldNotBe(json);
        Should.Throw<JsonException>(() => JsonSerializer.Deserialize(three, RunJson.Default.ClassificationMetrics));
    }

    [Fact]
    public void The_known_pair_has_no_key_of_other_classes()
    {
        (int[] labels, double[] scores) = ([0, 1, 1, 0], [0.2, 0.9, 0.4, 0.6]);

        var through = ClassificationMetrics.Compute(ClassList.Violence, labels, scores, 0.5, 1);
        string json = JsonSerializer.Serialize(through, RunJson.Default.ClassificationMetrics);

        json.ShouldBe(JsonSerializer.Serialize(
            ClassificationMetrics.Compute(labels, scores, 0.5, 1), RunJson.Default.ClassificationMetrics));
        JsonDocument.Parse(json).RootElement.EnumerateObject().Select(key => key.Name).ShouldBe(
        [
            "count", "loss", "accuracy", "majority_baseline", "balanced_accuracy", "auc", "pr_auc", "precision", "recall", "f1",
            "class_0_accuracy", "class_1_accuracy", "confusion_matrix", "threshold",
        ]);
    }

    [Fact]
    public void Intervals_hold_the_values_and_are_those_of_the_known_pair_for_two_classes()
    {
        int[] labels = [.. Enumerable.Range(0, 200).Select(i => i % 2)];
        var random = new Random(3);
        double[] violent = [.. labels.Select(label => (random.NextDouble() + label) / 2)];
        double[] both = [.. violent.SelectMany(p => new[] { 1 - p, p })];
        var two = ClassList.Of(["cats", "dogs"]);

        ClassificationMetrics metrics = Bootstrap.WithIntervals(
            ClassificationMetrics.Compute(two, labels, both, double.NaN, 1), labels, both);

        MetricIntervals pair = Bootstrap.Intervals(labels, violent, 0.5);
        metrics.Top2Accuracy.ShouldBeNull();
        metrics.Accuracy.ShouldBeInRange(metrics.Intervals!.Accuracy.Low, metrics.Intervals.Accuracy.High);
        metrics.Intervals.Accuracy.Low.ShouldBe(pair.Accuracy.Low, 0.02);
        metrics.Intervals.Auc.High.ShouldBe(pair.Auc.High, 0.02);
        ClassMetrics dogs = metrics.PerClass![1];
        dogs.F1.ShouldBe(ClassificationMetrics.Compute(labels, violent, 0.5, 1).F1, 1e-12);
        dogs.F1.ShouldBeInRange(dogs.Intervals!.F1.Low, dogs.Intervals.F1.High);
        dogs.Intervals.F1.Low.ShouldBe(pair.F1.Low, 0.02);
    }

    [Fact]
    public void A_class_that_nothing_is_called_has_no_precision_and_counts_as_none_in_the_mean()
    {
        double[] scores = [0.8, 0.1, 0.05, 0.05, 0.7, 0.1, 0.1, 0.1, 0.2, 0.1, 0.6, 0.1, 0.1, 0.1, 0.1, 0.7];

        var metrics = ClassificationMetrics.Compute(Four, [0, 1, 2, 3], scores, double.NaN, 1);

        metrics.PerClass![1].Precision.ShouldBe(double.NaN);
        metrics.PerClass[1].F1.ShouldBe(0);
        metrics.Precision.ShouldBe((0.5 + 0 + 1 + 1) / 4);
    }

    [Theory]
    [InlineData("", 0.3, 0.4, 0.2, 0.1, "b")]
    [InlineData("0.4", 0.3, 0.4, 0.2, 0.1, "b")]
    [InlineData("0.45", 0.3, 0.4, 0.2, 0.1, null)]
    [InlineData("0", 0.3, 0.4, 0.2, 0.1, "b")]
    [InlineData("a=0.2", 0.3, 0.4, 0.2, 0.1, "a")]
    [InlineData("a=0.3,c=0.1", 0.3, 0.4, 0.2, 0.1, "c")]
    [InlineData("a=0.5,b=0.5", 0.3, 0.4, 0.2, 0.1, "c")]
    [InlineData("a=0.5,b=0.5,c=0.5,d=0.5", 0.3, 0.4, 0.2, 0.1, null)]
    [InlineData("a=0,c=0.1", 0.3, 0.4, 0.2, 0.1, "a")]
    [InlineData("a=0.3", 0.3, 0.4, 0.2, 0.1, "a")]
    public void A_class_with_a_threshold_comes_first(string thresholds, double a, double b, double c, double d, string? called)
    {
        double[]? least = Thresholds.Parse(thresholds) is { } asked
            ? [.. Four.Names.Select(name => asked.Single ?? asked.OfClasses.Where(one => one.Key == name)
                .Select(one => one.Value).DefaultIfEmpty(double.NaN).Single())]
            : null;

        int label = new DecisionRule(double.NaN) { OfClasses = least }.Called([a, b, c, d]);

        (label == DecisionRule.Nothing ? null : Four[label]).ShouldBe(called);
    }

    [Theory]
    [InlineData("0.4", "0.4")]
    [InlineData("1e-7", "1e-7")]
    [InlineData("fight=0.2,robbery=.3", "fight=0.2,robbery=0.3")]
    [InlineData("hit, kick=0.2,a=b=0.3", "hit, kick=0.2,a=b=0.3")]
    [InlineData("fight", null)]
    [InlineData("fight=", null)]
    [InlineData("fight=x", null)]
    [InlineData("=0.3", null)]
    [InlineData("fight=0.2,", null)]
    [InlineData("fight=0.2,0.3", null)]
    [InlineData("fight=0.2,FIGHT=0.3", null)]
    [InlineData("", null)]
    public void Thresholds_are_read_as_people_write_them(string text, string? read)
    {
        Thresholds.Parse(text)?.ToString().ShouldBe(read);
        if (read is not null)
        {
            Thresholds.Parse(read).ShouldBe(Thresholds.Parse(text));
        }
    }

    [Fact]
    public void Clips_that_are_called_nothing_count_as_clips_of_their_class_and_as_wrong()
    {
        (int[] labels, double[] scores) = Draw(300);
        DecisionRule rule = new(double.NaN) { OfClasses = [0.35, 0.35, 0.35, 0.35] };

        ClassificationMetrics metrics = Bootstrap.WithIntervals(
            ClassificationMetrics.Compute(Four, labels, scores, rule, 1), labels, scores);
        ClassificationMetrics plain = ClassificationMetrics.Compute(Four, labels, scores, double.NaN, 1);

        int[] called = ClassScores.Called(scores, Four, rule);
        metrics.CalledNothing!.Sum().ShouldBe(called.Count(label => label == DecisionRule.Nothing));
        metrics.CalledNothing!.Sum().ShouldBeGreaterThan(0);
        metrics.Accuracy.ShouldBe(labels.Zip(called, (label, call) => label == call ? 1.0 : 0).Average(), 1e-12);
        metrics.Accuracy.ShouldBeInRange(metrics.Intervals!.Accuracy.Low, metrics.Intervals.Accuracy.High);
        metrics.PerClass!.Select(one => one.Count).ShouldBe(plain.PerClass!.Select(one => one.Count));
        metrics.Top2Accuracy.ShouldBe(plain.Top2Accuracy);
        metrics.Auc.ShouldBe(plain.Auc);
        string json = JsonSerializer.Serialize(metrics, RunJson.Default.ClassificationMetrics);
        ClassificationMetrics read = JsonSerializer.Deserialize(json, RunJson.Default.ClassificationMetrics)!;
        read.CalledNothing.ShouldBe(metrics.CalledNothing);
        read.Thresholds!["b"].ShouldBe(0.35);
        (plain.CalledNothing, plain.Thresholds).ShouldBe((null, null));
    }

    /// <summary>Labels that are drawn from probabilities, which answers then exaggerate threefold.</summary>
    [Fact]
    public void Temperature_scaling_finds_by_how_much_answers_exaggerate_and_changes_no_order()
    {
        var random = new Random(5);
        const int Clips = 4000;
        int[] labels = new int[Clips];
        double[] scores = new double[4 * Clips];
        for (int clip = 0; clip < Clips; clip++)
        {
            double[] p = [.. Enumerable.Range(0, 4).Select(_ => 0.05 + random.NextDouble())];
            double draw = random.NextDouble() * p.Sum();
            labels[clip] = Enumerable.Range(0, 4).First(label => (draw -= p[label]) < 0 || label == 3);
            double[] loud = [.. p.Select(value => Math.Pow(value, 3))];
            for (int label = 0; label < 4; label++)
            {
                scores[(4 * clip) + label] = loud[label] / loud.Sum();
            }
        }

        double exponent = TemperatureScaling.Fit(labels, scores, Four);
        double[] calibrated = TemperatureScaling.Apply(scores, Four, exponent);

        exponent.ShouldBe(1 / 3.0, 0.04);
        calibrated.Chunk(4).ShouldAllBe(answer => Math.Abs(answer.Sum() - 1) < 1e-12);
        ClassScores.Called(calibrated, Four, double.NaN).ShouldBe(ClassScores.Called(scores, Four, double.NaN));
        double Loss(double[] answers) => labels.Select((label, clip) => -Math.Log(answers[(4 * clip) + label])).Average();
        Loss(calibrated).ShouldBeLessThan(Loss(scores));
        TemperatureScaling.Fit([0, 1, 2, 3], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], Four).ShouldBeInRange(0.01, 1,
            "four clips that are right are no certainty");
        TemperatureScaling.Fit([1, 0, 3, 2], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], Four).ShouldBe(0.01, 1e-6);
    }

    [Fact]
    public void The_loss_of_an_answer_is_that_of_its_probabilities()
    {
        LossInfo plain = LossInfo.PlainOf(3);

        plain.Of(2, [0.2, 0.3, 0.5]).ShouldBe(-Math.Log(0.5), 1e-12);
        LossInfo.Plain.Of(1, [0.8]).ShouldBe(LossInfo.Plain.Of(1, [0.2, 0.8]), 1e-12);
    }

    private static (int[] Labels, double[] Scores) Draw(int clips)
    {
        var random = new Random(11);
        int[] labels = [.. Enumerable.Range(0, clips).Select(i => i % 4)];
        double[] scores = new double[4 * clips];
        for (int clip = 0; clip < clips; clip++)
        {
            double[] p = [.. Enumerable.Range(0, 4).Select(label => random.NextDouble() + (label == labels[clip] ? 0.4 : 0))];
            for (int label = 0; label < 4; label++)
            {
                scores[(4 * clip) + label] = p[label] / p.Sum();
            }
        }

        return (labels, scores);
    }

    private static int Largest(double[] scores, int clip) =>
        Enumerable.Range(0, 4).MaxBy(label => scores[(4 * clip) + label]);

    private static double PairsInOrder(int[] labels, double[] scores, int label)
    {
        double sum = 0;
        int pairs = 0;
        for (int i = 0; i < labels.Length; i++)
        {
            for (int j = 0; j < labels.Length; j++)
            {
                if (labels[i] == label && labels[j] != label)
                {
                    (double a, double b) = (scores[(4 * i) + label], scores[(4 * j) + label]);
                    sum += a > b ? 1 : a == b ? 0.5 : 0;
                    pairs++;
                }
            }
        }

        return sum / pairs;
    }
}
