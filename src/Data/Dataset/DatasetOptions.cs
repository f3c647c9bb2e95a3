using System.Globalization;

namespace CudaTrainer.Data.Dataset;

/// <summary>How <see cref="DatasetScanner"/> divides and remembers.</summary>
public sealed record DatasetOptions
{
    /// <summary>Shares of an automatic split.</summary>
    public SplitFractions Split { get; init; } = SplitFractions.Default;

    /// <summary>
    /// CSV file with the columns path, class, source; null to use <c>sources.csv</c> in the dataset's folder if there is one.
    /// </summary>
    public string? GroupsFile { get; init; }

    /// <summary>Which folders are which class; null where each folder's name says it.</summary>
    public ClassMerge? Classes { get; init; }

    /// <summary>CSV file with the columns path and class that says what clips show, wherever they lie; null where folders say it.</summary>
    public string? LabelsFile { get; init; }

    /// <summary>
    /// The classes of a model that all clips together are to be measured with: clips of some of them are enough, and where they cannot be
    /// divided they stay in one split, train (<see cref="VideoDataset.IsDivided"/>). Null where every split needs every class.
    /// </summary>
    public ClassList? Known { get; init; }

    /// <summary>Decides an automatic split; equal seeds on equal folders give equal splits.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>
    /// Folder (created if needed) where content hashes are remembered, so that unchanged files are not read again; null to read every file.
    /// </summary>
    public string? IndexDirectory { get; init; }

    /// <summary>Files hashed at the same time.</summary>
    public int HashThreads { get; init; } = 2;

    /// <summary>Called as files are hashed with (files done, files to hash), from any thread, one call at a time.</summary>
    public Action<int, int>? HashProgress { get; init; }
}

/// <summary>Shares of the clips that go to each split; they add up to one.</summary>
/// <param name="Train">Positive.</param>
/// <param name="Validation">Positive.</param>
/// <param name="Test">Zero or more; zero means no test split.</param>
public readonly record struct SplitFractions(double Train, double Validation, double Test)
{
    private const double SumTolerance = 1e-6;

    public static SplitFractions Default { get; } = new(0.7, 0.15, 0.15);

    /// <summary>Parses <c>0.7,0.15,0.15</c> or <c>0.8,0.2</c> (no test split).</summary>
    /// <exception cref="FormatException">Not two or three numbers, out of range, or a sum other than one.</exception>
    public static SplitFractions Parse(string text)
    {
        string[] parts = text.Split(',', StringSplitOptions.TrimEntries);
        double[] values = new double[3];
        if (parts.Length is not (2 or 3)
            || !parts.Select((part, i) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out values[i]))
                .All(ok => ok))
        {
            throw new FormatException($"'{text}' is not a split: expected three numbers such as 0.7,0.15,0.15 (train, val, test).");
        }

        var fractions = new SplitFractions(values[0], values[1], values[2]);
        return fractions.Fault() is { } fault ? throw new FormatException($"'{text}' is not a split: {fault}.") : fractions;
    }

    /// <summary>What is wrong with the values; null when nothing is.</summary>
    internal string? Fault() => this switch
    {
        _ when !(Train > 0) || !(Validation > 0) => "train and val must be greater than 0",
        _ when !(Test >= 0) => "test must be 0 or more",
        _ when !(Math.Abs(Train + Validation + Test - 1) <= SumTolerance) =>
            $"the parts must add up to 1, they add up to {(Train + Validation + Test).ToString("0.####", CultureInfo.InvariantCulture)}",
        _ => null,
    };
}
