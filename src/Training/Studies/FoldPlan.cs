using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Studies;

/// <summary>
/// One division of all clips: to train on, to choose epoch, threshold and calibration on, and to be judged on once. Rows in rising order.
/// </summary>
internal sealed record Fold(int Number, int[] Train, int[] Validation, int[] Test)
{
    /// <summary>The data set that the test part is, where folds are data sets.</summary>
    public string? Dataset { get; init; }
}

/// <summary>
/// Stratified, source-disjoint k-fold cross-validation: every clip is in the test part of exactly one fold, all clips of a source are in
/// the same part, and each part has both classes in proportions as near to the whole's as the sources allow. The validation part is taken
/// from the training part the same way.
/// </summary>
internal static class FoldPlan
{
    /// <param name="labels">0 or 1 for each clip.</param>
    /// <param name="sources">What each clip was cut from.</param>
    /// <param name="folds">2 or more.</param>
    /// <param name="validationShare">Of the clips that are not in the test part, more than 0 and less than 1.</param>
    /// <param name="seed">Equal seeds give equal folds.</param>
    /// <exception cref="RunException">There are too few sources of each class.</exception>
    public static IReadOnlyList<Fold> Make(ReadOnlySpan<int> labels, IReadOnlyList<string> sources, int folds, double validationShare,
        int seed)
    {
        int[] all = [.. Enumerable.Range(0, labels.Length)];
        double[] equal = [.. Enumerable.Repeat(1.0 / folds, folds)];
        int[] partOf = Assign(labels, sources, all, equal, seed, $"{folds} folds");
        var result = new Fold[folds];
        for (int number = 0; number < folds; number++)
        {
            int[] rest = [.. all.Where(clip => partOf[clip] != number)];
            int[] validation = Assign(labels, sources, rest, [1 - validationShare, validationShare], seed,
                $"training and validation parts of fold {number + 1}");
            result[number] = new Fold(number, [.. rest.Where((_, i) => validation[i] == 0)], [.. rest.Where((_, i) => validation[i] == 1)],
                [.. all.Where(clip => partOf[clip] == number)]);
        }

        return result;
    }

    /// <summary>
    /// A fold for each data set: it is the test part, and models are trained on the others. Clips of the others that belong to a group
    /// which has clips in the test part are in no part of the fold.
    /// </summary>
    /// <param name="labels">From 0 on for each clip.</param>
    /// <param name="groups">What stays together.</param>
    /// <param name="datasets">Of each clip.</param>
    /// <param name="validationShare">Of the clips that are not in the test part, more than 0 and less than 1.</param>
    /// <param name="seed">Equal seeds give equal folds.</param>
    /// <exception cref="RunException">There is one data set alone, or too few sources in the others.</exception>
    public static IReadOnlyList<Fold> ByDataset(ReadOnlySpan<int> labels, IReadOnlyList<string> groups, IReadOnlyList<string> datasets,
        double validationShare, int seed)
    {
        string[] names = [.. datasets.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (names.Length < 2)
        {
            throw new RunException(
                $"{SettingName.Of(nameof(StudyOptions.LeaveOneDatasetOut))} trains on all data sets but one, and there is only one.",
                $"Give {SettingName.Of(nameof(TrainingOptions.DatasetPath))} for each data set.");
        }

        var result = new Fold[names.Length];
        for (int number = 0; number < names.Length; number++)
        {
            int[] test = [.. Enumerable.Range(0, datasets.Count).Where(clip => datasets[clip] == names[number])];
            HashSet<string> held = [.. test.Select(clip => groups[clip])];
            int[] rest = [.. Enumerable.Range(0, datasets.Count).Where(clip => !held.Contains(groups[clip]))];
            int[] validation = Assign(labels, groups, rest, [1 - validationShare, validationShare], seed,
                $"training and validation parts without '{names[number]}'");
            result[number] = new Fold(number, [.. rest.Where((_, i) => validation[i] == 0)], [.. rest.Where((_, i) => validation[i] == 1)],
                test)
            {
                Dataset = names[number],
            };
        }

        return result;
    }

    /// <returns>The part of each of <paramref name="clips"/>.</returns>
    private static int[] Assign(ReadOnlySpan<int> labels, IReadOnlyList<string> sources, int[] clips, double[] shares, int seed,
        string what)
    {
        int most = SourceFolds.Most(labels, sources, clips);
        return most >= shares.Length
            ? SourceFolds.Assign(labels, sources, clips, shares, seed)
            : throw new RunException(
                $"The clips come from {clips.Select(clip => sources[clip]).Distinct(StringComparer.Ordinal).Count()} sources, which is " +
                    $"too few for {what}: at most {most} parts can have both classes without sharing a source.",
                $"Use fewer {SettingName.Of(nameof(StudyOptions.Folds))}, or add clips of other sources.");
    }
}
