using CudaTrainer.Serve;

namespace CudaTrainer.Cli.Tests.Serve;

public class VideoQueueTests
{
    private readonly Clock _clock = new();

    [Fact]
    public void Places_are_taken_before_the_video_has_arrived()
    {
        VideoQueue queue = new(1, TimeSpan.FromHours(1), _clock);

        // One for the idle worker, one to wait behind it.
        queue.TryReserve(out _).ShouldBeTrue();
        queue.TryReserve(out _).ShouldBeTrue();
        queue.TryReserve(out int retryAfter).ShouldBeFalse();
        retryAfter.ShouldBeGreaterThan(0);
        queue.Facts.ShouldBe(new QueueFacts(0, 2));

        queue.Abandon();
        queue.TryReserve(out _).ShouldBeTrue();
    }

    [Fact]
    public void Videos_have_their_turn_in_the_order_they_arrived()
    {
        VideoQueue queue = new(3, TimeSpan.FromHours(1), _clock);
        VideoJob[] jobs = Enumerable.Range(0, 3).Select(_ => Add(queue)).ToArray();

        queue.Take(CancellationToken.None).ShouldBe(jobs[0]);
        queue.StatusOf(jobs[0].Id)!.State.ShouldBe(JobState.Running);
        (queue.StatusOf(jobs[1].Id)!.Position, queue.StatusOf(jobs[2].Id)!.Position).ShouldBe((1, 2));

        queue.TryRemove(jobs[1].Id, out _, out bool isIdle).ShouldBeTrue();
        isIdle.ShouldBeTrue();
        queue.TryRemove(jobs[0].Id, out _, out isIdle).ShouldBeTrue();
        isIdle.ShouldBeFalse();
        jobs[0].Stop.IsCancellationRequested.ShouldBeTrue();
        queue.Finish(jobs[0], null, new JobError("deleted", ""));
        queue.StatusOf(jobs[0].Id).ShouldBeNull();
        queue.Take(CancellationToken.None).ShouldBe(jobs[2]);
    }

    [Fact]
    public void Results_expire_and_the_oldest_make_room()
    {
        VideoQueue queue = new(1, TimeSpan.FromMinutes(10), _clock);
        string first = Answer(queue);
        _clock.Now += TimeSpan.FromMinutes(9);
        string second = Answer(queue);
        queue.StatusOf(first)!.State.ShouldBe(JobState.Failed);

        _clock.Now += TimeSpan.FromMinutes(2);

        queue.StatusOf(first).ShouldBeNull();
        queue.StatusOf(second).ShouldNotBeNull();
        string[] more = [.. Enumerable.Range(0, VideoQueue.MostResults).Select(_ => Answer(queue))];
        queue.StatusOf(second).ShouldBeNull();
        more.ShouldAllBe(id => queue.StatusOf(id) != null);
    }

    [Fact]
    public void How_long_to_wait_follows_from_the_last_video()
    {
        VideoQueue queue = new(0, TimeSpan.FromHours(1), _clock);
        Add(queue);
        VideoJob job = queue.Take(CancellationToken.None);
        _clock.Now += TimeSpan.FromSeconds(41.5);
        queue.Finish(job, null, new JobError("timeout", ""));
        Add(queue);

        queue.TryReserve(out int retryAfter).ShouldBeFalse();

        retryAfter.ShouldBe(42);
    }

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef", true)]
    [InlineData("0123456789ABCDEF0123456789ABCDEF", false)]
    [InlineData("0123456789abcdef0123456789abcde", false)]
    [InlineData("../3456789abcdef0123456789abcdef", false)]
    [InlineData("", false)]
    public void An_id_is_32_hexadecimal_digits(string text, bool isId)
    {
        VideoJob.IsId(text).ShouldBe(isId);
        VideoJob.IsId(VideoJob.NewId()).ShouldBeTrue();
    }

    private static VideoJob Add(VideoQueue queue)
    {
        queue.TryReserve(out _).ShouldBeTrue();
        VideoJob job = new(VideoJob.NewId(), "none") { Name = "clip", Bytes = 1 };
        queue.Add(job);
        return job;
    }

    private static string Answer(VideoQueue queue)
    {
        Add(queue);
        VideoJob job = queue.Take(CancellationToken.None);
        queue.Finish(job, null, new JobError("not_a_video", ""));
        return job.Id;
    }

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
