using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Scanning;

/// <summary>Something that would limit a model, or spoil what is measured of it.</summary>
/// <param name="Severity">An error is in the way of training or makes its results wrong; a warning may be accepted knowingly.</param>
/// <param name="Kind">For programs, such as <c>few_clips</c>.</param>
/// <param name="Text">What was found, with the number, and what to do about it.</param>
public sealed record Finding(Severity Severity, string Kind, string Text);

/// <summary>What can be said of a data set before anything is learnt from it.</summary>
/// <param name="Findings">By weight: errors first, then what tells the classes apart without their content, then the rest.</param>
/// <param name="GiveAways">Everything that files say of clips and how well it tells the classes apart, found or not; empty where there is
/// nothing to compare.</param>
public sealed record DatasetAssessment(IReadOnlyList<Finding> Findings, IReadOnlyList<GiveAway> GiveAways)
{
    private const int FewestClips = 2, EnoughClips = 20, EnoughSources = 10, ExamplesShown = 3;

    private const double LargeSource = 0.3, RareClass = 0.2, ManyBroken = 0.05, OtherLength = 2, NotableGain = 0.02;

    /// <summary>Looks at files that were scanned.</summary>
    /// <param name="files">All of a data set.</param>
    /// <param name="stop">Looked at while labels are permuted.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static DatasetAssessment Of(IReadOnlyList<ScannedFile> files, CancellationToken stop = default)
    {
        ScannedFile[] inClasses = [.. files.Where(file => file.Class is not null)];
        ScannedFile[] clips = [.. inClasses.Where(file => file.IsUsable)];
        if (clips.Length == 0)
        {
            return new([Error("no_clips",
                $"None of the {Number(files.Count, "video")} can be used for training: put clips " +
                $"into folders named {ClassLabel.Name(ClassLabel.Violent)} and {ClassLabel.Name(ClassLabel.Nonviolent)}.")], []);
        }

        ClassList classes = ClassList.Named(inClasses.Select(file => file.Class!)) ?? ClassList.Violence;
        int[] labels = [.. clips.Select(clip => LabelOf(clip, classes))];
        ScannedFile[][] byClass = [.. Enumerable.Range(0, classes.Count)
            .Select(label => clips.Where((_, i) => labels[i] == label).ToArray())];
        bool everyClass = byClass.All(own => own.Length > 0);
        IReadOnlyList<Metadatum> metadata = Metadatum.Of(clips);
        IReadOnlyList<GiveAway> giveAways = everyClass
            ? GiveAwaySearch.Run(metadata, labels, classes, Groups(clips, labels), stop)
            : [];
        Finding[] told = [.. GiveAwayFindings(giveAways, metadata, labels, classes)];
        List<Finding> findings = [.. told, .. ClipCounts(byClass, classes), .. Contents(clips)];
        if (everyClass)
        {
            findings.AddRange(Sources(clips, byClass, classes));
            findings.AddRange(Balance(byClass, classes));
            if (!told.Any(finding => finding.Kind == KindOf(MetadatumFamily.Length)))
            {
                findings.AddRange(Lengths(byClass, classes));
            }
        }

        int broken = inClasses.Length - clips.Length;
        if (broken > ManyBroken * inClasses.Length)
        {
            findings.Add(Warning("broken_files",
                $"{Share(broken, inClasses.Length)} of the files ({broken} of " +
                $"{inClasses.Length}) do not decode to their end and would be left out: replace them."));
        }

        return new([.. findings.OrderByDescending(finding => finding.Severity)], giveAways);
    }

    private static int LabelOf(ScannedFile clip, ClassList classes) =>
        classes.TryParse(clip.Class!, out int label) ? label : throw new ArgumentException($"'{clip.Class}' is no class.", nameof(clip));

    private static string KindOf(MetadatumFamily family) => $"give_away_{family.ToString().ToLowerInvariant()}";

