using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>The splits of a folder of features: train and val, and test if it is there.</summary>
public sealed class FeatureSplits : IDisposable
{
    private FeatureSplits(IReadOnlyList<FeatureSet> all)
    {
        All = all;
    }

    public FeatureSet Train => this[DatasetSplit.Train]!;

    public FeatureSet Validation => this[DatasetSplit.Validation]!;

    public FeatureSet? Test => this[DatasetSplit.Test];

    /// <summary>The splits that exist, in order.</summary>
    public IReadOnlyList<FeatureSet> All { get; }

    /// <summary>Whether there are train and val, as where clips were divided; only <see cref="OpenAny"/> opens others.</summary>
    public bool IsDivided => this[DatasetSplit.Train] is not null && this[DatasetSplit.Validation] is not null;

    private FeatureSet? this[DatasetSplit split] => All.FirstOrDefault(set => set.Split == split);

    /// <summary>Opens every split and checks that they agree and have every class.</summary>
    /// <exception cref="FileFormatException">A file is unusable, or a split differs from train in frames or features.</exception>
    /// <exception cref="CacheException">Features of train or val are missing.</exception>
    public static FeatureSplits Open(string directory) => OpenThose(directory, isForAny: false);

    /// <summary>Opens whatever splits there are, whether they have every class or not: for measuring all clips together.</summary>
    /// <exception cref="FileFormatException">A file is unusable, or a split differs from the first in frames or features.</exception>
    /// <exception cref="CacheException">There are none.</exception>
    public static FeatureSplits OpenAny(string directory) => OpenThose(directory, isForAny: true);

    private static FeatureSplits OpenThose(string directory, bool isForAny)
    {
        var opened = new List<FeatureSet>();
        try
        {
            bool hasAny = DatasetSplits.All.Any(split => FeatureSet.Exists(directory, split));
            foreach (DatasetSplit split in DatasetSplits.All)
            {
                if ((split != DatasetSplit.Test && !(isForAny && hasAny)) || FeatureSet.Exists(directory, split))
                {
                    opened.Add(FeatureSet.Open(directory, split));
                    Check(opened[0], opened[^1], needsEveryClass: !isForAny);
                }
            }

            return new FeatureSplits(opened);
        }
        catch
        {
            opened.ForEach(set => set.Dispose());
            throw;
        }
    }

    /// <summary>
    /// As <see cref="Open"/>, for features that another program made: also looks through every number, which reads the files to their end.
    /// </summary>
    /// <exception cref="FileFormatException">A number is not finite; the message says where.</exception>
    public static FeatureSplits OpenFinite(string directory, CancellationToken cancellation = default) =>
        Finite(Open(directory), cancellation);

    /// <summary>As <see cref="OpenAny"/> and <see cref="OpenFinite"/>.</summary>
    public static FeatureSplits OpenAnyFinite(string directory, CancellationToken cancellation = default) =>
        Finite(OpenAny(directory), cancellation);

    private static FeatureSplits Finite(FeatureSplits splits, CancellationToken cancellation)
    {
        try
        {
            foreach (FeatureSet set in splits.All)
            {
                if (set.FindNonFinite(cancellation) is { } found)
                {
                    throw new FileFormatException(
                        set.Path,
                        $"feature {found.Element} of frame {found.Frame} of {set.Names[found.Row]} is {found.Value}, expected finite " +
                            $"numbers",
                        "Compute that clip's features again, or leave the clip out.");
                }
            }

            return splits;
        }
        catch
        {
            splits.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (FeatureSet set in All)
        {
            set.Dispose();
        }
    }

    private static void Check(FeatureSet train, FeatureSet set, bool needsEveryClass)
    {
        if (set.Frames != train.Frames || set.Dimension != train.Dimension || set.ElementType != train.ElementType)
        {
            throw new FileFormatException(
                set.Path,
                $"expected [N, {train.Frames}, {train.Dimension}] of {train.ElementType} as in '{train.Path}', "
                + $"found [{set.Count}, {set.Frames}, {set.Dimension}] of {set.ElementType}",
                "All splits must come from the same extraction.");
        }

        if (!set.ClassList.Equals(train.ClassList))
        {
            throw new FileFormatException(
                set.Path, $"expected the classes {train.ClassList} as in '{train.Path}', found {set.ClassList}",
                "All splits must come from the same extraction.");
        }

        if (needsEveryClass && set.ClassList.Missing(set.Classes) is { Count: > 0 } missing)
        {
            throw new FileFormatException(
                new SplitFiles(Path.GetDirectoryName(set.Path)!, set.Split).Labels,
                $"the split has {set.ClassList.Describe(set.Classes)} clips, expected {set.ClassList.All}",
                set.ClassList.IsViolence
                    ? "Add clips of the missing class to this split."
                    : $"Add clips of {string.Join(", ", missing)} to this split, or leave these classes out.");
        }
    }
}
