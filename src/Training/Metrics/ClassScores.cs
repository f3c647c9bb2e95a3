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
    public static int Called(ReadOnlySpan<double> answer, double threshold)
    {
        if (answer.Length == 1)
        {
            return answer[0] >= threshold ? ClassLabel.Violent : ClassLabel.Nonviolent;
        }

        int largest = 0;
        for (int label = 1; label < answer.Length; label++)
        {
            largest = answer[label] >= answer[largest] ? label : largest;
        }

        return largest;
    }

    /// <summary>What every clip is called.</summary>
    public static int[] Called(ReadOnlySpan<double> scores, ClassList classes, double threshold)
    {
        int[] called = new int[scores.Length / classes.Scores];
        for (int clip = 0; clip < called.Length; clip++)
        {
            called[clip] = Called(Of(scores, clip, classes), threshold);
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
