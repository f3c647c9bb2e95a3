using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Scanning;

/// <summary>How well something that a file says without its pictures tells the classes apart.</summary>
/// <param name="Metadatum">Such as <c>height</c>; <see cref="GiveAwaySearch.Together"/> for a vote of three.</param>
/// <param name="BalancedAccuracy">On clips of sources that were held out; 0.5 is chance.</param>
/// <param name="PValue">How often labels that mean nothing let any metadatum come as far.</param>
/// <param name="Found">Whether it is far above chance beyond doubt.</param>
public sealed record GiveAway(string Metadatum, double BalancedAccuracy, double PValue, bool Found)
{
    /// <summary>The class that is told from all others; null of two classes, which are told from each other.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Class { get; init; }

    /// <summary>The label of the class that is told from the rest.</summary>
    internal int Label { get; init; } = ClassLabel.Violent;
}

/// <summary>
/// Finds out whether classes can be told apart by what files say of clips, such as the height of the picture, rather than by what happens.
/// </summary>
/// <remarks>
/// Each metadatum is a classifier of its own (<see cref="Metadatum.Learn"/>), learnt on four fifths of the sources and judged on the rest,
/// five times over, and that for several divisions into fifths, on one of which much may hang where a few sources are large. Whether the
/// mean is more than luck is asked by permutation: the sources exchange their shares of the classes, everything is learnt and judged
/// anew, and the best of all metadata counts, so that looking at many of them finds no more than looking at one (Westfall and Young,
/// Resampling-based multiple testing, 1993). Permuting ends early where chance has come as far often enough (Besag and Clifford,
/// Sequential Monte Carlo p-values, Biometrika 78, 1991). The folds are drawn without the labels, or labels that were permuted would be
/// judged by other folds than the true ones. Of more than two classes each is told from all others in this way, and the best of all
/// metadata for all classes counts.
/// </remarks>
internal sealed class GiveAwaySearch
{
    public const string Together = "together";

    /// <summary>Enough for p-values down to 0.002.</summary>
    public const int Permutations = 499;

    public const double CertainBelow = 0.01;

    public const double NotableFrom = 0.65;

    private const int Divisions = 5;
    private const int Folds = 5;

    /// <summary>Permutations that come as far and end the search: 10 of 499 are far from certain.</summary>
    private const int Enough = 10;

    private const int Voters = 3;
    private const ulong Seed = 42;

    private readonly IReadOnlyList<Metadatum> _metadata;
    private readonly int[][] _sources;
    private readonly int[][][] _divisions;
    private readonly int[][] _counts;
    private readonly sbyte[][] _calls;
    private readonly double[] _learnt;
    private readonly double[] _votes;

    private GiveAwaySearch(IReadOnlyList<Metadatum> metadata, int[] sourceOf, SplitMix64 random)
    {
        _metadata = metadata;
        _sources = [.. Enumerable.Range(0, sourceOf.Length).GroupBy(clip => sourceOf[clip]).Select(source => source.ToArray())];
        _divisions = [.. Enumerable.Range(0, Divisions).Select(_ => DrawFolds(_sources, random))];
        _counts = [.. metadata.Select(metadatum => new int[2 * metadatum.Levels])];
        _calls = [.. metadata.Select(metadatum => new sbyte[metadatum.Levels])];
        _learnt = new double[metadata.Count];
        _votes = new double[sourceOf.Length];
    }

    /// <summary>Judges every metadatum, and a vote of the best of three families.</summary>
    /// <param name="metadata">Of all clips.</param>
    /// <param name="labels">0 or 1 for each clip.</param>
    /// <param name="sourceOf">A number for each clip, the same for clips that belong together.</param>
    /// <param name="stop">Looked at between permutations.</param>
    /// <returns>The strongest first; empty where nothing differs or there is only one source.</returns>
    public static IReadOnlyList<GiveAway> Run(IReadOnlyList<Metadatum> metadata, int[] labels, int[] sourceOf, CancellationToken stop) =>
        Run(metadata, labels, ClassList.Violence, sourceOf, stop);

    /// <summary>The same of any classes.</summary>
    /// <param name="labels">One for each clip; every class has one or more.</param>
    public static IReadOnlyList<GiveAway> Run(IReadOnlyList<Metadatum> metadata, int[] labels, ClassList classes, int[] sourceOf,
        CancellationToken stop)
    {
        if (metadata.Count == 0 || sourceOf.Distinct().Count() < 2)
        {
            return [];
        }

        var random = new SplitMix64(Seed);
        var search = new GiveAwaySearch(metadata, sourceOf, random);
        int[] positives = classes.Count == 2 ? [1] : [.. Enumerable.Range(0, classes.Count)];
        double[] observed = Judge(labels);
        int[] reached = new int[observed.Length];
        double[] pValues = new double[observed.Length];
        int[] permuted = new int[labels.Length];
        for (int i = 1; i <= Permutations && reached.Any(count => count < Enough); i++)
        {
            stop.ThrowIfCancellationRequested();
            search.Permute(labels, permuted, classes.Count, random);
            double best = Judge(permuted).Max();
            for (int j = 0; j < observed.Length; j++)
            {
                // Sums of the same terms in another order may differ in the last bits.
                if (reached[j] < Enough && best >= observed[j] - 1e-9)
                {
                    reached[j]++;
                    pValues[j] = (double)Enough / i;
                }
            }
        }

        return [.. Enumerable.Range(0, observed.Length).Select(Result).OrderByDescending(result => result.BalancedAccuracy)];

        double[] Judge(int[] of) => [.. positives.SelectMany(label => search.Judge(ClassScores.Against(of, label)))];

        GiveAway Result(int j)
        {
            double p = reached[j] == Enough ? pValues[j] : (1.0 + reached[j]) / (1 + Permutations);
            (int positive, int m) = Math.DivRem(j, metadata.Count + 1);
            return new(m < metadata.Count ? metadata[m].Name : Together, observed[j], p, p < CertainBelow && observed[j] >= NotableFrom)
            {
                Class = classes.Count == 2 ? null : classes[positives[positive]],
                Label = positives[positive],
            };
        }
    }