    /// <summary>Clips of one source or of one content belong together, as where data sets are divided.</summary>
    private static int[] Groups(ScannedFile[] clips, int[] labels) => ClipGroups.Find(
        [.. clips.Select((clip, i) => new Clip(clip.Path, clip.Path, labels[i], SourceOf(clip), Content(clip)) { Bytes = 1 })], out _);

    private static string Content(ScannedFile clip) => clip.DuplicateOf ?? clip.Path;

    private static IEnumerable<Finding> ClipCounts(ScannedFile[][] byClass, ClassList classes)
    {
        for (int label = classes.Count - 1; label >= 0; label--)
        {
            int count = byClass[label].Length;
            if (count < EnoughClips)
            {
                string name = classes[label];
                yield return count < FewestClips
                    ? Error("few_clips",
                        $"Only {Number(count, "clip")} of the class {name} can be used, and nothing can be " +
                        $"learnt and measured on that: add {name} clips.")
                    : Warning("few_clips",
                        $"Only {Number(count, "clip")} of the class {name} can be used, so that results " +
                        $"will be chance to a large part: add {name} clips, a few hundred if you can.");
            }
        }
    }

    private static IEnumerable<Finding> Contents(ScannedFile[] clips)
    {
        IGrouping<string, ScannedFile>[] contents = [.. clips.GroupBy(Content, StringComparer.Ordinal)];
        if (contents.Length == 1 && clips.Length > 1)
        {
            yield return Error("all_alike",
                $"All {clips.Length} clips are copies of one video: nothing can be learnt from " +
                "it, use different ones.");
            yield break;
        }

        string?[] byName = [.. clips.Select(clip => clip.Class).Distinct()];
        IGrouping<string, ScannedFile>[] contradictions = [.. contents.Where(copies => !OfOneClass(copies))];
        if (contradictions.Length > 0)
        {
            yield return Error("copies_across_classes",
                $"{Number(contradictions.Length, "video")} {(contradictions.Length == 1 ? "lies" : "lie")} in " +
                    $"{(byName.Length > 2 ? "several" : "both")} classes " +
                    $"({Examples(contradictions.Select(Paths))}): " +
                    "delete the copies in the wrong one.");
        }

        ScannedFile[] repeated = [.. contents.Except(contradictions).SelectMany(copies => copies.Skip(1))];
        if (repeated.Length > 0)
        {
            yield return Warning("copies",
                $"{Share(repeated.Length, clips.Length)} of the clips ({repeated.Length} of " +
                $"{clips.Length}) are copies of others and count more than once ({Examples(repeated.Select(clip => clip.Path))}): " +
                "delete them.");
        }
    }

    private static string Paths(IEnumerable<ScannedFile> copies) =>
        string.Join(" = ", copies.Take(ExamplesShown).Select(clip => clip.Path));

    private static IEnumerable<Finding> Sources(ScannedFile[] clips, ScannedFile[][] byClass, ClassList classes)
    {
        if (clips.All(clip => clip.Source is null))
        {
            yield return Warning("sources_unknown",
                $"Nothing says which of the {clips.Length} clips come from one " +
                "recording, and if some do, results will be too good: list their sources in " +
                    $"{SourceTable.DefaultName} (columns path,class,source).");
            yield break;
        }

        IGrouping<string, ScannedFile>[] sources = [.. clips.GroupBy(SourceOf, StringComparer.Ordinal)];
        if (sources.Length == 1)
        {
            yield return Error("one_source",
                $"All {clips.Length} clips come from one source ({sources[0].Key}), so that " +
                "nothing can be held out and nobody knows how a model does elsewhere: add clips of other recordings.");
            yield break;
        }

        for (int label = classes.Count - 1; label >= 0; label--)
        {
            string name = classes[label];
            ScannedFile[] own = byClass[label];
            IGrouping<string, ScannedFile>[] ownSources = [.. own.GroupBy(SourceOf, StringComparer.Ordinal)];
            if (ownSources.Length < EnoughSources && own.Length >= EnoughSources)
            {
                yield return Warning("few_sources",
                    $"The {own.Length} {name} clips come from only " +
                    $"{Number(ownSources.Length, "source")}, which a model may learn by heart: add {name} clips of other recordings, at " +
                        $"least {EnoughSources}.");
            }

            IGrouping<string, ScannedFile> largest = ownSources.MaxBy(source => source.Count())!;
            if (ownSources.Length > 1 && largest.Count() > LargeSource * own.Length && largest.Count() > 1)
            {
                yield return Warning("large_source",
                    $"{Share(largest.Count(), own.Length)} of the {name} clips " +
                    $"({largest.Count()} of {own.Length}) come from one source ({largest.Key}), which a model may take for the class: " +
                        "add clips of other recordings, or leave some of these out.");
            }
        }

        // Where each clip has a source of its own, no source can have both classes.
        int together = sources.Where(source => source.Count() > 1).Sum(source => source.Count());
        if (2 * together >= clips.Length && sources.All(OfOneClass))
        {
            yield return Warning("sources_of_one_class",
                $"Each of the {sources.Length} sources has clips of one class only, " +
                "so that a model may tell recordings apart rather than what happens in them: take clips of both classes from the same " +
                    "recordings.");
        }
    }

