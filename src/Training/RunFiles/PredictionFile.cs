using System.Globalization;
using System.Text;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What the best checkpoint says about one clip.</summary>
/// <param name="Path">Below the dataset's folder, or what stands for it.</param>
/// <param name="Label">From 0 on.</param>
/// <param name="Violent">p(violent); of other classes than the known pair NaN.</param>
/// <param name="Loss">As training computes it, class weight included.</param>
/// <param name="Attention">Weight of each frame; empty for models without attention.</param>
internal sealed record ClipPrediction(string Path, int Label, double Violent, double Loss, double[] Attention)
{
    /// <summary>Of each class; null for the known pair.</summary>
    public double[]? Probabilities { get; init; }

    /// <summary>What the model gives the clip's true class.</summary>
    public double TrueProbability => Probabilities is { } each ? each[Label] : Label == ClassLabel.Violent ? Violent : 1 - Violent;

    /// <summary>What the model says: p(violent), or the probability of each class.</summary>
    public ReadOnlySpan<double> Answer => Probabilities ?? [Violent];

    public int CalledAt(double threshold) => ClassScores.Called(Answer, threshold);

    public bool IsRightAt(double threshold) => CalledAt(threshold) == Label;

    /// <summary>The same with one class as 1 and all others as 0.</summary>
    public ClipPrediction Against(int label) => Probabilities is { } each
        ? this with { Label = Label == label ? 1 : 0, Violent = each[label], Probabilities = null }
        : this;
}

/// <summary>
/// predictions_{split}.csv: path,label,p_violent,loss and, for a model with attention, attention_1 … attention_T. Of other classes than the
/// known pair a column probability_CLASS for each stands where p_violent does.
/// </summary>
internal static class PredictionFile
{
    private const string Header = "path,label,p_violent,loss";
    private const string ProbabilityPrefix = "probability_";
    private const string Remedy = "Train again, or remove the file.";
    private const int Path = 0, Label = 1, FirstScore = 2;

    public static string NameOf(string split) => $"predictions_{split}.csv";

    /// <summary>The file of an evaluation.</summary>
    public static string Text(Evaluation evaluation, IFeatureRows rows)
    {
        int frames = evaluation.Attention.Length / rows.Count;
        ClassList classes = evaluation.Classes;
        var text = new StringBuilder(classes.IsViolence
            ? Header
            : $"path,label,{string.Join(',', classes.Names.Select(name => CsvFile.Quote(ProbabilityPrefix + name)))},loss");
        for (int frame = 1; frame <= frames; frame++)
        {
            text.Append(CultureInfo.InvariantCulture, $",attention_{frame}");
        }

        text.Append('\n');
        for (int i = 0; i < rows.Count; i++)
        {
            text.Append(CsvFile.Quote(rows.NameOf(i))).Append(',').Append(CsvFile.Quote(classes[evaluation.Labels[i]]));
            foreach (double score in ClassScores.Of(evaluation.Scores, i, classes))
            {
                text.Append(CultureInfo.InvariantCulture, $",{(float)score:R}");
            }

            text.Append(CultureInfo.InvariantCulture, $",{evaluation.Losses[i]:R}");
            foreach (float weight in evaluation.Attention.AsSpan(i * frames, frames))
            {
                text.Append(CultureInfo.InvariantCulture, $",{weight:R}");
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    /// <exception cref="FileFormatException">It is no such file.</exception>
    public static IReadOnlyList<ClipPrediction> Read(string path) => Read(path, out _);

    /// <param name="classes">What its columns are of.</param>
    /// <exception cref="FileFormatException">It is no such file.</exception>
    public static IReadOnlyList<ClipPrediction> Read(string path, out ClassList classes)
    {
        IReadOnlyList<CsvRecord> records = CsvFile.Read(path);
        string[] names = [.. records.Take(1).SelectMany(header => header.Fields).Skip(FirstScore)
            .TakeWhile(column => column.StartsWith(ProbabilityPrefix, StringComparison.Ordinal))
            .Select(column => column[ProbabilityPrefix.Length..])];
        ClassList found = names.Length == 0 ? ClassList.Violence
            : ClassList.Problem(names) is { } problem ? throw new FileFormatException(path, $"it is of {problem}", Remedy)
            : ClassList.Of(names);
        classes = found;
        return [.. records.Skip(1).Select(record => Parse(path, record, found))];
    }

    private static ClipPrediction Parse(string path, CsvRecord record, ClassList classes)
    {
        IReadOnlyList<string> fields = record.Fields;
        int loss = FirstScore + classes.Scores;
        if (fields.Count <= loss || !classes.TryParse(fields[Label], out int label))
        {
            string expected = classes.IsViolence ? Header : $"a label and a probability of {classes}";
            throw new FileFormatException(path, $"line {record.Line}: expected {expected}", Remedy);
        }

        double[] scores = [.. fields.Skip(FirstScore).Take(classes.Scores).Select(Number)];
        return Array.FindIndex(scores, score => score is < 0 or > 1) is >= 0 and int bad
            ? throw new FileFormatException(path, $"line {record.Line}: {fields[FirstScore + bad]} is no probability", Remedy)
            : new ClipPrediction(fields[Path], label, classes.IsViolence ? scores[0] : double.NaN, Number(fields[loss]),
                [.. fields.Skip(loss + 1).Select(Number)])
            {
                Probabilities = classes.IsViolence ? null : scores,
            };

        // Scores are single precision; reading them as such gives exactly the number that the metrics were computed from.
        double Number(string field) => float.TryParse(field, CultureInfo.InvariantCulture, out float value)
            ? value
            : throw new FileFormatException(path, $"line {record.Line}: \"{field}\" is not a number", Remedy);
    }
}
