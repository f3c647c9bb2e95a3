namespace CudaTrainer.Data.Dataset;

/// <summary>Looks for what makes a result look better than it is: the same material in two splits, or under two labels.</summary>
internal static class SplitAudit
{
    private const int ExamplesShown = 5;

    /// <summary>Warnings about a divided dataset.</summary>
    /// <param name="dataset">The dataset.</param>
    /// <param name="hasKnownSource">Whether a clip's source was given, rather than assumed.</param>
    public static IEnumerable<string> Warnings(VideoDataset dataset, Func<Clip, bool> hasKnownSource)
    {
        var clips = dataset.Splits.SelectMany(split => dataset[split].Select(clip => (Clip: clip, Split: split))).ToList();
        var copies = clips.Where(item => item.Clip.HasContent)
            .GroupBy(item => item.Clip.ContentHash, StringComparer.Ordinal).Where(group => group.Count() > 1).ToList();

        var leaked = copies.Where(group => group.Select(item => item.Split).Distinct().Count() > 1).ToList();
        if (leaked.Count > 0)
        {
            yield return $"Leak: {Number(leaked.Count, "video is", "videos are")} in more than one split, so results on val and test will look better than they are: "
                + Examples(leaked.Select(group => string.Join(" = ", group.Select(item => Quoted(item.Clip)))))
                    + ". Keep each video in one split.";
        }

        var sharedSources = clips.Where(item => hasKnownSource(item.Clip))
            .GroupBy(item => item.Clip.Source, StringComparer.Ordinal)
            .Where(group => group.Select(item => item.Split).Distinct().Count() > 1).ToList();
        if (sharedSources.Count > 0)
        {
            yield return $"Leak: {Number(sharedSources.Count, "source has", "sources have")} clips in more than one split, so results on val and test will look better than they are: "
                + Examples(sharedSources.Select(group => $"{group.Key} ({Spread(group.Select(item => item.Split))})"))
                    + ". Keep each source in one split.";
        }

        var contradictory = copies.Where(group => group.Select(item => item.Clip.Label).Distinct().Count() > 1).ToList();
        if (contradictory.Count > 0)
        {
            string where = dataset.Classes.IsViolence
                ? "both in a violent and in a nonviolent folder"
                : "in folders of more than one class";
            yield return $"{Number(contradictory.Count, "video is", "videos are")} {where}: "
                + Examples(contradictory.Select(group => string.Join(" = ", group.Select(item => Quoted(item.Clip)))))
                    + ". Remove the wrong copy.";
        }

        var repeated = copies.Except(leaked).Except(contradictory).ToList();
        if (repeated.Count > 0)
        {
            yield return $"{Number(repeated.Count, "video is", "videos are")} more than once in the same split, so it counts more than others: "
                + Examples(repeated.Select(group => string.Join(" = ", group.Select(item => Quoted(item.Clip))))) + ".";
        }
    }

    private static string Number(int count, string one, string many) => count == 1 ? $"1 {one}" : $"{count} {many}";

    private static string Quoted(Clip clip) => $"'{clip.RelativePath}'";

    private static string Spread(IEnumerable<DatasetSplit> splits) =>
        string.Join(", ", splits.GroupBy(split => split).OrderBy(group => group.Key)
            .Select(group => $"{group.Key.Name()} {group.Count()}"));

    private static string Examples(IEnumerable<string> items)
    {
        var list = items.ToList();
        string rest = list.Count > ExamplesShown ? $"; and {list.Count - ExamplesShown} more" : "";
        return string.Join("; ", list.Take(ExamplesShown)) + rest;
    }
}
