using System.Globalization;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>
/// Saves events, on a thread of its own: nobody waits for a disk. What it cannot save it tells, and goes on with the next. When the disk
/// is slower than the events, the oldest clips that are not saved yet are given up.
/// </summary>
internal sealed class EventArchive : IDisposable
{
    /// <summary>Bytes of packets that may wait, and jobs.</summary>
    internal const long MostBytes = 256L << 20;
    internal const int MostJobs = 256;

    /// <summary>For a step that does not look at the clock.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly EventFolder _folder;
    private readonly bool _isPrivate;
    private readonly double _mostBytes;
    private readonly Action<LiveNews> _news;
    private readonly TimeProvider _time;
    private readonly Thread _thread;
    private readonly CancellationTokenSource _stopping = new();
    private readonly LinkedList<Job> _waiting = new();
    private readonly HashSet<string> _open = [];
    private long _bytes;
    private bool _isComplete, _hasToldTooLarge;

    /// <exception cref="RunException">The folder cannot be written, or another program writes to it.</exception>
    public EventArchive(EventOptions options, Action<LiveNews> news, TimeProvider time)
    {
        _folder = new EventFolder(options);
        (_isPrivate, _news, _time) = (options.Privacy, news, time);
        _mostBytes = options.MostBytes;
        _thread = new Thread(Run) { IsBackground = true, Name = "event archive", Priority = ThreadPriority.BelowNormal };
        _thread.Start();
    }

    /// <summary>The extension of clips, without a dot.</summary>
    public string ContainerOf(PacketTap tap) => _isPrivate ? "mp4" : tap.Container ?? "mp4";

    /// <summary>Saves a clip.</summary>
    /// <param name="file">In the folder of events.</param>
    /// <param name="clip">Becomes the archive's.</param>
    public void Save(string id, string file, PacketClip clip) => Enqueue(new Job(id, file, clip, clip.Bytes, null, []));

    /// <summary>Saves picture and JSON of an event that is over, once its clips are saved.</summary>
    /// <param name="peak">The packets of its peak, which become the archive's; null for no picture.</param>
    /// <param name="frames">Seconds of the picture's frames.</param>
    public void Save(EventEnded ended, PacketClip? peak, double[] frames) =>
        Enqueue(new Job(ended.Id, string.Empty, peak, 0, ended, frames));

    /// <summary>Tells that something of an event is lost.</summary>
    public void Tell(string? id, string reason) => _news(new ArchiveTrouble(_time.GetUtcNow(), id, reason));

    /// <summary>Takes nothing more; what waits is still saved.</summary>
    public void Complete()
    {
        lock (_waiting)
        {
            _isComplete = true;
            Monitor.PulseAll(_waiting);
        }
    }

    /// <summary>Waits until all is saved.</summary>
    /// <param name="limit">After which the rest is given up.</param>
    public void Stop(TimeSpan limit)
    {
        Complete();
        if (!_thread.Join(limit))
        {
            _stopping.Cancel();
            _thread.Join(Grace);
        }

        int left;
        lock (_waiting)
        {
            left = _waiting.Count;
            while (_waiting.First is { } first)
            {
                Remove(first);
                first.Value.Clip?.Dispose();
            }
        }

        if (left > 0)
        {
            Tell(null, $"{left} files of events were not saved before the program had to end");
        }
    }

    public void Dispose()
    {
        Stop(TimeSpan.Zero);
        if (!_thread.IsAlive)
        {
            _folder.Dispose();
            _stopping.Dispose();
        }
    }

    private void Enqueue(Job job)
    {
        List<Job> dropped = [];
        lock (_waiting)
        {
            if (_isComplete)
            {
                dropped.Add(job);
            }
            else
            {
                _open.Add(job.Id);
                _waiting.AddLast(job);
                _bytes += job.Bytes;
                while (_waiting.Count > 1 && (_bytes > MostBytes || _waiting.Count > MostJobs))
                {
                    // A clip first: the JSON is small, and says what there was.
                    LinkedListNode<Job> oldest = _waiting.First!;
                    for (LinkedListNode<Job>? node = oldest; node is not null && oldest.Value.Ended is not null; node = node.Next)
                    {
                        oldest = node.Value.Ended is null ? node : oldest;
                    }

                    dropped.Add(oldest.Value);
                    Remove(oldest);
                }
            }

            Monitor.PulseAll(_waiting);
        }

        foreach (Job lost in dropped)
        {
            lost.Clip?.Dispose();
            Tell(lost.Id, $"{(lost.Ended is null ? $"'{lost.File}' is" : "picture and JSON are")} not saved: the disk does not keep up");
        }
    }

