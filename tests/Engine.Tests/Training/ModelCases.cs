using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>The classifiers as cases of theories.</summary>
internal static class ModelCases
{
    private const string Differences = "+differences";

    /// <summary>All, and those that can once more with differences of features: <see cref="New"/> makes them.</summary>
    public static TheoryData<string> All =>
        [.. Classifiers.Names, .. Classifiers.Names.Where(name => !IsFitted(name)).Select(name => name + Differences)];

    /// <summary>Those that are trained on standardised features: what a solver fits standardises by itself.</summary>
    public static TheoryData<string> Standardised => [.. All.Select(row => row.Data).Where(name => !IsFitted(name))];

    /// <summary>A model of <see cref="All"/>.</summary>
    public static Classifier New(string model, ClassifierOptions options) => Classifiers.Create(NameOf(model),
        options with { Differences = HasDifferences(model) });

    /// <summary>
    /// A model with the map folded in answers raw features as it answers mapped ones without, and the map is not nothing to it.
    /// </summary>
    /// <param name="tolerance">In p(violent).</param>
    public static void ShouldFold(string model, MemoryRows rows, FeatureScaler scaler, double tolerance)
    {
        using CpuDevice device = new(threads: 1);
        using Learner learner = new(device, New(model, new ClassifierOptions(rows.Dimension)), TrainingFixture.Learner());
        learner.Parameters.Initialize(7);
        double[] mapped = Scores(scaler), raw = Scores(null);

        scaler.FoldInto(learner.Model);
        double[] folded = Scores(null);

        folded.Zip(mapped).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < tolerance);
        raw.Zip(mapped).ShouldContain(pair => Math.Abs(pair.First - pair.Second) > 1e-3);

        double[] Scores(FeatureScaler? applied)
        {
            using ReplicaGroup replicas = ReplicaGroup.Of(learner);
            using Evaluator evaluator = new(replicas, rows, 5, applied);
            return evaluator.Run().Scores;
        }
    }

    /// <summary>What <see cref="Classifiers"/> calls it.</summary>
    public static string NameOf(string model) => model.Replace(Differences, string.Empty, StringComparison.Ordinal);

    public static bool HasDifferences(string model) => model.EndsWith(Differences, StringComparison.Ordinal);

    /// <summary>Whether a solver finds the weights, of features that nobody standardised.</summary>
    public static bool IsFitted(string name) => New(name, new ClassifierOptions(1)).IsFitted;
}
