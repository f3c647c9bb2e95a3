using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>From answers to events. Windows are 2 s long and begin every second, so that the middle of window i is at i + 1.</summary>
public sealed class EventTrackerTests
{
    private static readonly EventRule Rule = new(0.5, 0.4, ["violent"], 0, 0, 0);

    /// <summary>As in the timeline of a file: each answer speaks for the time nearest to the middle of its window.</summary>
    [Theory]
    [InlineData("0.1 0.9 0.8 0.2", "1.5-3.5")]
    [InlineData("0.9 0.1", "0-1.5")] // The first speaks from the beginning,
    [InlineData("0.1 0.9", "1.5-3")] // the last to the end.
    [InlineData("0.1 0.5 0.4 0.39 0.1", "1.5-3.5")] // From the threshold on, to below the release.
    [InlineData("0.1 0.45 0.49 0.1", "")]
    [InlineData("0.6 0.1 0.6 0.1", "0-1.5 2.5-3.5")]
    [InlineData("", "")]
    public void Hysteresis(string scores, string expected) => Stretches(Rule, Numbers(scores)).ShouldBe(expected);

    [Fact]
    public void Without_smoothing_events_are_those_of_a_file()
    {
        Random random = new(3);
        for (int trial = 0; trial < 200; trial++)
        {
            double[] scores = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => random.NextDouble())];
            WindowScore[] windows = [.. scores.Select((score, i) => new WindowScore(i, i + 2, score, score))];
            IReadOnlyList<ViolenceEvent> file = Timeline.Events(windows, 0.6, 0.3);

            EventEnded[] live = [.. Run(Rule with { Threshold = 0.6, Release = 0.3 }, Staged.Answers(scores)).OfType<EventEnded>()];

