namespace CudaTrainer.Serve;

/// <summary>
/// A folder that only this user can look into, with one file for each upload. It is gone when the program ends; after a crash the next
/// start removes it. One that a cleaner of temporary files removes is made anew.
/// </summary>
/// <remarks>
/// The lock file in it is held as long as its program lives, whatever ends it: a folder whose lock can be had belongs to nobody any more.
/// </remarks>
internal sealed class UploadFolder : IDisposable
{
    private const string Prefix = "cudatrainer-serve-";
    private const string LockName = "lock";
    private const string Extension = ".upload";

    private readonly string _path;
    private FileStream _lock;

    private UploadFolder(string path)
    {
        _path = path;
        _lock = Hold(path);
    }

    /// <summary>Makes the folder among the temporary ones, and removes those of programs that crashed.</summary>
    /// <exception cref="IOException">There is no room for it.</exception>
    public static UploadFolder Create()
    {
        DeleteStale(Path.GetTempPath());
        return new UploadFolder(Directory.CreateTempSubdirectory(Prefix).FullName);
    }

    public string FileFor(string id) => Path.Combine(_path, id + Extension);

    /// <summary>A new file to write an upload to.</summary>
    /// <exception cref="IOException">There is no room for it.</exception>
    public FileStream Open(string file)
    {
        lock (_path)
        {
            if (!File.Exists(Path.Combine(_path, LockName)))
            {
                Make(_path);
                _lock.Dispose();
                _lock = Hold(_path);
            }
        }

        return new FileStream(file, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
    }

    /// <summary>Removes an upload, unless somebody else has.</summary>
    public static void Delete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Its folder has gone, or is no longer ours: there is nothing to remove.
        }
    }

    public void Dispose()
    {
        try
        {
            Clear(_path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Somebody has removed it, or keeps files of his own in it.
        }

        _lock.Dispose();
    }

    private static void Make(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private static FileStream Hold(string path) =>
        new(Path.Combine(path, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);

    private static void DeleteStale(string parent)
    {
        foreach (string folder in Directory.EnumerateDirectories(parent, Prefix + "*"))
        {
            try
            {
                // A link, or a folder that others can write to, is none of ours.
                if (new DirectoryInfo(
                    folder) is { LinkTarget: null, UnixFileMode: UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute })
                {
                    using FileStream free = new(Path.Combine(folder, LockName), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                    Clear(folder);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // In use, another user's, or without a lock: not ours to remove.
            }
        }
    }

    /// <summary>Removes what this class makes, and nothing else.</summary>
    private static void Clear(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder, "*" + Extension))
        {
            if (VideoJob.IsId(Path.GetFileNameWithoutExtension(file)))
            {
                File.Delete(file);
            }
        }

        File.Delete(Path.Combine(folder, LockName));
        Directory.Delete(folder);
    }
}
