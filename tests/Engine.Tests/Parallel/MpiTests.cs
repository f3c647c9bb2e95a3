using System.Text.RegularExpressions;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>Real processes under mpirun; what they check by themselves stands in tests/Mpi.Program.</summary>
public sealed partial class MpiTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void World_and_ring_do_what_they_promise(int ranks)
    {
        CommandOutcome outcome = Mpirun.Run(ranks, [], "check");
        outcome.ExitCode.ShouldBe(0, outcome.Output);
        string[] tallies = outcome.Lines("rank ");
        tallies.Length.ShouldBe(ranks, outcome.Output);
        for (int rank = 0; rank < ranks; rank++)
        {
            Match tally = Tally().Match(tallies[rank]);
            tally.Success.ShouldBeTrue(outcome.Output);
            tally.Groups["rank"].Value.ShouldBe($"{rank}");
            tally.Groups["size"].Value.ShouldBe($"{ranks}");
            int.Parse(tally.Groups["right"].Value).ShouldBeGreaterThan(60);
        }
    }

    [Fact]
    public void A_run_without_losses_comes_to_its_end()
    {
        CommandOutcome outcome = Mpirun.Run(3, [], "loss", "none", "0");
        outcome.ExitCode.ShouldBe(0, outcome.Output);
        outcome.Lines("rank ").ShouldBe(["rank 0 came to the end", "rank 1 came to the end", "rank 2 came to the end"]);
    }

    [Theory]
    [InlineData("kill", 0, "was lost: its connection closed")]
    [InlineData("kill", 2, "was lost: its connection closed")]
    [InlineData("fail", 1, "failed: the disk is full")]
    [InlineData("leave", 1, "failed: it left before the work was done")]
    public void The_others_end_by_themselves_and_name_the_lost_rank(string how, int who, string what)
    {
        Mpirun.RequireOpenMpi();
        CommandOutcome outcome = Mpirun.Run(3, ["--enable-recovery"], "loss", how, $"{who}");
        string start = $"rank {who} is pid ", pid = outcome.Lines(start).ShouldHaveSingleItem(outcome.Output)[start.Length..];
        string expected = $"ends: rank {who} (host {Environment.MachineName}, pid {pid}) {what}";
        outcome.Lines("rank ").Where(line => line.Contains(" ends", StringComparison.Ordinal))
            .ShouldBe(Enumerable.Range(0, 3).Where(rank => rank != who).Select(rank => $"rank {rank} {expected}"), outcome.Output);
    }

    [Fact]
    public void Mpirun_reports_a_killed_rank()
    {
        CommandOutcome outcome = Mpirun.Run(2, [], "loss", "kill", "1");
        outcome.ExitCode.ShouldNotBe(0, outcome.Output);
        outcome.Output.ShouldContain("rank 1 is pid ");
        outcome.Output.ShouldNotContain("came to the end");
    }

    [GeneratedRegex(@"^rank (?<rank>\d+) of (?<size>\d+): (?<right>\d+) right, 0 wrong$")]
    private static partial Regex Tally();
}
