using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Metrics;

/// <summary>Answers for clips as a table: <see cref="ClassList.Scores"/> numbers for each, clip after clip.</summary>
internal static class ClassScores
{
    /// <summary>The numbers of one clip.</summary>
    public static ReadOnlySpan<double> Of(ReadOnlySpan<double> scores, int clip, ClassList classes) =>
        scores.Slice(clip * classes.Scores, classes.Scores);

    /// <summary>The probability of one class for every clip.</summary>
    public static double[] Column(ReadOnlySpan<double> scores, ClassList classes, int label)
    {
        double[] column = new double[scores.Length / classes.Scores];
        for (int clip = 0; clip < column.Length; clip++)
        {
            ReadOnlySpan<double> answer = Of(scores, clip, classes);
            column[clip] = !classes.IsViolence ? answer[label] : label == ClassLabel.Violent ? answer[0] : 1 - answer[0];
        }

        return column;
    }

    /// <summary>What one clip is called: of the known pair by the threshold, else by the largest probability, the last of equals.</summary>
    public static int Called(ReadOnlySpan<double> answer, double threshold) => new DecisionRule(threshold).Called(answer);

    /// <summary>What every clip is called: of the known pair by the threshold, else by the largest probability.</summary>
    public static int[] Called(ReadOnlySpan<double> scores, ClassList classes, double threshold) =>
        Called(scores, classes, new DecisionRule(threshold));

    /// <summary>What every clip is called; <see cref="DecisionRule.Nothing"/> where it is no class.</summary>
    public static int[] Called(ReadOnlySpan<double> scores, ClassList classes, DecisionRule rule)
    {
        int[] called = new int[scores.Length / classes.Scores];
        for (int clip = 0; clip < called.Length; clip++)
        {
            called[clip] = rule.Called(Of(scores, clip, classes));
        }

        return called;
    }

    /// <summary>1 for the clips of one class, 0 for all others: one against the rest.</summary>
    public static int[] Against(ReadOnlySpan<int> labels, int label)
    {
        int[] against = new int[labels.Length];
        for (int clip = 0; clip < against.Length; clip++)
        {
            against[clip] = labels[clip] == label ? 1 : 0;
        }

        return against;
    }
}
