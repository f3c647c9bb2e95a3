using CudaTrainer.Training.Events;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>
/// Ensembles of runs on small features: what is fitted is the optimum, what is chosen is chosen on val, and what does not fit together is
/// refused by name.
/// </summary>
public sealed class EnsembleTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    /// <summary>
    /// The optimum of a convex problem on the simplex: the gradient is the same in every member that is used and nowhere smaller.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Fitted_weights_satisfy_the_conditions_of_the_optimum(int seed)
    {
        (int[] labels, double[][] scores) = Answers(seed, clips: 40, noise: [0.8, 1.5, 3, 0.8]);
        double[] weights = EnsembleWeights.Fit(labels, scores);

        weights.Sum().ShouldBe(1, 1e-12);
        weights.ShouldAllBe(weight => weight >= 0);
        double[] gradient = [
            .. scores.Select((member, m) => -labels.Select((label, i) => Of(label, member[i]) / Of(label, Mixed(scores, weights, i)))
            .Average())];
        gradient.ShouldAllBe(value => value >= -1 - 1e-6);
        for (int m = 0; m < weights.Length; m++)
        {
            if (weights[m] > 1e-3)
            {
                gradient[m].ShouldBe(-1, 1e-3);
            }
        }

        double fitted = Loss(labels, scores, weights);
        fitted.ShouldBeLessThanOrEqualTo(Loss(labels, scores, [0.25, 0.25, 0.25, 0.25]));
        for (int m = 0; m < weights.Length; m++)
        {
            fitted.ShouldBeLessThanOrEqualTo(Loss(labels, scores, [.. Enumerable.Range(0, 4).Select(k => k == m ? 1.0 : 0)]) + 1e-6);
        }
    }

    [Fact]
    public void A_member_that_answers_at_random_gets_no_weight()
    {
        (int[] labels, double[][] scores) = Answers(4, clips: 200, noise: [0.5, 0.5]);
        Random random = new(9);
        double[] weights = EnsembleWeights.Fit(labels, [.. scores, [.. labels.Select(_ => random.NextDouble())]]);

        weights[2].ShouldBeLessThan(0.05);
    }

    [Fact]
    public void Strategies_are_what_their_names_say()
    {
        double[][] scores = [[0.2, 0.9], [0.4, 0.8], [0.9, 0.1]];
        double[] weights = [0.5, 0.25, 0.25], thresholds = [0.5, 0.3, 0.95];

        Ensemble.Combine(EnsembleStrategy.Mean, scores, weights, thresholds).ShouldBe([0.5, 0.6], 1e-12);
        Ensemble.Combine(EnsembleStrategy.Weighted, scores, weights, thresholds).ShouldBe([0.425, 0.675], 1e-12);
        Ensemble.Combine(EnsembleStrategy.Vote, scores, weights, thresholds).ShouldBe([1.0 / 3, 2.0 / 3], 1e-12);
    }

    /// <summary>Everything of the file from the members' own predictions, and test takes no part in any choice.</summary>
    [Fact]
    public void An_ensemble_is_chosen_on_val_and_answers_for_its_members()
    {
        string[] runs = Runs("lstm-attention", "attention-mil", "simple-lstm");
        EnsembleOptions options = Options(runs);
        Ensemble ensemble = EnsembleRun.Execute(options, new RecordingObserver(), CancellationToken.None);

        double[][] scores = [.. runs.Select(run => Scores(run, "val"))];
        int[] labels = new MemoryRows(9, seed: 2).Labels.ToArray();
        ensemble.Members.Select(member => member.Weight).ShouldBe(EnsembleWeights.Fit(labels, scores), 1e-4);
        ensemble.Strategies["mean"].Loss.ShouldBe(Loss(labels, scores, [1.0 / 3, 1.0 / 3, 1.0 / 3]), 1e-6);
        ensemble.Strategies["weighted"].Loss.ShouldBeLessThanOrEqualTo(ensemble.Strategies["mean"].Loss);
        ensemble.Val.BalancedAccuracy.ShouldBe(ensemble.Strategies.Values.Max(metrics => metrics.BalancedAccuracy));
        ensemble.Val.Intervals.ShouldNotBeNull();
        ensemble.Test!.Intervals.ShouldNotBeNull();
        ensemble.Members.Select(member => member.File).ShouldBe([.. runs.Select(run => $"{run}/best_model.safetensors")]);

        EvaluationResult evaluated = EvaluationRun.Execute(
            new EvaluationOptions { Checkpoint = options.Output, FeaturesDir = _fixture.Features, Features = new FeatureOptions { Device = "cpu", Threads = 1 } }, new RecordingObserver(), CancellationToken.None);
        evaluated.Splits["val"].Loss.ShouldBe(ensemble.Val.Loss);
        evaluated.Splits["test"].Loss.ShouldBe(ensemble.Test.Loss);

        _fixture.Write("test", new MemoryRows(9, seed: 30));
        Ensemble again = EnsembleRun.Execute(options, new RecordingObserver(), CancellationToken.None);
        (again.Strategy, again.Threshold).ShouldBe((ensemble.Strategy, ensemble.Threshold));
        again.Members.Select(member => member.Weight).ShouldBe(ensemble.Members.Select(member => member.Weight));
        again.Test!.Loss.ShouldNotBe(ensemble.Test.Loss);
    }

    [Fact]
    public void Of_equally_good_strategies_the_simplest_is_chosen()
    {
        static ClassificationMetrics At(double threshold) =>
            ClassificationMetrics.Compute([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.3], threshold, 0);

        EnsembleRun.Best(new Dictionary<EnsembleStrategy, ClassificationMetrics> { [EnsembleStrategy.Vote] = At(0.25), [EnsembleStrategy.Weighted] = At(0.25), [EnsembleStrategy.Mean] = At(0.5) }).ShouldBe(EnsembleStrategy.Weighted);
        EnsembleRun.Best(new Dictionary<EnsembleStrategy, ClassificationMetrics> { [EnsembleStrategy.Weighted] = At(0.25), [EnsembleStrategy.Mean] = At(0.25) }).ShouldBe(EnsembleStrategy.Mean);
    }

    [Fact]
    public void Members_that_are_missing_changed_or_of_another_kind_are_named()
    {
        string[] runs = Runs("attention-mil", "simple-lstm");
        EnsembleOptions options = Options(runs);
        EnsembleRun.Execute(options, new RecordingObserver(), CancellationToken.None);

        Should.Throw<RunException>(() => EnsembleRun.Execute(Options(runs[0], "none"), new RecordingObserver(), CancellationToken.None))
            .Message.ShouldContain("none' cannot be read");
        Should.Throw<RunException>(() => EnsembleRun.Execute(Options(runs[0], runs[0]), new RecordingObserver(), CancellationToken.None))
            .Message.ShouldContain("is named twice");
        _fixture.Write("train", new MemoryRows(22, frames: 3));
        _fixture.Write("val", new MemoryRows(9, frames: 3, seed: 2));
        _fixture.Write("test", new MemoryRows(9, frames: 3, seed: 3));
        TrainingFixture.Run(_fixture.Options("short") with { Epochs = 1 });
        string message = Should.Throw<RunException>(
            () => EnsembleRun.Execute(Options(runs[0], "short"), new RecordingObserver(), CancellationToken.None)).Message;
        message.ShouldContain("short/best_model.safetensors' cannot answer together with");
        message.ShouldContain("frames a clip 3 instead of 4");

        File.Copy(_fixture.File("short/best_model.safetensors"), _fixture.File($"{runs[1]}/best_model.safetensors"), overwrite: true);
        Should.Throw<RunException>(() => Evaluate(options.Output))
            .Message.ShouldContain($"{runs[1]}/best_model.safetensors' is not the file that the ensemble");
        File.Delete(_fixture.File($"{runs[1]}/best_model.safetensors"));
        Should.Throw<RunException>(() => Evaluate(options.Output))
            .Message.ShouldContain($"The member '{_fixture.File($"{runs[1]}/best_model.safetensors")}' cannot be read");
        File.WriteAllText(_fixture.File("other.json"), "{}");
        Should.Throw<RunException>(() => Evaluate(_fixture.File("other.json"))).Message.ShouldContain("other.json' is not an ensemble");

        EvaluationResult Evaluate(string file) => EvaluationRun.Execute(
            new EvaluationOptions { Checkpoint = file, FeaturesDir = _fixture.Features, Features = new FeatureOptions { Device = "cpu", Threads = 1 } }, new RecordingObserver(), CancellationToken.None);
    }

    [Fact]
    public void A_member_of_another_split_is_warned_of()
    {
        string[] runs = Runs("attention-mil", "simple-lstm");

        // What was trained on becomes val, under other names.
        _fixture.Write("val", new MemoryRows(22, seed: 1));
        _fixture.Write("train", new MemoryRows(25, seed: 9));
        RecordingObserver observer = new();
        TrainingFixture.Run(_fixture.Options("same") with { Epochs = 1 });
        EnsembleRun.Execute(Options(runs[0], "same"), observer, CancellationToken.None);

        observer.Messages.Count(message => message.Severity == Severity.Warning).ShouldBe(1, string.Join('\n', observer.Messages));
        observer.Messages.First(message => message.Severity == Severity.Warning)
            .Text.ShouldContain(
                $"22 of the 22 clips of val are clips that '{_fixture.File(runs[0])}/best_model.safetensors' was trained on");
    }

    public void Dispose() => _fixture.Dispose();

    private string[] Runs(params string[] models)
    {
        foreach (string model in models)
        {
            TrainingFixture.Run(_fixture.Options(model) with { Model = model, LearningRate = 0.01 });
        }

        return models;
    }

    private EnsembleOptions Options(params string[] runs) => new()
    {
        Members = [.. runs.Select(_fixture.File)],
        FeaturesDir = _fixture.Features,
        Features = new FeatureOptions { Device = "cpu", Threads = 1 },
        Output = _fixture.File("ensemble.json"),
    };

    /// <summary>The third column of a run's own list of predictions.</summary>
    private double[] Scores(string run, string split)
    {
        string[][] lines = [.. File.ReadAllLines(_fixture.File($"{run}/predictions_{split}.csv")).Select(line => line.Split(','))];
        int column = Array.FindIndex(lines[0], name => name is "violent" or "score" or "p_violent");
        return [.. lines.Skip(1).Select(line => double.Parse(line[column], System.Globalization.CultureInfo.InvariantCulture))];
    }

    private static (int[] Labels, double[][] Scores) Answers(int seed, int clips, double[] noise)
    {
        Random random = new(seed);
        int[] labels = [.. Enumerable.Range(0, clips).Select(i => i % 2)];
        return (labels, [.. noise.Select(scale => labels.Select(label => 1 / (1 + Math.Exp(-((2 * label) - 1 + (scale * (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2))))).ToArray())]);
    }

    private static double Of(int label, double score) => label == 1 ? score : 1 - score;

    private static double Mixed(double[][] scores, double[] weights, int clip) =>
        scores.Zip(weights, (member, weight) => weight * member[clip]).Sum();

    private static double Loss(int[] labels, double[][] scores, double[] weights) =>
        -labels.Select((label, i) => Math.Log(Of(label, Mixed(scores, weights, i)))).Average();
}
