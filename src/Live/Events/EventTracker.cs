using CudaTrainer.Data.Dataset;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>What makes an event of answers.</summary>
/// <param name="Threshold">Smoothed p(violent) from which an event begins.</param>
/// <param name="Release">Below which it ends; at most the threshold.</param>
/// <param name="Alarms">The classes that are events, of models of other classes than the known pair; these know no threshold.</param>
/// <param name="Smooth">Seconds of the latest answers whose mean counts.</param>
/// <param name="MinLength">Seconds that an event must last.</param>
/// <param name="Cooldown">Seconds after an event within which another continues it.</param>
public sealed record EventRule(
    double Threshold, double Release, IReadOnlyList<string> Alarms, double Smooth, double MinLength, double Cooldown);

/// <summary>From the answers of one camera, in order, to its events.</summary>
/// <remarks>
/// An answer counts as the mean over those whose windows ended in the last <see cref="EventRule.Smooth"/> seconds up to its own end, so
/// nothing of the future. It speaks for the time that is nearer to the middle of its window than to any other's, as in the timeline of a
/// file. An event is told once it has lasted <see cref="EventRule.MinLength"/>; shorter ones are counted and otherwise forgotten. It is
/// over when it has been below the release for <see cref="EventRule.Cooldown"/> seconds; what begins in between continues it, however
/// short. No event outlives its session.
/// </remarks>
public sealed class EventTracker(EventRule rule, string camera)
{
    // Windows that end just as long ago must not fall to either side by rounding.
    private const double Rounding = 1e-9;

    private readonly Queue<LiveAnswer> _latest = new();
    private LiveAnswer? _last;
    private bool _isUp;
    private string? _lastId;

    /// <summary>Events that were too short to be told.</summary>
    public long TooShort { get; private set; }

    /// <summary>The event that goes on or may still be continued, told or not; null for none.</summary>
    internal TrackedEvent? Current { get; private set; }

    /// <param name="answer">Of the same session as those before it.</param>
    public IReadOnlyList<EventNews> Add(LiveAnswer answer)
    {
        List<EventNews> news = [];
        (double score, string? label) = Smoothed(answer);
        bool isUp = answer.Violent is null
            ? label is not null && rule.Alarms.Contains(label)
            : score >= (_isUp ? rule.Release : rule.Threshold);
        double centre = CentreOf(answer), boundary = _last is null ? answer.From : (CentreOf(_last) + centre) / 2;
        if (_isUp && !isUp)
        {
            Fall(boundary, answer, news);
        }

        if (Current?.QuietSince is { } since && (isUp ? boundary : centre) - since >= rule.Cooldown + (isUp ? Rounding : -Rounding))
        {
            Close(EndReason.Over, answer.At, news);
        }

        if (isUp)
        {
            Rise(boundary, answer, score, label!, news);
        }

        (_isUp, _last) = (isUp, answer);
        return news;
    }

    /// <summary>The session is over; the next answer is of another.</summary>
    public IReadOnlyList<EventNews> End(EndReason reason, DateTimeOffset at)
    {
        List<EventNews> news = [];
        if (_isUp)
        {
            Fall(_last!.To, _last, news);
            if (Current is not null)
            {
                Close(reason, at, news);
            }
        }
        else if (Current is not null)
        {
            Close(EndReason.Over, at, news);
        }

        _latest.Clear();
        (_isUp, _last) = (false, null);
        return news;
    }

    private static double CentreOf(LiveAnswer answer) => (answer.From + answer.To) / 2;

    /// <summary>Wall-clock time of a second of the session.</summary>
    private static DateTimeOffset Time(LiveAnswer answer, double seconds) => answer.Start.AddSeconds(seconds - answer.From);

