using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Doctor;

/// <summary>Folders that runs write to.</summary>
internal static class FolderChecks
{
    private const long LittleSpace = 1L << 30;
    private const int ProbeBytes = 16 << 20;

    /// <summary>MB/s.</summary>
    private const double SlowDisk = 20;

    public static Check Run(string name, string folder) => Run(name, folder, measure: false);

    /// <summary>As <see cref="Run(string, string)"/>, and how fast a file there is written and safely on the disk.</summary>
    public static Check RunWithSpeed(string name, string folder) => Run(name, folder, measure: true);

    private static Check Run(string name, string folder, bool measure)
    {
        string existing = NearestExisting(Path.GetFullPath(folder));
        if (File.Exists(existing))
        {
            return Check.Fail(name, $"{folder}: {existing} is a file", "choose another folder");
        }

        try
        {
            long free = new DriveInfo(existing).AvailableFreeSpace;
            double? speed = Probe(existing, measure && free > 2 * ProbeBytes ? ProbeBytes : 0);
            string found = $"{folder}: writable{(Directory.Exists(folder) ? "" : " (will be made)")}, {MetricText.Size(free)} free{(speed is { } megabytes ? string.Create(CultureInfo.InvariantCulture, $", writes {megabytes:0} MB/s") : "")}";
            return free < LittleSpace ? Check.Warn(name, found, "a cached clip takes about 320 KiB, a run about 100 MiB; free some space")
                : speed < SlowDisk ? Check.Warn(name, found,
                    "an epoch's checkpoint is about 30 MB, a thousand cached clips 330 MB; choose a folder on a local disk")
                : Check.Ok(name, found);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Check.Fail(name, $"{folder}: cannot write: {exception.Message}", "choose another folder, or change its permissions");
        }
    }

    /// <summary>Writes a file and removes it.</summary>
    /// <returns>MB/s until it was on the disk; null if there was nothing to write.</returns>
    private static double? Probe(string folder, int bytes)
    {
        // Random: some file systems compress.
        byte[] content = new byte[bytes];
        Random.Shared.NextBytes(content);
        using var file = new FileStream(Path.Combine(folder, $".cudatrainer-{Guid.NewGuid():N}.tmp"), FileMode.CreateNew, FileAccess.Write,
            FileShare.None, 1, FileOptions.DeleteOnClose);
        long began = Stopwatch.GetTimestamp();
        file.Write(content);
        file.Flush(flushToDisk: true);
        return bytes == 0 ? null : bytes / 1e6 / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private static string NearestExisting(string folder)
    {
        while (!Path.Exists(folder) && Path.GetDirectoryName(folder) is { } parent)
        {
            folder = parent;
        }

        return folder;
    }
}
