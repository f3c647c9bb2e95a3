using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>
/// Clips that a page shows one by one, chosen among those of the split that is reported: test, or val where there is no test.
/// </summary>
/// <param name="Split">Which.</param>
/// <param name="Threshold">p(violent) from which a clip counts as called violent.</param>
/// <param name="Mistakes">Called wrongly, the highest loss first.</param>
/// <param name="Best">Called rightly with the most certainty, of each class.</param>
/// <param name="Uncertain">Closest to the threshold; where there is none, the closest likeliest classes.</param>
/// <param name="Examples">Some of each class, for a look at the data.</param>
internal sealed record ChosenClips(
    string Split, double Threshold, IReadOnlyList<ClipPrediction> Mistakes, IReadOnlyList<ClipPrediction> Best,
    IReadOnlyList<ClipPrediction> Uncertain, IReadOnlyList<ClipPrediction> Examples)
{
    public const int ShownMistakes = 20;

    private const int FilmedMistakes = 3, ExamplesPerClass = 4, MistakesWithPicture = 10;

    /// <summary>Clips whose frames and attention are shown, in the order of the page.</summary>
    public IEnumerable<ClipPrediction> Filmed => Mistakes.Take(FilmedMistakes).Concat(Uncertain).Concat(Best).DistinctBy(clip => clip.Path);

    /// <summary>Clips of which one frame is shown.</summary>
    public IEnumerable<ClipPrediction> Pictured => Examples.Concat(Mistakes.Take(MistakesWithPicture)).DistinctBy(clip => clip.Path);

    /// <returns>Null for a run without predictions.</returns>
    public static ChosenClips? Of(RunRecord run)
    {
        if (run.Predictions.Count == 0)
        {
            return null;
        }

        (string split, IReadOnlyList<ClipPrediction> clips) = run.Predictions[^1];
        double threshold = run.MetricsOf(split)?.Threshold ?? 0.5;
        ClipPrediction[] right = [.. clips.Where(clip => clip.IsRightAt(threshold)).OrderByDescending(clip => clip.TrueProbability)];
        int[] labels = [.. Enumerable.Range(0, run.Classes.Count).Reverse()];
        return new ChosenClips(
            split,
            threshold,
            [.. clips.Where(clip => !clip.IsRightAt(threshold)).OrderByDescending(clip => clip.Loss)],
            [.. labels.SelectMany(label => right.Where(clip => clip.Label == label).Take(1))],
            [.. clips.OrderBy(clip => Doubt(clip, threshold)).Take(2)],
            [.. labels.SelectMany(label => Spread([.. clips.Where(clip => clip.Label == label)]))]);
    }

    /// <summary>How far an answer is from being another.</summary>
    private static double Doubt(ClipPrediction clip, double threshold) => clip.Probabilities is { } each
        ? each.OrderDescending().Take(2).Aggregate((first, second) => first - second)
        : Math.Abs(clip.Violent - threshold);

    private static IEnumerable<ClipPrediction> Spread(ClipPrediction[] clips)
    {
        int count = Math.Min(ExamplesPerClass, clips.Length);
        return Enumerable.Range(0, count).Select(i => clips[i * clips.Length / count]);
    }
}