    /// <summary>Whole sources, so that the folds are of like size; from large to small, each to the smallest fold so far.</summary>
    private static int[][] DrawFolds(int[][] sources, SplitMix64 random)
    {
        int[][] shuffled = [.. sources];
        random.Shuffle<int[]>(shuffled);
        List<int>[] folds = [.. Enumerable.Range(0, Math.Min(Folds, sources.Length)).Select(_ => new List<int>())];
        foreach (int[] source in shuffled.OrderByDescending(source => source.Length))
        {
            folds.MinBy(fold => fold.Count)!.AddRange(source);
        }

        return [.. folds.Select(fold => fold.ToArray())];
    }

    /// <summary>
    /// Each source gets the shares of the classes of another, on clips of its own that are drawn: what clips of one source have in common
    /// stays with the source. One draw rounds all shares of a source to whole clips (systematic sampling).
    /// </summary>
    private void Permute(int[] labels, int[] permuted, int classes, SplitMix64 random)
    {
        // By class, the share of clips of it and all later classes.
        double[][] shares = [.. _sources.Select(source => Enumerable.Range(0, classes)
            .Select(label => source.Average(clip => labels[clip] >= label ? 1.0 : 0)).ToArray())];
        random.Shuffle<double[]>(shares);
        for (int i = 0; i < _sources.Length; i++)
        {
            int[] clips = _sources[i];
            double draw = random.NextDouble();
            random.Shuffle<int>(clips);
            for (int label = classes - 1, j = 0; label >= 0; label--)
            {
                for (int end = label == 0 ? clips.Length : (int)Math.Floor((clips.Length * shares[i][label]) + draw); j < end; j++)
                {
                    permuted[clips[j]] = label;
                }
            }
        }
    }

    /// <param name="labels">0 or 1 for each clip.</param>
    /// <returns>Balanced accuracy of each metadatum on the clips held out, and of the vote; the mean over the divisions.</returns>
    private double[] Judge(int[] labels)
    {
        double[,] right = new double[_metadata.Count + 1, 2];
        foreach (int[] counts in _counts)
        {
            Array.Clear(counts);
        }

        foreach (int[] source in _sources)
        {
            Count(source, 1);
        }

        foreach (int[] fold in _divisions.SelectMany(folds => folds))
        {
            Count(fold, -1);
            JudgeFold(fold);
            Count(fold, 1);
        }

        double violent = Divisions * labels.Sum(), nonviolent = (Divisions * labels.Length) - violent;
        return [.. Enumerable.Range(0, _metadata.Count + 1)
            .Select(m => violent == 0 || nonviolent == 0 ? 0.5 : ((right[m, 0] / nonviolent) + (right[m, 1] / violent)) / 2)];

        void JudgeFold(int[] fold)
        {
            for (int m = 0; m < _metadata.Count; m++)
            {
                _learnt[m] = _metadata[m].Learn(_counts[m], _calls[m]);
                foreach (int clip in fold)
                {
                    right[m, labels[clip]] += Credit(_calls[m][_metadata[m].LevelOf[clip]], labels[clip]);
                }
            }

            Vote(fold);
            foreach (int clip in fold)
            {
                sbyte call = _votes[clip] > 0 ? (sbyte)1 : _votes[clip] < 0 ? (sbyte)0 : Metadatum.Unknown;
                right[_metadata.Count, labels[clip]] += Credit(call, labels[clip]);
            }
        }

        void Count(int[] fold, int step)
        {
            for (int m = 0; m < _metadata.Count; m++)
            {
                int[] counts = _counts[m], levelOf = _metadata[m].LevelOf;
                foreach (int clip in fold)
                {
                    counts[(2 * levelOf[clip]) + labels[clip]] += step;
                }
            }
        }

        static double Credit(sbyte call, int label) => call == Metadatum.Unknown ? 0.5 : call == label ? 1 : 0;
    }

    /// <summary>The best of each family, the best three of these, each with the weight of what it is better than chance.</summary>
    private void Vote(int[] fold)
    {
        foreach (int clip in fold)
        {
            _votes[clip] = 0;
        }

        foreach (int m in Enumerable.Range(0, _metadata.Count).GroupBy(m => _metadata[m].Family)
            .Select(family => family.MaxBy(m => _learnt[m])).OrderByDescending(m => _learnt[m]).Take(Voters))
        {
            foreach (int clip in fold)
            {
                sbyte call = _calls[m][_metadata[m].LevelOf[clip]];
                _votes[clip] += call == Metadatum.Unknown ? 0 : (_learnt[m] - 0.5) * (call == 1 ? 1 : -1);
            }
        }
    }
}
