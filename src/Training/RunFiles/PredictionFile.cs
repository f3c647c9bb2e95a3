using System.Globalization;
using System.Text;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What the best checkpoint says about one clip.</summary>
/// <param name="Path">Below the dataset's folder, or what stands for it.</param>
/// <param name="Label">0 or 1.</param>
/// <param name="Violent">p(violent).</param>
/// <param name="Loss">As training computes it, class weight included.</param>
/// <param name="Attention">Weight of each frame; empty for models without attention.</param>
internal sealed record ClipPrediction(string Path, int Label, double Violent, double Loss, double[] Attention)
{
    /// <summary>What the model gives the clip's true class.</summary>
    public double TrueProbability => Label == ClassLabel.Violent ? Violent : 1 - Violent;

    public bool IsRightAt(double threshold) => (Violent >= threshold) == (Label == ClassLabel.Violent);
}

/// <summary>predictions_{split}.csv: path,label,p_violent,loss and, for a model with attention, attention_1 … attention_T.</summary>
internal static class PredictionFile
{
    private const string Header = "path,label,p_violent,loss";
    private const int Path = 0, Label = 1, Violent = 2, Loss = 3, FirstWeight = 4;

    public static string NameOf(string split) => $"predictions_{split}.csv";

    /// <summary>The file of an evaluation.</summary>
    public static string Text(Evaluation evaluation, IFeatureRows rows)
    {
        int frames = evaluation.Attention.Length / rows.Count;
        var text = new StringBuilder(Header);
        for (int frame = 1; frame <= frames; frame++)
        {
            text.Append(CultureInfo.InvariantCulture, $",attention_{frame}");
        }

        text.Append('\n');
        for (int i = 0; i < rows.Count; i++)
        {
            text.Append(CsvFile.Quote(rows.NameOf(i)))
                .Append(CultureInfo.InvariantCulture,
                    $",{ClassLabel.Name(evaluation.Labels[i])},{(float)evaluation.Scores[i]:R},{evaluation.Losses[i]:R}");
            foreach (float weight in evaluation.Attention.AsSpan(i * frames, frames))
            {
                text.Append(CultureInfo.InvariantCulture, $",{weight:R}");
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    /// <exception cref="FileFormatException">It is no such file.</exception>
    public static IReadOnlyList<ClipPrediction> Read(string path) => [.. CsvFile.Read(path).Skip(1).Select(record => Parse(path, record))];

    private static ClipPrediction Parse(string path, CsvRecord record)
    {
        IReadOnlyList<string> fields = record.Fields;
        if (fields.Count < FirstWeight || !ClassLabel.TryParse(fields[Label], out int label))
        {
            throw new FileFormatException(path, $"line {record.Line}: expected {Header}", "Train again, or remove the file.");
        }

        double violent = Number(fields[Violent]);
        return violent is < 0 or > 1
            ? throw new FileFormatException(path, $"line {record.Line}: {fields[Violent]} is no probability",
                "Train again, or remove the file.")
            : new ClipPrediction(fields[Path], label, violent, Number(fields[Loss]), [.. fields.Skip(FirstWeight).Select(Number)]);

        // Scores are single precision; reading them as such gives exactly the number that the metrics were computed from.
        double Number(string field) => float.TryParse(field, CultureInfo.InvariantCulture, out float value)
            ? value
            : throw new FileFormatException(path, $"line {record.Line}: \"{field}\" is not a number", "Train again, or remove the file.");
    }
}
