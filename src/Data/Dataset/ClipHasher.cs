using System.Diagnostics;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>Gives each clip its content hash, reading only files that the index does not know.</summary>
internal sealed class ClipHasher(ContentHashIndex index, DatasetOptions options, CancellationToken cancellation)
{
    // Hashing hundreds of gigabytes takes hours; an interruption should cost seconds.
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Stopwatch _sinceSave = Stopwatch.StartNew();
    private int _done;
    private int _total;

    /// <summary>Files that had to be read.</summary>
    public int FilesRead => _total;

    /// <summary>Completes clips whose hash is still empty.</summary>
    /// <param name="clips">Clips, changed in place.</param>
    /// <param name="facts">What the file system said about each when it was found.</param>
    public void Hash(Clip[] clips, IReadOnlyList<FileFacts> facts)
    {
        var unknown = new List<int>();
        for (int i = 0; i < clips.Length; i++)
        {
            if (FaultOf(facts[i].Kind) is { } fault)
            {
                clips[i] = WithFault(clips[i], fault);
            }
            else if (index.Find(clips[i].Path, facts[i]) is { } hash)
            {
                clips[i] = clips[i] with { ContentHash = hash };
            }
            else
            {
                unknown.Add(i);
            }
        }

        _total = unknown.Count;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, options.HashThreads), CancellationToken = cancellation };
        try
        {
            System.Threading.Tasks.Parallel.ForEach(unknown, parallel, i =>
            {
                clips[i] = Hash(clips[i]);
                Report();
            });
        }
        catch (AggregateException exception) when (exception.InnerExceptions.Any(inner => inner is OperationCanceledException))
        {
            throw new OperationCanceledException(exception.Message, exception, cancellation);
        }
        finally
        {
            index.Save();
        }
    }

    private static string? FaultOf(FileKind kind) => kind switch
    {
        FileKind.Regular => null,
        FileKind.Missing => ClipFault.BrokenLink,
        _ => ClipFault.NotRegularFile,
    };

    private static Clip WithFault(Clip clip, string fault) =>
        clip with { Fault = fault, ContentHash = FileHash.OfText(clip.RelativePath) };

    private Clip Hash(Clip clip)
    {
        try
        {
            long readAt = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
            var before = FileFacts.Of(clip.Path);
            string hash = FileHash.Sha256(clip.Path, cancellation);
            var after = FileFacts.Of(clip.Path);
            if (before == after)
            {
                index.Remember(clip.Path, after, hash, readAt);
            }

            return clip with { ContentHash = hash, Bytes = after.Bytes };
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            return WithFault(clip, ClipFault.Unreadable);
        }
    }

    private void Report()
    {
        lock (_lock)
        {
            _done++;
            options.HashProgress?.Invoke(_done, _total);
            if (_sinceSave.Elapsed > SaveInterval)
            {
                index.Save();
                _sinceSave.Restart();
            }
        }
    }
}
