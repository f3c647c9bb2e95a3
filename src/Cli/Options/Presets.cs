using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Options;

/// <summary>
/// Named sets of options of <c>train</c>: the command lines that the script we replace recommends, and what it is compared with. Anything
/// given besides wins over a preset.
/// </summary>
internal static class Presets
{
    public const string Option = "--preset";

    private static readonly Dictionary<string, (string Description, GivenOption[] Options)> All = new()
    {
        ["baseline"] = ("none of the optimisations",
            Of("--mixed-precision false --xla false --use-focal-loss false --use-class-weights false --label-smoothing 0 --warmup-epochs 0 --lr-schedule constant")),
        ["optimized"] = ("all of them, which is the default",
            Of("--epochs 100 --batch-size 64 --learning-rate 0.001 --warmup-epochs 5 --label-smoothing 0.1 --use-focal-loss true --use-class-weights true --lr-schedule cosine")),
        ["max-accuracy"] = ("longer and gentler",
            Of("--epochs 150 --batch-size 64 --learning-rate 0.0005 --warmup-epochs 10 --label-smoothing 0.15 --use-focal-loss true --use-class-weights true --lr-schedule cosine")),
        ["fast"] = ("for experiments", Of("--epochs 30 --batch-size 96 --warmup-epochs 3")),
        ["debug"] = ("short, in single precision, op by op",
            Of("--epochs 10 --batch-size 32 --warmup-epochs 2 --mixed-precision false --xla false")),
    };

    public static IEnumerable<string> Names => All.Keys;

    /// <summary>For help.</summary>
    public static string Description { get; } = string.Join("; ", All.Select(preset => $"{preset.Key}: {preset.Value.Description}"));

    public static bool TryGet(string name, out IReadOnlyList<GivenOption> options)
    {
        bool found = All.TryGetValue(name, out var preset);
        options = found ? [.. preset.Options.Select(option => option with { Origin = $"preset {name}" })] : [];
        return found;
    }

    private static GivenOption[] Of(string text) => [.. text.Split(' ').Chunk(2).Select(pair => new GivenOption(pair[0], pair[1]))];
}
