using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.RunFiles;

/// <summary>How members' answers become one, from the simplest on.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<EnsembleStrategy>))]
public enum EnsembleStrategy
{
    /// <summary>The mean of the probabilities.</summary>
    Mean,

    /// <summary>Their mean with the fitted weights.</summary>
    Weighted,

    /// <summary>The share of members that call the clip violent, each by its own threshold; of other classes the share for each.</summary>
    Vote,
}

/// <summary>A model of an ensemble.</summary>
/// <param name="File">From the folder of the ensemble's file.</param>
/// <param name="Sha256">Of the file, so that another model under the same name is noticed.</param>
/// <param name="Weight">Fitted on val; the strategy <c>weighted</c> uses it.</param>
/// <param name="Threshold">The member's own.</param>
/// <param name="Val">Of the member alone, at its own threshold.</param>
public sealed record EnsembleMember(string File, string Sha256, double Weight, double Threshold, string Model, int Epoch,
    ClassificationMetrics Val);

/// <summary>
/// Several classifiers that answer together; <c>ensemble.json</c> holds the same. The loss of its metrics is the mean negative log
/// likelihood.
/// </summary>
public sealed record Ensemble
{
    public required IReadOnlyList<EnsembleMember> Members { get; init; }

    public required EnsembleStrategy Strategy { get; init; }

    /// <summary>p(violent) from which a clip is called violent, chosen on val.</summary>
    public required double Threshold { get; init; }

    /// <summary>Each strategy on val, at the threshold chosen there for it.</summary>
    public required IReadOnlyDictionary<string, ClassificationMetrics> Strategies { get; init; }

    public required ClassificationMetrics Val { get; init; }

    /// <summary>The chosen strategy on test; null where there is none.</summary>
    public ClassificationMetrics? Test { get; init; }

    public string EngineVersion { get; init; } = ThisAssembly.Version;

    /// <summary>Whether a path is that of an ensemble rather than of a model.</summary>
    public static bool IsAt(string path) => Path.GetExtension(path).Equals(".json", StringComparison.OrdinalIgnoreCase);

    /// <exception cref="RunException">It is no ensemble.</exception>
    public static Ensemble Read(string path)
    {
        string? why;
        try
        {
            Ensemble? ensemble = StrictJson.Deserialize(TextFile.Decode(path, File.ReadAllBytes(path)), RunJson.Default.Ensemble);
            if (ensemble is { Members.Count: > 0 })
            {
                return ensemble;
            }

            why = "it names no members";
        }
        catch (JsonException exception)
        {
            why = exception.Message;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            why = exception.Message;
        }

        throw new RunException($"'{path}' is not an ensemble: {why}", "Give the file that 'cudatrainer ensemble' wrote.");
    }

    public void Write(string path) => AtomicFile.WriteAllText(path, JsonSerializer.Serialize(this, RunJson.Default.Ensemble) + "\n");

    /// <summary>The SHA-256 of a file in hexadecimal.</summary>
    /// <exception cref="RunException">It cannot be read.</exception>
    internal static string HashOf(string file)
    {
        try
        {
            using FileStream stream = File.OpenRead(file);
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"The member '{file}' cannot be read: {exception.Message}",
                "Name model files, or folders of finished runs.");
        }
    }

    /// <summary>One score for each clip out of those of the members.</summary>
    /// <param name="scores">[members][clips, <see cref="ClassList.Scores"/>].</param>
    /// <param name="weights">[members], for <see cref="EnsembleStrategy.Weighted"/>.</param>
    /// <param name="thresholds">[members], for <see cref="EnsembleStrategy.Vote"/>.</param>
    /// <param name="classes">That the scores are of; the known pair if null.</param>
    internal static double[] Combine(EnsembleStrategy strategy, IReadOnlyList<double[]> scores, IReadOnlyList<double> weights,
        IReadOnlyList<double> thresholds, ClassList? classes = null)
    {
        if (strategy == EnsembleStrategy.Vote && classes is { IsViolence: false })
        {
            scores = [.. scores.Select(member => Votes(member, classes))];
            strategy = EnsembleStrategy.Mean;
        }

        double[] combined = new double[scores[0].Length];
        for (int i = 0; i < combined.Length; i++)
        {
            double sum = 0;
            for (int m = 0; m < scores.Count; m++)
            {
                double score = scores[m][i];
                sum += strategy switch
                {
                    EnsembleStrategy.Weighted => weights[m] * score,
                    EnsembleStrategy.Vote => (score >= thresholds[m] ? 1.0 : 0.0) / scores.Count,
                    _ => score / scores.Count,
                };
            }

            combined[i] = Math.Clamp(sum, 0, 1);
        }

        return combined;
    }

    /// <summary>
    /// As <see cref="Combine(EnsembleStrategy, IReadOnlyList{double[]}, IReadOnlyList{double}, IReadOnlyList{double}, ClassList)"/>, as
    /// this ensemble does it.
    /// </summary>
    internal double[] Combine(IReadOnlyList<double[]> scores, ClassList? classes = null) =>
        Combine(Strategy, scores, [.. Members.Select(member => member.Weight)], [.. Members.Select(member => member.Threshold)], classes);

    /// <summary>1 for the class that each clip is called, 0 for the others.</summary>
    private static double[] Votes(double[] scores, ClassList classes)
    {
        double[] votes = new double[scores.Length];
        int[] called = ClassScores.Called(scores, classes, double.NaN);
        for (int clip = 0; clip < called.Length; clip++)
        {
            votes[(clip * classes.Scores) + called[clip]] = 1;
        }

        return votes;
    }
}
