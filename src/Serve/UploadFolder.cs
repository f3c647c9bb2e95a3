namespace CudaTrainer.Serve;

/// <summary>
/// A folder that only this user can look into, with one file for each upload. It is gone when the program ends; after a crash the next
/// start removes it.
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
    private readonly FileStream _lock;

    private UploadFolder(string path)
    {
        _path = path;
        _lock = new FileStream(Path.Combine(path, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
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
    public static FileStream Open(string file) => new(file, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);

    public void Dispose()
    {
        Clear(_path);
        _lock.Dispose();
    }

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
