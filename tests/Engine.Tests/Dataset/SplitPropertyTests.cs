using CudaTrainer.Data.Dataset;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Dataset;

/// <summary>What must hold of the automatic split of any dataset, whatever its sources and copies.</summary>
public sealed class SplitPropertyTests
{
    /// <summary>A clip by numbers: label, source (negative: unknown) and content.</summary>
    private sealed record ClipSketch(int Label, int Source, int Content);

    private static readonly Gen<ClipSketch> Clip =
        from label in Gen.Choose(0, 1)
        from source in Gen.Choose(-10, 12)
        from content in Gen.Choose(0, 400)
        select new ClipSketch(label, source, content);

    [Fact]
    public void Each_clip_is_in_one_split_and_no_source_or_content_in_two()
    {
        Gen<ClipSketch[]> clips = from count in Gen.Choose(30, 120) from sketches in Clip.ArrayOf(count) select sketches;
        Prop.ForAll(Arb.From(clips), Arb.From(Gen.Choose(0, 1000)), (sketches, seed) =>
        {
            var all = sketches.Select(MakeClip).ToList();
            IReadOnlyList<Clip>[] splits;
            try
            {
                splits = Divide(all, seed);
            }
            catch (DatasetException exception)
            {
                exception.Message.ShouldContain("cannot be divided");
                return;
            }

            splits.SelectMany(split => split).Select(clip => clip.RelativePath).Order(StringComparer.Ordinal)
                .ShouldBe(all.Select(clip => clip.RelativePath).Order(StringComparer.Ordinal));
            Overlaps(splits, clip => clip.Source).ShouldBeEmpty();
            Overlaps(splits, clip => clip.ContentHash).ShouldBeEmpty();
            splits.ShouldAllBe(split => split.Select(clip => clip.Label).Distinct().Count() == 2);
            splits.ShouldAllBe(split => split.SequenceEqual(split.OrderBy(clip => clip.RelativePath, StringComparer.Ordinal)));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(30));
    }

    [Fact]
    public void Clips_without_content_are_free_to_part()
    {
        var clips = Enumerable.Range(0, 40).Select(i => new Clip($"/d/{i:00}", $"{i:00}", i % 2, $"{i:00}", "same") { Bytes = 0 }).ToList();

        Divide(clips, 42).Select(split => split.Count).ShouldBe([28, 6, 6]);
    }

    private static Clip MakeClip(ClipSketch sketch, int index)
    {
        string path = $"{index:000}.mp4";
        return new Clip("/data/" + path, path, sketch.Label, sketch.Source < 0 ? path : $"source {sketch.Source}",
            $"content {sketch.Content}")
        { Bytes = 1 };
    }

    private static IReadOnlyList<Clip>[] Divide(List<Clip> clips, int seed)
    {
        var layout = new FolderLayout(Array.Empty<FolderEntry>().ToLookup(_ => DatasetSplit.Train), []);
        return new SplitPlan("/data", layout, SplitFractions.Default).Divide(clips, new DatasetSplit?[clips.Count], seed, []);
    }

    private static IEnumerable<string> Overlaps(IReadOnlyList<Clip>[] splits, Func<Clip, string> key) =>
        splits.SelectMany((split, index) => split.Select(clip => (Key: key(clip), Split: index))).Distinct()
            .GroupBy(item => item.Key).Where(group => group.Count() > 1).Select(group => group.Key);
}
