using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class ThreadTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Every_piece_is_claimed_once_in_each_of_many_runs(int threads)
    {
        using var team = new ThreadTeam(threads);
        using var counts = new GuardedBuffer<int>(100);
        for (int run = 1; run <= 200; run++)
        {
            var kernel = new ClaimKernel(counts, counts.Length);
            team.Run(ref kernel);
            counts.Span.ToArray().ShouldAllBe(count => count == run);
            if (run % 50 == 0)
            {
                // Long enough for all members to fall asleep: each must be woken for the next run.
                Thread.Sleep(20);
            }
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    public void Any_number_of_members_may_run_the_next_kernel(int threads)
    {
        using var team = new ThreadTeam(threads);
        using var counts = new GuardedBuffer<int>(100);
        var random = new Random(1);
        for (int run = 1; run <= 2000; run++)
        {
            team.Active = random.Next(1, threads + 1);
            var kernel = new ClaimKernel(counts, counts.Length);
            team.Run(ref kernel);
            counts.Span.ToArray().ShouldAllBe(count => count == run);
            if (run % 200 == 0)
            {
                Thread.Sleep(5);
            }
        }

        Should.Throw<ArgumentOutOfRangeException>(() => team.Active = 0);
        Should.Throw<ArgumentOutOfRangeException>(() => team.Active = threads + 1);
    }

    [Fact]
    public void Shares_cover_everything_once_and_are_cut_at_multiples()
    {
        foreach (int threads in (int[])[1, 2, 3])
        {
            using var team = new ThreadTeam(threads);
            foreach (int count in (int[])[0, 1, 11, 12, 13, 100])
            {
                int next = 0;
                for (int i = 0; i < threads; i++)
                {
                    (int begin, int end) = new Member(team, i).Share(count, 12);
                    begin.ShouldBe(next);
                    (begin % 12 == 0 || begin == count).ShouldBeTrue();
                    next = end;
                }

                next.ShouldBe(count);
            }
        }
    }

    [Fact]
    public void Members_see_what_others_wrote_before_a_barrier()
    {
        using var team = new ThreadTeam(3);
        using var values = new GuardedBuffer<int>(3);
        using var sums = new GuardedBuffer<int>(3);
        for (int run = 0; run < 100; run++)
        {
            values.Span.Clear();
            var kernel = new BarrierKernel(values, sums, run);
            team.Run(ref kernel);
            sums.Span.ToArray().ShouldAllBe(sum => sum == (3 * run) + 3);
        }
    }

    [Fact]
    public void A_failure_on_another_thread_reaches_the_caller_and_the_team_goes_on()
    {
        using var team = new ThreadTeam(2);
        var failing = default(FailingKernel);
        Should.Throw<InvalidOperationException>(() => team.Run(ref failing)).Message.ShouldContain("on purpose");
        using var counts = new GuardedBuffer<int>(10);
        var kernel = new ClaimKernel(counts, counts.Length);
        team.Run(ref kernel);
        counts.Span.ToArray().ShouldAllBe(count => count == 1);
    }

    private readonly struct ClaimKernel(int* counts, int pieces) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            for (int i = member.Claim(); i < pieces; i = member.Claim())
            {
                Interlocked.Increment(ref counts[i]);
            }
        }
    }

    private readonly struct BarrierKernel(int* values, int* sums, int run) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            values[member.Index] = run + member.Index;
            member.Barrier();
            sums[member.Index] = values[0] + values[1] + values[2];
            member.Barrier();
        }
    }

    private readonly struct FailingKernel : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (member.Index == 1)
            {
                throw new ArithmeticException("on purpose");
            }
        }
    }
}
