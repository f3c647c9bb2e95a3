using System.Diagnostics;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Tests;

public sealed class ThreadChoiceTests
{
    [Theory]
    [InlineData(4, 0.5, 1)]
    [InlineData(4, 0.2, 2)]
    [InlineData(4, 0.01, 4)]
    [InlineData(1, 0.5, 1)]
    public void The_fastest_number_of_threads_is_kept(int threads, double handOver, int expected)
    {
        using var team = new ThreadTeam(threads);
        Repeat(team, active => (1.0 / active) + (handOver * active)).ShouldBe(expected);
    }

    [Fact]
    public void Fewer_threads_are_kept_where_more_gain_nothing()
    {
        using var team = new ThreadTeam(4);
        Repeat(team, active => active == 4 ? 1 : 1.01).ShouldBe(1);
    }

    [Fact]
    public void A_long_step_is_never_tried_with_fewer_threads()
    {
        using var team = new ThreadTeam(4);
        HashSet<int> tried = [];
        Repeat(team, active =>
        {
            tried.Add(active);
            return 20;
        }).ShouldBe(4);
        tried.ShouldBe([4]);
    }

    [Fact]
    public void One_slow_step_decides_nothing()
    {
        using var team = new ThreadTeam(2);
        int step = 0;
        Repeat(team, active => step++ % 17 == 16 ? 50 : active == 2 ? 1 : 2).ShouldBe(2);
    }

    [Fact]
    public void What_is_found_while_code_is_still_compiled_is_corrected()
    {
        using var team = new ThreadTeam(2);
        int step = 0;
        Repeat(team, active => step++ < 100 ? (active == 2 ? 1 : 3) : (active == 2 ? 1 : 0.2)).ShouldBe(1);
    }

    [Fact]
    public void A_first_choice_is_made_within_the_first_steps()
    {
        using var team = new ThreadTeam(2);
        long now = 0;
        var choice = new ThreadChoice(team, () => now);
        for (int i = 0; i < 20; i++)
        {
            choice.Begin();
            now += (team.Active == 2 ? 2 : 1) * Stopwatch.Frequency / 1000;
            choice.End();
        }

        team.Active.ShouldBe(1);
        choice.IsMade.ShouldBeFalse();
    }

    /// <param name="milliseconds">That a step takes with so many threads.</param>
    /// <returns>The number of threads that is kept.</returns>
    private static int Repeat(ThreadTeam team, Func<int, double> milliseconds)
    {
        long now = 0;
        var choice = new ThreadChoice(team, () => now);
        for (int i = 0; i < 20_000 && !choice.IsMade; i++)
        {
            choice.Begin();
            now += (long)(milliseconds(team.Active) * Stopwatch.Frequency / 1000);
            choice.End();
        }

        choice.IsMade.ShouldBeTrue();
        return team.Active;
    }
}
