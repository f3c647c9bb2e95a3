using CudaTrainer.Data.Dataset;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class GroupSplitterTests
{
    private static readonly double[] Fractions = [0.7, 0.15, 0.15];

    private static readonly Config Fewer = Config.QuickThrowOnFailure.WithMaxTest(30);

    private static readonly Gen<ClassCounts> Group =
        from nonviolent in Gen.Choose(0, 12)
        from violent in Gen.Choose(nonviolent == 0 ? 1 : 0, 12)
        select new ClassCounts(nonviolent, violent);

    [Fact]
    public void Every_group_gets_a_split_and_every_split_both_classes() =>
        Prop.ForAll(Groups(1, 40), Arb.From(Gen.Choose(0, int.MaxValue)), (groups, seed) =>
        {
            if (GroupSplitter.MaximumSplits(groups) < 3)
            {
                Should.Throw<ArgumentException>(() => GroupSplitter.Assign(groups, Fractions, (ulong)seed));
                return;
            }

            int[] assignment = GroupSplitter.Assign(groups, Fractions, (ulong)seed);

            assignment.Length.ShouldBe(groups.Length);
            foreach (ClassCounts counts in Totals(groups, assignment))
            {
                counts.Nonviolent.ShouldBeGreaterThan(0);
                counts.Violent.ShouldBeGreaterThan(0);
            }
        }).Check(Fewer);

    [Fact]
    public void Equal_seeds_give_equal_assignments() =>
        Prop.ForAll(Groups(8, 40), Arb.From(Gen.Choose(0, int.MaxValue)), (groups, seed) =>
            GroupSplitter.MaximumSplits(groups) < 3
            || GroupSplitter.Assign(groups, Fractions, (ulong)seed).SequenceEqual(GroupSplitter.Assign(groups, Fractions, (ulong)seed)))
        .Check(Fewer);

    [Fact]
    public void Single_clips_are_divided_to_within_one_clip() =>
        Prop.ForAll(Arb.From(Gen.Choose(10, 400)), Arb.From(Gen.Choose(10, 400)), (nonviolent, violent) =>
        {
            ClassCounts[] groups = [.. Enumerable.Repeat(new ClassCounts(1, 0), nonviolent),
                .. Enumerable.Repeat(new ClassCounts(0, 1), violent)];

            ClassCounts[] totals = Totals(groups, GroupSplitter.Assign(groups, Fractions, 42));

            for (int split = 0; split < Fractions.Length; split++)
            {
                Math.Abs(totals[split].Nonviolent - (Fractions[split] * nonviolent)).ShouldBeLessThanOrEqualTo(1);
                Math.Abs(totals[split].Violent - (Fractions[split] * violent)).ShouldBeLessThanOrEqualTo(1);
            }
        }).Check(Fewer);

    /// <summary>Exhaustive search over all 3⁷ assignments knows the optimum.</summary>
    [Fact]
    public void Few_groups_are_divided_as_well_as_possible()
    {
        var random = new SplitMix64(7);
        for (int trial = 0; trial < 12; trial++)
        {
            ClassCounts[] groups = Enumerable.Range(0, 7).Select(_ => new ClassCounts(1 + random.Next(12), 1 + random.Next(12))).ToArray();

            double found = GroupSplitter.Cost(groups, Fractions, GroupSplitter.Assign(groups, Fractions, (ulong)trial));

            found.ShouldBe(AllAssignments(groups.Length).Min(assignment => GroupSplitter.Cost(groups, Fractions, assignment)), 1e-9);
        }
    }

    [Fact]
    public void Large_sources_do_not_keep_the_classes_from_their_shares()
    {
        // The shape of a public fight dataset: 35 sources, from 20 clips down to one, most of them lopsided.
        (int, int)[] sources =
        [
            (19, 1), (5, 12), (15, 0), (6, 8), (9, 4), (10, 1), (3, 7), (4, 6), (3, 7), (1, 8), (4, 5), (2, 6), (3, 4), (3, 4), (2, 4),
            (2, 4), (3, 3),
            (2, 3), (2, 3), (2, 3), (0, 4), (2, 2), (2, 2), (1, 3), (2, 2), (1, 2), (2, 1), (1, 2), (2, 1), (1, 2), (1, 2), (1, 2), (1, 1),
            (1, 1), (2, 0),
        ];
        ClassCounts[] groups = sources.Select(source => new ClassCounts(source.Item1, source.Item2)).ToArray();
        for (ulong seed = 0; seed < 10; seed++)
        {
            ClassCounts[] totals = Totals(groups, GroupSplitter.Assign(groups, Fractions, seed));

            totals.ShouldBe([new ClassCounts(84, 84), new ClassCounts(18, 18), new ClassCounts(18, 18)]);
        }
    }

    [Theory]
    [InlineData(new[] { 1, 1 }, new[] { 1, 1 }, 2)]
    [InlineData(new[] { 1, 0, 0 }, new[] { 0, 1, 1 }, 1)]
    [InlineData(new[] { 1, 0, 3 }, new[] { 0, 1, 2 }, 2)]
    [InlineData(new[] { 5, 5, 5 }, new[] { 0, 0, 0 }, 0)]
    public void The_number_of_possible_splits_is_counted(int[] nonviolent, int[] violent, int expected) =>
        GroupSplitter.MaximumSplits([.. nonviolent.Zip(violent, (a, b) => new ClassCounts(a, b))]).ShouldBe(expected);

    private static Arbitrary<ClassCounts[]> Groups(int least, int most) =>
        Arb.From(from count in Gen.Choose(least, most) from groups in Group.ArrayOf(count) select groups);

    private static ClassCounts[] Totals(ClassCounts[] groups, int[] assignment)
    {
        var totals = new ClassCounts[Fractions.Length];
        for (int group = 0; group < groups.Length; group++)
        {
            totals[assignment[group]] += groups[group];
        }

        return totals;
    }

    private static IEnumerable<int[]> AllAssignments(int groups)
    {
        for (int code = 0; code < Math.Pow(3, groups); code++)
        {
            int rest = code;
            int[] assignment = new int[groups];
            for (int group = 0; group < groups; group++)
            {
                (rest, assignment[group]) = Math.DivRem(rest, 3);
            }

            yield return assignment;
        }
    }
}
