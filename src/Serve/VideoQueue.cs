using System.Diagnostics.CodeAnalysis;

namespace CudaTrainer.Serve;

/// <summary>
/// The videos of a server: one at work, a bounded number waiting or still arriving, and results until they expire. Safe for any number of
/// threads.
/// </summary>
/// <param name="most">Videos that may wait behind the one at work.</param>
/// <param name="keep">How long a result stays.</param>
internal sealed class VideoQueue(int most, TimeSpan keep, TimeProvider time)
{
    /// <summary>Results that are held, each with a few pictures; the oldest go first.</summary>
    internal const int MostResults = 64;

    /// <summary>Seconds that a video takes, until there has been one.</summary>
    private const double FirstGuess = 10;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, VideoJob> _jobs = [];
    private readonly List<VideoJob> _waiting = [];
    private readonly List<VideoJob> _ended = [];
    private readonly SemaphoreSlim _arrived = new(0);
    private VideoJob? _running;
    private long _began;
    private double _lastSeconds = FirstGuess;
    private int _arriving;

    /// <summary>Videos at work, and waiting or arriving.</summary>
    public QueueFacts Facts
    {
        get
        {
            lock (_lock)
            {
                return new QueueFacts(_running is null ? 0 : 1, _waiting.Count + _arriving);
            }
        }
    }

    /// <summary>
    /// Takes a place in the queue for a video that is about to arrive: <see cref="Add"/> fills it, <see cref="Abandon"/> gives it back.
    /// </summary>
    /// <param name="retryAfter">If there is none: seconds until there may be one.</param>
    public bool TryReserve(out int retryAfter)
    {
        lock (_lock)
        {
            bool isFree = (_running is null ? 0 : 1) + _waiting.Count + _arriving <= most;
            _arriving += isFree ? 1 : 0;
            retryAfter = (int)Math.Clamp(Math.Ceiling(_lastSeconds), 1, 3600);
            return isFree;
        }
    }

    public void Abandon()
    {
        lock (_lock)
        {
            _arriving--;
        }
    }

    public void Add(VideoJob job)
    {
        lock (_lock)
        {
            _arriving--;
            _jobs.Add(job.Id, job);
            _waiting.Add(job);
        }

        _arrived.Release();
    }

    /// <summary>The next video, now at work; waits for one.</summary>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public VideoJob Take(CancellationToken stop)
    {
        var tick = TimeSpan.FromSeconds(Math.Clamp(keep.TotalSeconds, 0.1, 10));
        while (true)
        {
            _arrived.Wait(tick, stop);
            lock (_lock)
            {
                DropExpired();
                if (_waiting.Count > 0)
                {
                    _running = _waiting[0];
                    _waiting.RemoveAt(0);
                    _running.State = JobState.Running;
                    _began = time.GetTimestamp();
                    return _running;
                }
            }
        }
    }

    public void Report(VideoJob job, double seconds)
    {
        lock (_lock)
        {
            job.Progress = seconds;
        }
    }

    /// <summary>Ends the work on a video, with a result or an error.</summary>
    public void Finish(VideoJob job, VideoResult? result, JobError? error)
    {
        lock (_lock)
        {
            _running = null;
            _lastSeconds = time.GetElapsedTime(_began).TotalSeconds;
            (job.State, job.Result, job.Error, job.Ended) = (error is null ? JobState.Done : JobState.Failed, result, error,
                time.GetTimestamp());
            if (_jobs.ContainsKey(job.Id))
            {
                _ended.Add(job);
                DropExpired();
            }
        }
    }

    public VideoStatus? StatusOf(string id)
    {
        lock (_lock)
        {
            DropExpired();
            return _jobs.TryGetValue(id, out VideoJob? job)
                ? new VideoStatus(
                    job.Id, job.Name, job.Bytes, job.Uploaded, job.State, PositionOf(job), job.Progress, job.Error, job.Result)
                : null;
        }
    }

    /// <summary>The videos of one owner, newest first.</summary>
    public IReadOnlyList<VideoSummary> ListOf(string owner)
    {
        lock (_lock)
        {
            DropExpired();
            return [.. _jobs.Values.Where(job => job.Owner == owner).OrderByDescending(job => job.Uploaded).Select(job => new VideoSummary(
                job.Id, job.Name, job.Bytes, job.Uploaded, job.State, PositionOf(job), job.Progress, job.Error, job.Result?.Label,
                job.Result?.Score))];
        }
    }

    /// <summary>Forgets a video: its result, its place, or the work on it, which is stopped.</summary>
    /// <param name="isIdle">Whether nobody works on it, so that its file is the caller's to delete.</param>
    public bool TryRemove(string id, [MaybeNullWhen(false)] out VideoJob job, out bool isIdle)
    {
        lock (_lock)
        {
            DropExpired();
            if (!_jobs.Remove(id, out job))
            {
                isIdle = false;
                return false;
            }

            _waiting.Remove(job);
            _ended.Remove(job);
            isIdle = job != _running;
        }

        job.Cancel();
        return true;
    }

    private int? PositionOf(VideoJob job) => job.State == JobState.Queued ? _waiting.IndexOf(job) + 1 : null;

    private void DropExpired()
    {
        int count = 0;
        while (count < _ended.Count && (_ended.Count - count > MostResults || time.GetElapsedTime(_ended[count].Ended) > keep))
        {
            _jobs.Remove(_ended[count].Id);
            count++;
        }

        _ended.RemoveRange(0, count);
    }
}
