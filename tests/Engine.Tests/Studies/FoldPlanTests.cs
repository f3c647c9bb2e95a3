using CudaTrainer.Training.Studies;

namespace CudaTrainer.Engine.Tests.Studies;

public class FoldPlanTests
{
    [Theory]
    [InlineData(2, 0.5)]
    [InlineData(5, 0.15)]
    [InlineData(10, 0.1)]
    public void Each_clip_is_judged_once_and_no_source_stands_on_both_sides(int count, double share)
    {
        (int[] labels, string[] sources) = Clips();

        IReadOnlyList<Fold> folds = FoldPlan.Make(labels, sources, count, share, seed: 3);

        folds.Count.ShouldBe(count);
        folds.SelectMany(fold => fold.Test).Order().ShouldBe(Enumerable.Range(0, labels.Length));
        foreach (Fold fold in folds)
        {
            int[][] parts = [fold.Train, fold.Validation, fold.Test];
            parts.SelectMany(part => part).Order().ShouldBe(Enumerable.Range(0, labels.Length));
            parts.SelectMany(part => part.Select(clip => sources[clip]).Distinct()).ShouldBeUnique();
            foreach (int[] part in parts)
            {
                part.ShouldBe(part.Order());
                part.Select(clip => labels[clip]).Distinct().Count().ShouldBe(2);
            }

            // Sources of five clips cannot be divided more finely.
            ((double)fold.Validation.Length).ShouldBe((share * (labels.Length - fold.Test.Length)), 8);
            ((double)fold.Test.Length).ShouldBe((double)labels.Length / count, 8);
        }
    }

    [Fact]
    public void Equal_seeds_give_equal_folds_and_others_do_not()
    {
        (int[] labels, string[] sources) = Clips();
        Same(Make(1), Make(1)).ShouldBeTrue();
        Same(Make(1), Make(2)).ShouldBeFalse();

        IReadOnlyList<Fold> Make(int seed) => FoldPlan.Make(labels, sources, 5, 0.2, seed);

        static bool Same(IReadOnlyList<Fold> a, IReadOnlyList<Fold> b) =>
            a.Zip(b).All(pair => pair.First.Test.SequenceEqual(pair.Second.Test) && pair.First.Train.SequenceEqual(pair.Second.Train));
    }

    [Fact]
    public void Too_few_sources_are_an_error_that_says_how_many_parts_there_could_be()
    {
        int[] labels = [0, 1, 0, 1, 0, 1];
        string[] sources = ["a", "a", "b", "b", "c", "c"];

        RunException error = Should.Throw<RunException>(() => FoldPlan.Make(labels, sources, 5, 0.2, 1));

        error.Message.ShouldContain("3 sources");
        error.Message.ShouldContain("at most 3 parts");
        Should.Throw<RunException>(() => FoldPlan.Make(labels.AsSpan(0, 4), sources[..4], 2, 0.5, 1))
            .Message.ShouldContain("training and validation parts of fold 1");
    }

    /// <summary>Sources of one to five clips, some with one class only.</summary>
    private static (int[] Labels, string[] Sources) Clips()
    {
        List<int> labels = [];
        List<string> sources = [];
        for (int source = 0; source < 60; source++)
        {
            for (int clip = 0; clip <= source % 5; clip++)
            {
                labels.Add(source % 3 == 0 ? clip % 2 : source % 2);
                sources.Add($"source {source}");
            }
        }

        return ([.. labels], [.. sources]);
    }
}
