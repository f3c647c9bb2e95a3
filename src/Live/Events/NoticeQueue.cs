using System.Threading.Channels;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>How long somebody is tried to be told of an event.</summary>
/// <param name="Attempt">Of one attempt.</param>
/// <param name="FirstPause">After the first that fails; each is twice the one before it.</param>
/// <param name="LongestPause">Up to this.</param>
/// <param name="Attempts">At most.</param>
/// <param name="Oldest">An event that is older is given up.</param>
/// <param name="Waiting">Events that may wait; the oldest are given up for newer ones.</param>
internal sealed record NoticeLimits(
    TimeSpan Attempt, TimeSpan FirstPause, TimeSpan LongestPause, int Attempts, TimeSpan Oldest, int Waiting)
{
    public static NoticeLimits Default { get; } = new(
        TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), 8, TimeSpan.FromMinutes(10), 256);
}

/// <summary>Whom to tell of events. One call at a time.</summary>
internal interface INoticeTarget : IAsyncDisposable
{
    /// <summary>The address as it may be shown.</summary>
    string Name { get; }

    /// <returns>Null once it is told; otherwise what went wrong.</returns>
    Task<NoticeFailure?> SendAsync(EventNews news, CancellationToken stop);

    /// <summary>Called now and then while there is nothing to tell.</summary>
    Task TendAsync(CancellationToken stop);
}

/// <param name="IsFinal">Whether trying again would not help.</param>
internal sealed record NoticeFailure(string Reason, bool IsFinal);

/// <summary>
/// Tells one address of events, in order, one at a time, and again where it fails. Whoever adds an event waits for nothing.
/// </summary>
internal sealed class NoticeQueue : IDisposable
{
    private static readonly TimeSpan Tending = TimeSpan.FromSeconds(5), Grace = TimeSpan.FromSeconds(1);

    private readonly INoticeTarget _target;
    private readonly NoticeLimits _limits;
    private readonly Action<LiveNews> _news;
    private readonly TimeProvider _time;
    private readonly Channel<(EventNews News, long Since)> _waiting;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _work;

    public NoticeQueue(INoticeTarget target, NoticeLimits limits, Action<LiveNews> news, TimeProvider time)
    {
        (_target, _limits, _news, _time) = (target, limits, news, time);
        _waiting = Channel.CreateBounded<(EventNews, long)>(
            new BoundedChannelOptions(limits.Waiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            dropped => GiveUp(dropped.Item1, "too many wait"));
        _work = Task.Run(RunAsync);
    }

    public void Add(EventNews news) => _waiting.Writer.TryWrite((news, _time.GetTimestamp()));

    /// <summary>Takes nothing more; what waits is still told.</summary>
    public void Complete() => _waiting.Writer.TryComplete();

    /// <summary>Waits until all is told.</summary>
    /// <param name="limit">After which the rest is given up.</param>
    public void Stop(TimeSpan limit)
    {
        Complete();
        if (!_work.Wait(limit))
        {
            _stopping.Cancel();
            _work.Wait(Grace);
        }

        int left = 0;
        while (_waiting.Reader.TryRead(out _))
        {
            left++;
        }

        if (left > 0)
        {
            _news(new NoticeTrouble(_time.GetUtcNow(), _target.Name, $"{left} more were not told before the program had to end"));
        }
    }

    public void Dispose()
    {
        Stop(TimeSpan.Zero);
        if (_work.IsCompleted)
        {
            _stopping.Dispose();
        }
    }

    private async Task RunAsync()
    {
        try
        {
            await using (_target)
            {
                await _target.TendAsync(_stopping.Token);
                while (await HasMoreAsync())
                {
                    if (_waiting.Reader.TryRead(out (EventNews News, long Since) one))
                    {
                        await TellAsync(one.News, one.Since);
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The program ends.
        }
        catch (Exception exception)
        {
            _news(new NoticeTrouble(_time.GetUtcNow(), _target.Name, $"nothing more is told: {exception.Message}"));
        }
    }

    /// <returns>False after the last.</returns>
    private async Task<bool> HasMoreAsync()
    {
        Task<bool> more = _waiting.Reader.WaitToReadAsync(_stopping.Token).AsTask();
        while (await Task.WhenAny(more, Task.Delay(Tending, _time, _stopping.Token)) != more)
        {
            await _target.TendAsync(_stopping.Token);
        }

        return await more;
    }

    private async Task TellAsync(EventNews news, long since)
    {
        TimeSpan pause = _limits.FirstPause;
        NoticeFailure failure = new("it came too late", IsFinal: false);
        for (int attempt = 1; attempt <= _limits.Attempts && _time.GetElapsedTime(since) < _limits.Oldest; attempt++)
        {
            try
            {
                if (await _target.SendAsync(news, _stopping.Token) is not { } failed)
                {
                    return;
                }

                failure = failed;
                if (failure.IsFinal || attempt == _limits.Attempts)
                {
                    break;
                }

                await Task.Delay(pause, _time, _stopping.Token);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                GiveUp(news, $"the program had to end{(attempt > 1 ? $"; before that, {failure.Reason}" : "")}");
                throw;
            }

            pause = pause * 2 < _limits.LongestPause ? pause * 2 : _limits.LongestPause;
        }

        GiveUp(news, failure.Reason);
    }

    private void GiveUp(EventNews news, string reason) => _news(new NoticeTrouble(_time.GetUtcNow(), _target.Name,
        $"it was not told that {news.Id} {news.Event}: {reason}"));
}