    /// <summary>Thresholds of single classes are heeded by the answers, not by a mean of several.</summary>
    private (double Score, string? Label) Smoothed(LiveAnswer answer)
    {
        _latest.Enqueue(answer);
        while (_latest.Peek().To < answer.To - rule.Smooth - Rounding)
        {
            _latest.Dequeue();
        }

        if (answer.Probabilities is null)
        {
            return (_latest.Average(one => one.Violent!.Value), ClassLabel.Name(ClassLabel.Violent));
        }

        if (_latest.Count == 1)
        {
            return (answer.Score, answer.Label);
        }

        (string name, double mean) = answer.Probabilities.Keys
            .Select(name => (name, _latest.Average(one => one.Probabilities![name]))).MaxBy(pair => pair.Item2);
        return (mean, name);
    }

    private void Rise(double boundary, LiveAnswer answer, double score, string label, List<EventNews> news)
    {
        if (Current is null)
        {
            DateTimeOffset start = Time(answer, boundary);

            string id = EventName.Id(start, camera);

            // Names have milliseconds, and a session may begin where the one before it ended.
            _lastId = id == _lastId ? EventName.Id(start.AddMilliseconds(1), camera) : id;
            Current = new TrackedEvent(_lastId, boundary, start);
        }

        Current.StretchFrom = Current.QuietSince is null && _isUp ? Current.StretchFrom : boundary;
        Current.QuietSince = null;
        if (Current.Peak is null || score > Current.Peak.Score)
        {
            Current.Peak = new EventPeak(score, label, Time(answer, CentreOf(answer)), answer);
        }

        if (!Current.IsTold && CentreOf(answer) - Current.From >= rule.MinLength - Rounding)
        {
            Tell(answer.At, news);
        }
    }

    private void Fall(double end, LiveAnswer answer, List<EventNews> news)
    {
        if (!Current!.IsTold && end - Current.From < rule.MinLength - Rounding)
        {
            TooShort++;
            Current = null;
            return;
        }

        if (!Current.IsTold)
        {
            Tell(answer.At, news);
        }

        (Current.QuietSince, Current.To, Current.End) = (end, end, Time(answer, end));
    }

    private void Tell(DateTimeOffset at, List<EventNews> news)
    {
        Current!.IsTold = true;
        news.Add(new EventBegan(at, Current.Id, camera)
        {
            Label = Current.Peak!.Label,
            Start = Current.Start,
            From = Current.From,
            Peak = Current.Peak.Score,
            PeakTime = Current.Peak.Time,
        });
    }

    private void Close(EndReason reason, DateTimeOffset at, List<EventNews> news)
    {
        news.Add(new EventEnded(at, Current!.Id, camera, Current.End, reason)
        {
            Label = Current.Peak!.Label,
            Start = Current.Start,
            From = Current.From,
            To = Current.To,
            Peak = Current.Peak.Score,
            PeakTime = Current.Peak.Time,
        });
        Current = null;
    }
}

/// <summary>An event while it goes on.</summary>
/// <param name="from">Seconds of the session.</param>
/// <param name="start">The same as wall-clock time.</param>
internal sealed class TrackedEvent(string id, double from, DateTimeOffset start)
{
    public string Id { get; } = id;

    public double From { get; } = from;

    public DateTimeOffset Start { get; } = start;

    /// <summary>Whether it has lasted long enough.</summary>
    public bool IsTold { get; set; }

    /// <summary>Where it was continued last, or <see cref="From"/>; seconds of the session.</summary>
    public double StretchFrom { get; set; } = from;

    /// <summary>Since when nothing has happened, in seconds of the session; null while it goes on.</summary>
    public double? QuietSince { get; set; }

    /// <summary>When it was quiet last, in seconds of the session.</summary>
    public double To { get; set; }

    /// <summary><see cref="To"/> as wall-clock time.</summary>
    public DateTimeOffset End { get; set; }

    public EventPeak? Peak { get; set; }
}

/// <summary>The answer of an event with the highest smoothed probability.</summary>
/// <param name="Score">Smoothed.</param>
/// <param name="Time">The middle of its window.</param>
internal sealed record EventPeak(double Score, string Label, DateTimeOffset Time, LiveAnswer Answer);