    private void Remove(LinkedListNode<Job> node)
    {
        _waiting.Remove(node);
        _bytes -= node.Value.Bytes;
        if (node.Value.Ended is not null)
        {
            _open.Remove(node.Value.Id);
        }
    }

    private void Run()
    {
        Try(null, "events that are over cannot be deleted", () =>
        {
            _folder.DeleteUnfinished();
            DeleteOld();
        });
        while (Next() is { } job)
        {
            using PacketClip? clip = job.Clip;
            if (job.Ended is { } ended)
            {
                SaveEnded(ended, clip, job.Frames);
                Try(null, "old events cannot be deleted", DeleteOld);

                // Not earlier: an event must not go by the very deletion that makes room for it.
                lock (_waiting)
                {
                    _open.Remove(ended.Id);
                }
            }
            else
            {
                Try(job.Id, $"'{job.File}' is not saved", () => SaveClip(job.File, clip!));
            }
        }
    }

    private Job? Next()
    {
        lock (_waiting)
        {
            while (_waiting.Count == 0 && !_isComplete)
            {
                Monitor.Wait(_waiting);
            }

            if (_waiting.First is not { } first || _stopping.IsCancellationRequested)
            {
                return null;
            }

            _waiting.RemoveFirst();
            _bytes -= first.Value.Bytes;
            return first.Value;
        }
    }

    private void SaveClip(string file, PacketClip clip)
    {
        string path = PathOf(file);
        if (_isPrivate)
        {
            Pixelation.Write(clip, path, _stopping.Token);
            return;
        }

        using AtomicFile target = AtomicFile.Create(path);
        clip.Save(target.TemporaryPath);
        target.Commit();
    }

    private void SaveEnded(EventEnded ended, PacketClip? peak, double[] frames)
    {
        string? snapshot = ended.Snapshot;
        if (peak is not null && snapshot is not null)
        {
            bool isSaved = Try(ended.Id, $"'{snapshot}' is not saved", () => AtomicFile.WriteAllBytes(PathOf(snapshot),
                Snapshot.Draw(peak, frames, _isPrivate, _stopping.Token) ?? throw new IOException("none of its frames decodes")));
            snapshot = isSaved ? snapshot : null;
        }

        string json = $"{EventName.Folder(ended.Id, ended.Camera)}/{ended.Id}.json";
        string[] clips = [.. ended.Clips.Where(clip => File.Exists(Path.Combine(_folder.Path, clip)))];
        bool isThere = Try(ended.Id, $"'{json}' is not saved",
            () => AtomicFile.WriteAllBytes(PathOf(json), EventJson.Indented(ended with { Clips = clips, Snapshot = snapshot })));
        if (isThere)
        {
            long bytes = 0;
            Try(ended.Id, "its size is unknown", () => bytes = _folder.BytesOf(ended.Id, ended.Camera));
            _news(new EventSaved(_time.GetUtcNow(), ended.Id, ended.Camera, json, bytes));
            if (bytes > _mostBytes && !_hasToldTooLarge)
            {
                _hasToldTooLarge = true;
                string sizes = string.Create(CultureInfo.InvariantCulture,
                    $"{_mostBytes / 1e6} is smaller than one event, of {bytes / 1e6:0.##} MB");
                Tell(ended.Id, $"{SettingName.Of(nameof(EventOptions.KeepMb))} {sizes}; each is kept until the next is saved: give more");
            }
        }
    }

    private void DeleteOld() => _folder.DeleteOld(_time.GetUtcNow(), id =>
    {
        lock (_waiting)
        {
            return _open.Contains(id);
        }
    });

    private string PathOf(string file)
    {
        string path = Path.Combine(_folder.Path, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }

    /// <summary>Whatever is wrong with one file, or with this program, must not keep the next from being saved.</summary>
    private bool Try(string? id, string trouble, Action work)
    {
        try
        {
            work();
            return true;
        }
        catch (OperationCanceledException)
        {
            Tell(id, $"{trouble}: the program had to end");
        }
        catch (Exception exception)
        {
            Tell(id, $"{trouble}: {(exception as VideoException)?.Reason ?? exception.Message.TrimEnd('.')}");
        }

        return false;
    }

    /// <summary>A clip, or what is written of an event in the end.</summary>
    private sealed record Job(string Id, string File, PacketClip? Clip, long Bytes, EventEnded? Ended, double[] Frames);
}