    private static bool OfOneClass(IEnumerable<ScannedFile> clips) => clips.Select(clip => clip.Class).Distinct().Count() == 1;

    private static string SourceOf(ScannedFile clip) => clip.Source ?? clip.Path;

    private static IEnumerable<Finding> Balance(ScannedFile[][] byClass, ClassList classes)
    {
        int all = byClass.Sum(own => own.Length), rare = byClass.Min(own => own.Length);
        if (rare < RareClass * 2 / classes.Count * all)
        {
            string name = classes[Array.FindLastIndex(byClass, own => own.Length == rare)];
            yield return Warning("unequal_classes",
                $"Only {Share(rare, all)} of the clips are {name} ({rare} of {all}), so " +
                $"that accuracy says little: add {name} clips, and choose and judge by balanced accuracy.");
        }
    }

    private static IEnumerable<Finding> Lengths(ScannedFile[][] byClass, ClassList classes)
    {
        double[] medians = [.. byClass.Select(own => Median([.. own.Where(clip => clip.Seconds > 0).Select(clip => clip.Seconds)]))];
        if (medians.Max() >= OtherLength * medians.Min() && medians.Min() > 0)
        {
            (int longest, int shortest) = (Array.IndexOf(medians, medians.Max()), Array.IndexOf(medians, medians.Min()));
            string found = classes.IsViolence
                ? string.Create(CultureInfo.InvariantCulture,
                    $"Violent clips last {medians[ClassLabel.Violent]:0.0} s, nonviolent {medians[ClassLabel.Nonviolent]:0.0} s")
                : string.Create(CultureInfo.InvariantCulture,
                    $"Clips of {classes[longest]} last {medians[longest]:0.0} s, of {classes[shortest]} {medians[shortest]:0.0} s");
            yield return Warning("unequal_lengths",
                $"{found} (medians), so that the frames which are sampled lie further apart in one class: cut all clips to one length.");
        }
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values.Length == 0 ? 0 : (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }

    /// <summary>
    /// One sentence for each family, named by its strongest member, and one for the vote where it is better than all. Of more than two
    /// classes the strongest names the class that it tells best, and the others with it.
    /// </summary>
    private static IEnumerable<Finding> GiveAwayFindings(
        IReadOnlyList<GiveAway> giveAways, IReadOnlyList<Metadatum> metadata, int[] labels, ClassList classes)
    {
        var byName = metadata.ToDictionary(metadatum => metadatum.Name);
        GiveAway[] found = [.. giveAways.Where(giveAway => giveAway.Found)];
        GiveAway[] single = [.. found.Where(giveAway => giveAway.Metadatum != GiveAwaySearch.Together)];
        GiveAway? vote = found.FirstOrDefault(giveAway => giveAway.Metadatum == GiveAwaySearch.Together);
        if (vote is not null && (single.Length == 0 || vote.BalancedAccuracy >= single[0].BalancedAccuracy + NotableGain))
        {
            yield return Warning("give_away_together",
                $"Size, length, frame rate, bit rate and format of the files together " +
                $"tell {TellApart(vote)}: a model may learn that instead of what happens. Re-encode all clips alike, or add clips that " +
                    "break the link.");
        }

        foreach (IGrouping<MetadatumFamily, GiveAway> family in single.GroupBy(giveAway => byName[giveAway.Metadatum].Family))
        {
            GiveAway best = family.First();
            Metadatum metadatum = byName[best.Metadatum];
            string remedy = family.Key switch
            {
                MetadatumFamily.Picture => "Bring all clips to one size",
                MetadatumFamily.Length => "Cut all clips to one length",
                MetadatumFamily.Rate => "Re-encode all clips at one frame rate",
                MetadatumFamily.Data => "Motion costs bits, too, so that some of it may be content; re-encode all clips alike",
                _ => "Re-encode all clips alike",
            };
            string[] of = [.. family.Where(other => other.Metadatum == best.Metadatum).Skip(1)
                .Select(other => $"{other.Class} ({Percent(other.BalancedAccuracy)})")];
            string others = string.Join(" and ", family.Where(other => other.Metadatum != best.Metadatum)
                .DistinctBy(other => other.Metadatum)
                .Select(other => $"the {byName[other.Metadatum].Phrase} ({Percent(other.BalancedAccuracy)})"));
            yield return Warning(KindOf(family.Key),
                $"The {metadatum.Phrase} alone tells {TellApart(best)} " +
                $"({Rule(metadatum, labels, classes, best.Label)}): a model may learn that instead of what happens. {remedy}, or add " +
                    "clips that break the link." + (of.Length > 0 ? $" It also tells {string.Join(", ", of)} from the rest." : string.Empty) +
                    (others.Length > 0 ? $" So does {others}." : string.Empty));
        }
    }

    private static string TellApart(GiveAway giveAway) => giveAway.Class is { } name
        ? $"{name} from the other classes in {Percent(giveAway.BalancedAccuracy)} of clips held out, both sides counting alike"
        : $"the classes apart in {Percent(giveAway.BalancedAccuracy)} of clips held out";

    /// <summary>What all clips say of the link.</summary>
    /// <param name="positive">The class that is told from the others.</param>
    private static string Rule(Metadatum metadatum, int[] allLabels, ClassList classes, int positive)
    {
        int[] labels = ClassScores.Against(allLabels, positive), counts = new int[ClassLabel.Count * metadatum.Levels];
        for (int clip = 0; clip < labels.Length; clip++)
        {
            counts[(ClassLabel.Count * metadatum.LevelOf[clip]) + labels[clip]]++;
        }

        sbyte[] calls = new sbyte[metadatum.Levels];
        metadatum.Learn(counts, calls);
        return $"{Side(1, classes[positive])}; {Side(0, classes.Count == 2 ? classes[0] : "others")}";

        string Side(int label, string name) => $"{name}: {metadatum.Values(calls, label)} in " +
            $"{Enumerable.Range(0, labels.Length).Count(clip => labels[clip] == label && calls[metadatum.LevelOf[clip]] == label)} of " +
                $"{labels.Count(own => own == label)}";
    }

    private static Finding Error(string kind, string text) => new(Severity.Error, kind, text);

    private static Finding Warning(string kind, string text) => new(Severity.Warning, kind, text);

    private static string Number(int count, string what) => $"{count} {what}{(count == 1 ? string.Empty : "s")}";

    private static string Share(int part, int whole) => Percent((double)part / whole);

    private static string Percent(double share) => (100 * share).ToString("0", CultureInfo.InvariantCulture) + " %";

    private static string Examples(IEnumerable<string> items)
    {
        string[] all = [.. items];
        string rest = all.Length > ExamplesShown ? $"; and {all.Length - ExamplesShown} more" : string.Empty;
        return string.Join("; ", all.Take(ExamplesShown)) + rest;
    }
}
