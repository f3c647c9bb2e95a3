using CudaTrainer.Engine.Ops;

namespace CudaTrainer.Engine.Nn;

/// <summary>The classifiers by their command-line names.</summary>
public static class Classifiers
{
    /// <summary>The model that networks are measured by.</summary>
    public const string Linear = "linear";

    private const int Hidden = 128;

    private static readonly Dictionary<string, Func<ClassifierOptions, Classifier>> Builders = new()
    {
        ["lstm-attention"] = options =>
            new AttentionClassifier(options, Hidden, (i, inputs) => new Lstm($"lstm_{i}", inputs, Hidden, Recurrent(options))),
        ["bilstm-attention"] = options => new AttentionClassifier(options, 2 * Hidden,
            (i, inputs) => new BidirectionalLstm($"lstm_{i}", inputs, Hidden, Recurrent(options))),
        ["gru-attention"] = options =>
            new AttentionClassifier(options, Hidden, (i, inputs) => new Gru($"gru_{i}", inputs, Hidden, Recurrent(options))),
        ["simple-lstm"] = options => new SimpleLstm(options, Hidden, Recurrent(options)),
        ["attention-mil"] = options => new AttentionMil(options),
        ["frame-mlp"] = options => new AttentionMil(options, attends: false),
        [Linear] = options => new LinearClassifier(options),
    };

    public static IReadOnlyCollection<string> Names => Builders.Keys;

    /// <exception cref="ArgumentException">There is no such model, or it looks at differences itself.</exception>
    public static Classifier Create(string name, ClassifierOptions options) => !Builders.TryGetValue(name,
        out Func<ClassifierOptions, Classifier>? build)
        ? throw new ArgumentException($"There is no model '{name}'; the models are {string.Join(", ", Names)}.", nameof(name))
        : options.Differences
            ? new DifferencesClassifier(options, build(options with { Inputs = 2 * options.Inputs, Differences = false }))
            : build(options);

    /// <summary>Whether a solver fits the weights of the model at once: <see cref="Classifier.IsFitted"/>. Of a model that is not known, as
    /// in the settings of a run of another version, no.</summary>
    public static bool IsFitted(string name) => Builders.ContainsKey(name) && Create(name, new ClassifierOptions(1)).IsFitted;

    private static RecurrentOptions Recurrent(ClassifierOptions options) => new(HalfReserve: options.HalfReserve);
}
