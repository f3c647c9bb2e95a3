using CudaTrainer.Engine;
using CudaTrainer.Formats;

namespace CudaTrainer.Live.Events;

/// <summary>
/// The folder of events, CAMERA/DAY/ID.mp4, ID.png and ID.json, and which of them stay. Only files are deleted whose name, day and camera
/// make those of an event together; links are left alone and not followed.
/// </summary>
internal sealed class EventFolder : IDisposable
{
    private const string LockName = ".cudatrainer-events";

    private static readonly EnumerationOptions NoLinks = new()
    {
        AttributesToSkip = FileAttributes.ReparsePoint,
        IgnoreInaccessible = true,
    };

    private readonly EventOptions _options;
    private readonly FolderLock _lock;

    /// <exception cref="RunException">The folder cannot be written, or another program writes to it.</exception>
    public EventFolder(EventOptions options)
    {
        _options = options;
        Path = System.IO.Path.GetFullPath(options.Events!);
        try
        {
            Directory.CreateDirectory(Path);
            _lock = FolderLock.Take(Path, LockName);
        }
        catch (FolderLockedException exception)
        {
            throw new RunException($"{exception.Message}.", $"Stop it, or choose another {SettingName.Of(nameof(EventOptions.Events))}.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            string reason = exception is UnauthorizedAccessException ? "permission denied" : exception.Message.TrimEnd('.');
            throw new RunException($"The folder of events '{Path}' cannot be written: {reason}.",
                $"Choose another {SettingName.Of(nameof(EventOptions.Events))}.");
        }
    }

    public string Path { get; }

    /// <summary>The bytes of an event's files.</summary>
    public long BytesOf(string id, string camera) =>
        new DirectoryInfo(System.IO.Path.Combine(Path, EventName.Folder(id, camera))).EnumerateFiles($"{id}.*", NoLinks)
            .Sum(file => file.Length);

    /// <summary>Deletes what killed processes left; nobody else writes here.</summary>
    public void DeleteUnfinished()
    {
        foreach (FileInfo file in Days(Path).SelectMany(day => day.EnumerateFiles(".*", NoLinks)).ToArray())
        {
            if (EventName.IsUnfinished(file.Name))
            {
                file.Delete();
            }
        }
    }

    /// <summary>Deletes events that are too old, and the oldest while there are too many.</summary>
    /// <param name="isOpen">Events that are being written stay.</param>
    public void DeleteOld(DateTimeOffset now, Func<string, bool> isOpen)
    {
        if (_options.KeepDays is null && _options.KeepMb is null)
        {
            return;
        }

        SavedEvent[] events = [.. Events(Path).OrderBy(saved => saved.Id, StringComparer.Ordinal)];
        double most = _options.MostBytes, bytes = events.Sum(saved => saved.Bytes);
        TimeSpan longest = _options.KeepDays is { } days ? TimeSpan.FromDays(days) : TimeSpan.MaxValue;
        foreach (SavedEvent saved in events.Where(saved => !isOpen(saved.Id)))
        {
            if (bytes > most || now - EventName.StartOf(saved.Id) > longest)
            {
                Delete(saved);
                bytes -= saved.Bytes;
            }
        }
    }

    /// <summary>The latest events of a folder, newest first; what cannot be read is passed over.</summary>
    /// <remarks>
    /// Whoever can write to the folder decides what stands in a file of an event, and the server hands out the files it names: only those
    /// of the event itself are taken over.
    /// </remarks>
    public static IReadOnlyList<EventEnded> Latest(string path, int most)
    {
        List<EventEnded> events = [];
        IEnumerable<SavedEvent> all = Directory.Exists(path) ? Events(path) : [];
        foreach (SavedEvent saved in all.OrderByDescending(saved => saved.Id, StringComparer.Ordinal))
        {
            if (events.Count == most)
            {
                break;
            }

            if (EventJson.Read(System.IO.Path.Combine(saved.Folder, $"{saved.Id}.json")) is { } ended && ended.Id == saved.Id)
            {
                HashSet<string> own = [.. saved.Files.Select(file => System.IO.Path.GetRelativePath(path, file.FullName))];
                events.Add(ended with
                {
                    Clips = [.. ended.Clips.Where(own.Contains)],
                    Snapshot = ended.Snapshot is { } snapshot && own.Contains(snapshot) ? snapshot : null,
                });
            }
        }

        return events;
    }

    public void Dispose() => _lock.Dispose();

    private static void Delete(SavedEvent saved)
    {
        // What says that there is an event goes last.
        foreach (FileInfo file in saved.Files.OrderBy(file => file.Extension == ".json"))
        {
            file.Delete();
        }

        if (!Directory.EnumerateFileSystemEntries(saved.Folder).Any())
        {
            Directory.Delete(saved.Folder);
        }
    }

    private static IEnumerable<DirectoryInfo> Days(string path) => new DirectoryInfo(path).EnumerateDirectories("*", NoLinks)
        .SelectMany(camera => camera.EnumerateDirectories("*", NoLinks)).Where(day => EventName.IsDay(day.Name));

    private static IEnumerable<SavedEvent> Events(string path) =>
        from day in Days(path)
        from file in day.EnumerateFiles("*", NoLinks)
        let id = EventName.IdOf(file.Name)
        where id is not null && EventName.IsAt(id, day.Parent!.Name, day.Name)
        group file by (Id: id, Folder: day.FullName) into files
        select new SavedEvent(files.Key.Id, files.Key.Folder, [.. files]);

    private sealed record SavedEvent(string Id, string Folder, FileInfo[] Files)
    {
        public long Bytes { get; } = Files.Sum(file => file.Length);
    }
}
