using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>Where a training run is on its way.</summary>
internal enum RunStage
{
    /// <summary>There is none in the folder yet.</summary>
    Absent,

    /// <summary>It has begun, and no epoch has ended.</summary>
    Starting,

    /// <summary>Some process writes to the folder.</summary>
    Running,

    /// <summary>Nobody writes to the folder, and there are no results.</summary>
    Stopped,

    Finished,

    /// <summary>A file of it cannot be read, at least at this moment.</summary>
    Damaged,
}

/// <summary>A training run at one moment.</summary>
/// <param name="Message">What is wrong, without the folder's path; null if nothing is.</param>
/// <param name="Record">As last read whole; null before that.</param>
/// <param name="Updated">When the history was last written, UTC; null before the first epoch has ended.</param>
/// <param name="Remaining">At most, by the last few epochs; null where nobody trains. Early stopping may end it sooner.</param>
internal sealed record RunState(RunStage Stage, string? Message, RunRecord? Record, DateTime? Updated, TimeSpan? Remaining)
{
    /// <summary>The last epoch that has ended; 0 before the first.</summary>
    public int Epoch => Record is { History: [.., var last] } ? last.Epoch : 0;

    public int Epochs => Record?.Options.Epochs ?? 0;
}

/// <summary>Looks at a folder that a training run may be writing to. Safe for any number of threads.</summary>
/// <param name="folder">It need not exist yet.</param>
internal sealed class RunWatch(string folder, TimeProvider time)
{
    /// <summary>Epochs that the time of an epoch is the mean of.</summary>
    private const int RecentEpochs = 5;

    /// <summary>The folder's lock is touched every second; clocks of two machines may differ.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

    private volatile RunRecord? _last;

    /// <summary>The folder's last part.</summary>
    public string Name { get; } = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));

    /// <summary>Reads the folder anew; whatever is in it is an answer and no exception.</summary>
    public RunState Read()
    {
        string? message = null;
        RunRecord? run = _last;
        try
        {
            if (!File.Exists(Path.Combine(folder, RunFolder.ConfigName)))
            {
                _last = null;
                return new RunState(RunStage.Absent, null, null, null, null);
            }

            _last = run = RunRecord.LoadCourse(folder);
        }
        catch (Exception exception) when (exception is RunException or FileFormatException or IOException or UnauthorizedAccessException)
        {
            // What was read before is still worth seeing; a copy under way is whole a moment later.
            message = exception.Message.Replace(folder + Path.DirectorySeparatorChar, string.Empty, StringComparison.Ordinal);
        }

        DateTime now = time.GetUtcNow().UtcDateTime;
        bool isWritten = FolderLock.LastBeat(folder, RunFolder.LockName) is { } beat && now - beat < Silence;
        string history = Path.Combine(folder, RunFolder.HistoryName);
        DateTime? updated = File.Exists(history) ? File.GetLastWriteTimeUtc(history) : null;
        RunStage stage = message is not null ? RunStage.Damaged
            : !isWritten ? run!.Result is null ? RunStage.Stopped : RunStage.Finished
            : run!.History.Count == 0 ? RunStage.Starting : RunStage.Running;
        return new RunState(stage, message, run, updated, isWritten ? RemainingOf(run, now - updated) : null);
    }

    /// <param name="since">Time since the last epoch ended.</param>
    private static TimeSpan? RemainingOf(RunRecord? run, TimeSpan? since)
    {
        if (run is not { History: [.., var last] history } || since is not { } passed)
        {
            return null;
        }

        double epoch = history.TakeLast(RecentEpochs).Select(row => row["seconds"]).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average();
        double left = ((run.Options.Epochs - last.Epoch) * epoch) - passed.TotalSeconds;
        return double.IsFinite(left) ? TimeSpan.FromSeconds(Math.Clamp(left, 0, TimeSpan.MaxValue.TotalSeconds / 2)) : null;
    }
}
