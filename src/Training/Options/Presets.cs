namespace CudaTrainer.Training.Options;

/// <summary>Named sets of training options. Whatever is given besides wins over a preset.</summary>
public static class Presets
{
    /// <summary>For help.</summary>
    public const string Meaning = "original: lstm-attention on VGG19 features, whatever the data; baseline: that without " +
        "its optimisations; optimized: with all of them; fast: for experiments; debug: short, in single precision, op by op";

    private static readonly Dictionary<string, string> All = new()
    {
        ["original"] = "",
        ["baseline"] = "mixed-precision false xla false use-focal-loss false use-class-weights false label-smoothing 0 warmup-epochs 0 " +
            "lr-schedule constant",
        ["optimized"] = "epochs 100 batch-size 64 learning-rate 0.001 warmup-epochs 5 label-smoothing 0.1 use-focal-loss true " +
            "use-class-weights true lr-schedule cosine",
        ["fast"] = "epochs 30 batch-size 96 warmup-epochs 3",
        ["debug"] = "epochs 10 batch-size 32 warmup-epochs 2 mixed-precision false xla false",
    };

    public static IReadOnlyCollection<string> Names => All.Keys;

    /// <returns>The names of settings with their values as people type them; none for an unknown preset.</returns>
    public static IEnumerable<(string Setting, string Value)> Of(string name) =>
        All.TryGetValue(name, out string? text)
            ? text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Chunk(2).Select(pair => (pair[0], pair[1]))
            : [];
}
