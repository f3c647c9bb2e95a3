using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Doctor;

/// <summary>Folders that runs write to.</summary>
internal static class FolderChecks
{
    private const long LittleSpace = 1L << 30;

    public static Check Run(string name, string folder)
    {
        string existing = NearestExisting(Path.GetFullPath(folder));
        if (File.Exists(existing))
        {
            return Check.Fail(name, $"{folder}: {existing} is a file", "choose another folder");
        }

        try
        {
            string probe = Path.Combine(existing, $".cudatrainer-{Guid.NewGuid():N}.tmp");
            using (new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose))
            {
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Check.Fail(name, $"{folder}: cannot write: {exception.Message}", "choose another folder, or change its permissions");
        }

        long free = new DriveInfo(existing).AvailableFreeSpace;
        string found = $"{folder}: writable{(Directory.Exists(folder) ? "" : " (will be made)")}, {MetricText.Size(free)} free";
        return free < LittleSpace
            ? Check.Warn(name, found, "a cached clip takes about 320 KiB, a run about 100 MiB; free some space")
            : Check.Ok(name, found);
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
