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
        Repeat(team, active => (1.0 / active) + (handOver * active), 100).ShouldBe(expected);
    }

    [Fact]
    public void Fewer_threads_are_kept_where_more_gain_nothing()
    {
        using var team = new ThreadTeam(4);
        Repeat(team, active => active == 4 ? 1 : 1.01, 100).ShouldBe(1);
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
        }, 100).ShouldBe(4);
        tried.ShouldBe([4]);
    }

    [Fact]
    public void One_slow_step_decides_nothing()
    {
        using var team = new ThreadTeam(2);
        int step = 0;
        Repeat(team, active => step++ == 24 ? 500 : active == 2 ? 1 : 2, 100).ShouldBe(2);
    }

    /// <param name="milliseconds">That a step takes with so many threads.</param>
    /// <returns>The number of threads after so many steps.</returns>
    private static int Repeat(ThreadTeam team, Func<int, double> milliseconds, int steps)
    {
        long now = 0;
        var choice = new ThreadChoice(team, () => now);
        for (int i = 0; i < steps; i++)
        {
            choice.Begin();
            now += (long)(milliseconds(team.Active) * Stopwatch.Frequency / 1000);
            choice.End();
        }

        choice.IsMade.ShouldBeTrue();
        return team.Active;
    }
}
