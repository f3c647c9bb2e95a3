using CudaTrainer.Engine.Nn;

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

    /// <summary>What <see cref="Classifiers"/> calls it.</summary>
    public static string NameOf(string model) => model.Replace(Differences, string.Empty, StringComparison.Ordinal);

    public static bool HasDifferences(string model) => model.EndsWith(Differences, StringComparison.Ordinal);

    /// <summary>Whether a solver finds the weights, of features that nobody standardised.</summary>
    public static bool IsFitted(string name) => New(name, new ClassifierOptions(1)).IsFitted;
}