            live.Select(one => (one.From, one.To)).ShouldBe(file.Select(one => (one.Start, one.End)));
            live.Select(one => (Seconds(one.Start), Seconds(one.End), one.Peak, Seconds(one.PeakTime)))
                .ShouldBe(file.Select(one => (one.Start, one.End, one.Peak, one.PeakTime)));
        }
    }

    /// <summary>The mean over the windows that ended in the last seconds: of the past only.</summary>
    [Theory]
    [InlineData(0, "0 1 0 1 1 1 0", "1.5-2.5 3.5-6.5")]
    [InlineData(1, "0 1 0 1 1 1 0 0", "1.5-7.5")] // Means 0 .5 .5 .5 1 1 .5 0
    [InlineData(2, "0 0 1 0 1 1 1 0 0", "4.5-8.5")] // Means 0 0 .33 .33 .67 .67 1 .67 .33
    public void Smoothing_looks_back_only(double seconds, string scores, string expected) =>
        Stretches(Rule with { Smooth = seconds }, Numbers(scores)).ShouldBe(expected);

    /// <summary>Whatever comes later changes nothing of what was told.</summary>
    [Fact]
    public void The_future_changes_nothing()
    {
        double[] scores = [0.1, 0.7, 0.9, 0.9, 0.2, 0.1, 0.1];
        EventRule rule = Rule with { Smooth = 2, MinLength = 1 };
        IReadOnlyList<LiveNews> all = Run(rule, Staged.Answers(scores), isEnded: false);
        for (int seen = 0; seen <= scores.Length; seen++)
        {
            LiveNews[] part = [.. Run(rule, Staged.Answers(scores[..seen]), isEnded: false)];
            part.ShouldBe(all.Take(part.Length));
        }
    }

    [Theory]
    [InlineData(1.0, "0 1 0 0", "1.5-2.5")]
    [InlineData(1.1, "0 1 0 0", "")]
    [InlineData(2.0, "0 1 0 1 1 0 1 1 1 0", "3.5-5.5 6.5-9.5")]
    [InlineData(2.5, "0 1 0 1 1 0 1 1 1 0", "6.5-9.5")]
    public void Short_events_are_not_told(double least, string scores, string expected) =>
        Stretches(Rule with { MinLength = least }, Numbers(scores)).ShouldBe(expected);

    [Fact]
    public void An_event_is_told_once_it_has_lasted_and_short_ones_are_counted()
    {
        EventTracker tracker = new(Rule with { MinLength = 2 }, "gate");
        List<string> told = [];
        foreach (LiveAnswer answer in Staged.Answers(0, 1, 0, 1, 1, 1, 1, 0))
        {
            told.Add(string.Join(' ', tracker.Add(answer).Select(news => news.Event)));
        }

        // It began at 3.5; the middle of the window at 5 is at 6, the first that is 2 s later.
        told.ShouldBe(["", "", "", "", "", "began", "", "ended"]);
        tracker.TooShort.ShouldBe(1);
    }

    /// <summary>What begins while the last event is not over for the cool-down continues it, and nobody is told anew.</summary>
    [Theory]
    [InlineData(0, "1 0 0 1 0 0 0 0", "began 0 ended 1.5 began 3.5 ended 4.5")]
    [InlineData(1.9, "1 0 0 1 0 0 0 0", "began 0 ended 1.5 began 3.5 ended 4.5")]
    [InlineData(2, "1 0 0 1 0 0 0 0", "began 0 ended 4.5")]
    [InlineData(3, "1 0 0 1 0 0 1 0 0 0 0", "began 0 ended 7.5")]
    [InlineData(60, "1 0 0 1 0", "began 0 ended 4.5")]
    public void Cooldown_continues_an_event(double cooldown, string scores, string expected) =>
        string.Join(' ', Run(Rule with { Cooldown = cooldown }, Staged.Answers(Numbers(scores))).Cast<EventNews>()
            .Select(news => $"{news.Event} {Seconds(news is EventEnded ended ? ended.End : news.Start)}")).ShouldBe(expected);

    [Fact]
    public void An_end_is_told_when_the_cooldown_is_over_with_the_time_when_it_was()
    {
        EventTracker tracker = new(Rule with { Cooldown = 3 }, "gate");
        EventNews[][] told = [.. Staged.Answers(1, 0, 0, 0, 0).Select(answer => tracker.Add(answer).ToArray())];

        told.Select(news => news.Length).ShouldBe([1, 0, 0, 0, 1]);
        EventEnded ended = told[4].ShouldHaveSingleItem().ShouldBeOfType<EventEnded>();
        ended.End.ShouldBe(Staged.Began.AddSeconds(1.5));
        ended.Reason.ShouldBe(EndReason.Over);
        ended.At.ShouldBeGreaterThan(ended.End.AddSeconds(3));
    }

    [Theory]
    [InlineData("0 1 1", EndReason.Disconnected)]
    [InlineData("0 1 1", EndReason.Stopped)]
    public void The_end_of_a_session_ends_its_event_with_a_reason(string scores, EndReason reason)
    {
        EventTracker tracker = new(Rule with { Cooldown = 5 }, "gate");
        Add(tracker, Staged.Answers(Numbers(scores)));
        DateTimeOffset at = Staged.Began.AddMinutes(1);

        EventEnded ended = tracker.End(reason, at).ShouldHaveSingleItem().ShouldBeOfType<EventEnded>();

        (ended.Reason, ended.At, ended.End).ShouldBe((reason, at, Staged.Began.AddSeconds(4)));
        tracker.End(reason, at).ShouldBeEmpty();
    }

    [Fact]
    public void An_event_that_cools_down_was_over_before_its_session()
    {
        EventTracker tracker = new(Rule with { Cooldown = 50 }, "gate");
        Add(tracker, Staged.Answers(1, 0, 0));

        tracker.End(EndReason.Disconnected, Staged.Began).ShouldHaveSingleItem().ShouldBeOfType<EventEnded>()
            .Reason.ShouldBe(EndReason.Over);
    }

    /// <summary>A session counts its seconds anew, and its smoothing begins anew.</summary>
    [Fact]
    public void Sessions_share_nothing()
    {
        EventTracker tracker = new(Rule with { Smooth = 10 }, "gate");
        Add(tracker, Staged.Answers(1, 1, 1, 1));
        tracker.End(EndReason.Disconnected, Staged.Began);

        Add(tracker, Staged.Answers(0.1, 0.1)).ShouldBeEmpty();
    }

    [Fact]
    public void The_peak_is_that_of_the_smoothed_answers()
    {
        EventEnded ended = Run(Rule with { Smooth = 1 }, Staged.Answers(0, 0.6, 1, 0.8, 0.8, 0, 0)).OfType<EventEnded>().Single();

        ended.Peak.ShouldBe(0.9, 1e-9);
        Seconds(ended.PeakTime).ShouldBe(4);
        ended.Label.ShouldBe("violent");
    }

    [Fact]
    public void Names_sort_by_time_and_differ_between_cameras_and_events()
    {
        string[] ids = [.. Run(Rule, Staged.Answers(1, 0, 1, 0, 1)).OfType<EventBegan>().Select(began => began.Id)];

        ids.ShouldBe(ids.Order(StringComparer.Ordinal));
        ids.Distinct().Count().ShouldBe(3);
        ids[1].ShouldBe($"20260713T142502500Z{ids[0][^9..]}");
        ids.ShouldAllBe(id => EventName.IdOf($"{id}.json") == id);
        EventName.Id(Staged.Began, "gate").ShouldNotBe(EventName.Id(Staged.Began, "door"));

        // A session that begins in the millisecond in which another ended.
        EventTracker tracker = new(Rule, "gate");
        LiveAnswer answer = Staged.Answer(0, 1);
        string first = tracker.Add(answer).Single().Id;
        tracker.End(EndReason.Disconnected, Staged.Began);
        tracker.Add(answer).Single().Id.ShouldNotBe(first);
    }

    /// <summary>For models of other classes an event is a stretch in which the likeliest class is one of those asked for.</summary>
    [Fact]
    public void Other_classes_are_called_by_the_largest_probability()
    {
        EventRule rule = new(double.NaN, double.NaN, ["kick", "punch"], 0, 0, 0);
        string[] called = ["walk", "kick", "punch", "punch", "walk", "walk", "kick"];
        LiveAnswer[] answers = [.. called.Select((name, i) => Staged.Answer(i, 0) with
        {
            Violent = null,
            Label = name,
            Probabilities = new Dictionary<string, double>
            {
                ["walk"] = 0.2,
                ["kick"] = 0.1,
                ["punch"] = 0.1,
                [name] = i == 3 ? 0.7 : 0.6,
            },
        })];

        EventEnded[] events = [.. Run(rule, answers).OfType<EventEnded>()];

        events.Select(one => (Seconds(one.Start), Seconds(one.End), one.Label, one.Peak))
            .ShouldBe([(1.5, 4.5, "punch", 0.7), (6.5, 8, "kick", 0.6)]);
    }

    [Fact]
    public void A_plan_takes_long_events_in_parts_that_touch()
    {
        ClipPlan plan = new(start: 20, before: 5, after: 4);
        List<(double From, double To)> parts = [];
        for (double now = 21; now < 100; now++)
        {
            parts.AddRange(plan.GoOn(20, now));
        }

        plan.Rest(99, 101, isLast: false).ShouldBeNull("four seconds after it have not come yet");
        parts.Add(plan.Rest(99, 103, isLast: false)!.Value);
        plan.Rest(99, 104, isLast: true).ShouldBeNull("it is taken");

        parts.ShouldBe([(15, 45), (45, 75), (75, 103)]);
    }

    [Fact]
    public void A_plan_goes_on_where_an_event_is_continued()
    {
        ClipPlan plan = new(start: 2, before: 5, after: 4);
        plan.GoOn(2, 6).ShouldBeEmpty();
        plan.Rest(since: 8, now: 10, isLast: false).ShouldBeNull();
        plan.GoOn(stretch: 11, now: 14).ShouldBeEmpty();
        plan.Rest(since: 15, now: 19, isLast: false).ShouldBe((0, 19));
        plan.GoOn(stretch: 21, now: 23).ShouldBeEmpty();
        plan.Rest(since: 24, now: 24, isLast: true).ShouldBe((19, 28), "no second twice");
        plan.GoOn(stretch: 60, now: 61).ShouldBeEmpty();
        plan.Rest(since: 62, now: 70, isLast: false).ShouldBe((55, 66));
    }

    private static double[] Numbers(string text) => [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(double.Parse)];

    private static double Seconds(DateTimeOffset time) => Math.Round((time - Staged.Began).TotalSeconds, 6);

    private static string Stretches(EventRule rule, double[] scores) =>
        string.Join(' ', Run(rule, [.. Staged.Answers(scores)]).OfType<EventEnded>()
            .Select(ended => $"{Seconds(ended.Start)}-{Seconds(ended.End)}"));

    private static IReadOnlyList<EventNews> Run(EventRule rule, LiveAnswer[] answers, bool isEnded = true)
    {
        EventTracker tracker = new(rule, "gate");
        List<EventNews> news = Add(tracker, answers);
        return isEnded ? [.. news, .. tracker.End(EndReason.Disconnected, Staged.Began.AddHours(1))] : news;
    }

    private static List<EventNews> Add(EventTracker tracker, LiveAnswer[] answers) => [.. answers.SelectMany(tracker.Add)];
}
