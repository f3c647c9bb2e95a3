using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Which clips of a dataset have no features, and whether what is left can be trained on.</summary>
internal sealed class LossReport
{
    private const int ShownFailures = 10;
    private const int FewFailures = 3;
    private const double UnevenRatio = 2;
    private const double UnevenDifference = 0.05;

    private readonly IReadOnlyDictionary<DatasetSplit, IReadOnlyList<ResolvedClip>> _splits;
    private readonly ClassList _classes;
    private readonly bool _needsEveryClass;

    /// <param name="needsEveryClass">Whether a split without clips of a class is an error.</param>
    public LossReport(IReadOnlyDictionary<DatasetSplit, IReadOnlyList<ResolvedClip>> splits, ClassList classes, bool needsEveryClass = true)
    {
        (_splits, _classes, _needsEveryClass) = (splits, classes, needsEveryClass);
        Failed = [.. splits.OrderBy(split => split.Key).SelectMany(split =>
            split.Value.Where(clip => clip.Failure is not null).Select(clip => new FailedClip(clip.Clip, split.Key, clip.Failure!)))];
    }

    public IReadOnlyList<FailedClip> Failed { get; }

    /// <summary>The splits as they are stored; set by <see cref="Check"/>.</summary>
    public IReadOnlyList<CachedSplit> Splits { get; private set; } = [];

    public IReadOnlyList<string> Warnings { get; private set; } = [];

    /// <exception cref="CacheException">The policy does not allow these losses, or clips were not extracted at all.</exception>
    public void Check(CorruptPolicy policy, double maxCorrupt)
    {
        if (policy == CorruptPolicy.Fail && Failed.Count > 0)
        {
            throw new CacheException(
                $"The video {Failed[0]} cannot be used. Repair or remove it, or leave such videos out with " +
                    $"{SettingName.Of("OnCorrupt")} skip.");
        }

        var clips = _splits.Values.SelectMany(split => split).ToList();
        var missing = clips.Where(clip => clip is { Row: null, Failure: null }).Select(clip => clip.Clip.RelativePath).ToList();
        if (missing.Count > 0)
        {
            throw new CacheException(
                $"{missing.Count} of {clips.Count} videos have not been extracted (the first is '{missing[0]}'). Run the same command " +
                    $"again to continue.");
        }

        if (Failed.Count > maxCorrupt * clips.Count)
        {
            throw TooMany(maxCorrupt, clips.Count);
        }

        Splits = [.. _splits.Where(split => split.Value.Count > 0).OrderBy(split => split.Key)
            .Select(split => Summarise(split.Key, split.Value, policy))];
        foreach (CachedSplit split in _needsEveryClass ? Splits : [])
        {
            CheckClasses(split, policy);
        }

        Warnings = UnevenLoss() is { } warning ? [warning] : [];
    }

    private static CachedSplit Summarise(DatasetSplit split, IReadOnlyList<ResolvedClip> clips, CorruptPolicy policy)
    {
        var failed = ClassCounts.Of(clips.Where(clip => clip.Failure is not null).Select(clip => clip.Clip.Label));
        var all = ClassCounts.Of(clips.Select(clip => clip.Clip.Label));
        return new CachedSplit(split, policy == CorruptPolicy.Zeros ? all : all - failed, failed);
    }

    private void CheckClasses(CachedSplit split, CorruptPolicy policy)
    {
        if (_classes.Missing(split.Rows).Count == 0)
        {
            return;
        }

        string losses = policy == CorruptPolicy.Skip && split.Failed.Total > 0
            ? $" after leaving out {split.Failed.Total} that cannot be decoded ({_classes.Describe(split.Failed)})"
            : "";
        throw new CacheException(
            $"The split '{split.Split.Name()}' has {_classes.Describe(split.Rows)} clips{losses}; it needs clips of {_classes.All}. " +
                $"Repair or add videos, or divide them otherwise ({SettingName.Of("Split")}).");
    }

    private CacheException TooMany(double maxCorrupt, int clips)
    {
        string rest = Failed.Count > ShownFailures ? $"{Environment.NewLine}  and {Failed.Count - ShownFailures} more" : "";
        string lines = string.Concat(Failed.Take(ShownFailures).Select(failed => $"{Environment.NewLine}  {failed}"));
        string limit = maxCorrupt.ToString("0.###", CultureInfo.InvariantCulture);
        return new CacheException(
            $"{Failed.Count} of {clips} videos cannot be used, more than the share of {limit} that {SettingName.Of("MaxCorrupt")} allows. "
            + $"Repair or remove them, or raise {SettingName.Of("MaxCorrupt")}.{lines}{rest}");
    }

    private string? UnevenLoss()
    {
        if (Failed.Count < FewFailures)
        {
            return null;
        }

        var all = ClassCounts.Of(_splits.Values.SelectMany(split => split).Select(clip => clip.Clip.Label));
        var failed = ClassCounts.Of(Failed.Select(clip => clip.Clip.Label));
        var shares = Enumerable.Range(0, _classes.Count).Where(label => all[label] > 0)
            .Select(label => (Label: label, Share: (double)failed[label] / all[label])).ToList();
        (int fewest, double low) = shares.MinBy(share => share.Share);
        (int most, double high) = shares.MaxBy(share => share.Share);
        (int first, int second) = _classes.IsViolence ? (ClassLabel.Nonviolent, ClassLabel.Violent) : (fewest, most);
        return high - low < UnevenDifference || high < UnevenRatio * low
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"Videos that cannot be used are spread unevenly: {failed[first]} of {all[first]} {_classes[first]} and " +
                    $"{failed[second]} of {all[second]} {_classes[second]} ones. The model may learn what made them fail.");
    }
}
