using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Metrics;

/// <summary>
/// What a clip is called by the answer for it. Of the known pair p(violent) meets one threshold. Of other classes those with a threshold
/// come first: among the ones that reach theirs, the class with the largest probability/threshold is called. Where none does, it is the
/// likeliest class without a threshold; where every class has one, the clip is called nothing.
/// </summary>
/// <param name="Threshold">Of the known pair; NaN for other classes.</param>
internal readonly record struct DecisionRule(double Threshold)
{
    /// <summary>What the label of a clip is that is called nothing.</summary>
    public const int Nothing = -1;

    /// <summary>Of each class by label, NaN for those without; null where no class has one.</summary>
    public double[]? OfClasses { get; init; }

    /// <summary>Whether some clips may be called nothing.</summary>
    public bool MayCallNothing => OfClasses is { } all && !all.Any(double.IsNaN);

    /// <summary>The thresholds by name, those of classes that have one; null where none has.</summary>
    public IReadOnlyDictionary<string, double>? Named(ClassList classes) => OfClasses is null
        ? null
        : new OrderedDictionary<string, double>(
            classes.Names.Zip(OfClasses, KeyValuePair.Create).Where(one => !double.IsNaN(one.Value)));

    /// <summary>The rule of thresholds by name; those of the known pair's one number where they are null.</summary>
    public static DecisionRule Of(double threshold, IReadOnlyDictionary<string, double>? named, ClassList classes) => new(threshold)
    {
        OfClasses = named is null ? null : [.. classes.Names.Select(name => named.GetValueOrDefault(name, double.NaN))],
    };

    /// <summary>Whether a class is called from a threshold of its own on.</summary>
    public bool HasThreshold(int label) => OfClasses is { } all && label >= 0 && !double.IsNaN(all[label]);

    /// <summary>What one clip is called; the last of equals, <see cref="Nothing"/> where no class is.</summary>
    /// <param name="answer">p(violent), or the probability of each class.</param>
    public int Called(ReadOnlySpan<double> answer)
    {
        if (answer.Length == 1)
        {
            return answer[0] >= Threshold ? ClassLabel.Violent : ClassLabel.Nonviolent;
        }

        int reached = Nothing, likeliest = Nothing;
        for (int label = 0; label < answer.Length; label++)
        {
            if (!HasThreshold(label))
            {
                likeliest = likeliest == Nothing || answer[label] >= answer[likeliest] ? label : likeliest;
            }
            else if (answer[label] >= OfClasses![label] && (reached == Nothing || IsAhead(label, reached, answer)))
            {
                reached = label;
            }
        }

        return reached == Nothing ? likeliest : reached;
    }

    /// <summary>Whether probability/threshold is as large or larger; by products, since a threshold may be 0.</summary>
    private bool IsAhead(int label, int other, ReadOnlySpan<double> answer)
    {
        double own = answer[label] * OfClasses![other], others = answer[other] * OfClasses[label];
        return own > others || (own == others && answer[label] >= answer[other]);
    }
}
