using System.Security.Cryptography;
using System.Text;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// Compiled kernels on disk, in <c>CUDATRAINER_KERNEL_CACHE</c> or <c>$XDG_CACHE_HOME/cudatrainer/kernels</c>, each under the hash of
/// everything that decides it. An entry that is truncated, damaged or foreign is compiled anew; a cache that cannot be written only costs
/// time.
/// </summary>
internal static class PtxCache
{
    public const string Variable = "CUDATRAINER_KERNEL_CACHE";

    private const string Magic = "cudatrainer ptx 1\n";

    /// <summary>Where compiled kernels are kept; empty, and then they are not, for a user without a home folder.</summary>
    public static string Folder
    {
        get
        {
            if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } chosen)
            {
                return chosen;
            }

            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            string root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache
                : home.Length > 0 ? Path.Combine(home, ".cache")
                : string.Empty;
            return root.Length > 0 ? Path.Combine(root, "cudatrainer", "kernels") : string.Empty;
        }
    }

    /// <summary>The PTX of a kernel, from the cache or compiled now.</summary>
    /// <exception cref="KernelRefusedException">The method does what GPUs cannot.</exception>
    internal static string Get(KernelSource kernel, int target)
    {
        string key = $"{PtxCompiler.Version} sm_{target} {kernel.Identity}";
        string path = Path.Combine(Folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key))) + ".ptx");
        if (Read(path) is { } kept)
        {
            return kept;
        }

        string text = PtxCompiler.Compile(kernel, target);
        Write(path, text);
        return text;
    }

    private static string? Read(string path)
    {
        if (Folder.Length == 0)
        {
            return null;
        }

        try
        {
            byte[] file = File.ReadAllBytes(path);
            int header = Magic.Length + SHA256.HashSizeInBytes;
            return file.Length > header
                && Encoding.ASCII.GetString(file, 0, Magic.Length) == Magic
                && SHA256.HashData(file.AsSpan(header)).AsSpan().SequenceEqual(file.AsSpan(Magic.Length, SHA256.HashSizeInBytes))
                ? Encoding.UTF8.GetString(file.AsSpan(header))
                : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Writes beside and renames: other processes see no half-written entry.</summary>
    private static void Write(string path, string text)
    {
        if (Folder.Length == 0)
        {
            return;
        }

        string temporary = $"{path}.{Guid.NewGuid():N}";
        byte[] content = Encoding.UTF8.GetBytes(text);
        try
        {
            Directory.CreateDirectory(Folder);
            File.WriteAllBytes(temporary, [.. Encoding.ASCII.GetBytes(Magic), .. SHA256.HashData(content), .. content]);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            TryDelete(temporary);
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // What could not be written may not be removable either; it is never read.
        }
    }
}
