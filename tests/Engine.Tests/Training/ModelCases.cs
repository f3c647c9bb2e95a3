using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>The classifiers as cases of theories.</summary>
internal static class ModelCases
{
    /// <summary>For what is said of models that are trained on standardised features.</summary>
    public static TheoryData<string> Standardised => [.. Classifiers.Names.Select(name => new TheoryDataRow<string>(name)
    {
        Skip = IsFitted(name) ? "takes raw features and standardises by itself" : null,
    })];

    /// <summary>Whether a solver finds the weights, of features that nobody standardised.</summary>
    public static bool IsFitted(string name) => Classifiers.Create(name, new ClassifierOptions(1)).IsFitted;
}
