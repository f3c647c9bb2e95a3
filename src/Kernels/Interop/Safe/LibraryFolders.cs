using System.Globalization;

namespace CudaTrainer.Kernels.Interop;

/// <summary>Where CUDA's libraries lie when the system's loader does not know them, in the order in which they are looked at.</summary>
internal static class LibraryFolders
{
    public static IEnumerable<string> All()
    {
        bool windows = OperatingSystem.IsWindows();
        foreach (string root in Variables("CUDA_PATH", "CUDA_HOME"))
        {
            yield return Path.Combine(root, windows ? "bin" : "lib64");
            if (windows)
            {
                yield return Path.Combine(root, "bin", "x64");
            }
        }

        if (!windows)
        {
            foreach (string root in Matching("/usr/local", "cuda*").OrderDescending(StringComparer.Ordinal))
            {
                yield return Path.Combine(root, "lib64");
            }

            // Where Windows shows its driver to Linux.
            yield return "/usr/lib/wsl/lib";
        }

        foreach (string root in Variables("VIRTUAL_ENV", "CONDA_PREFIX"))
        {
            string lib = Path.Combine(root, windows ? "Lib" : "lib");
            yield return windows ? Path.Combine(root, "Library", "bin") : lib;

            // What pip installs: nvidia/cublas/lib, nvidia/cudnn/lib, …; nvidia/cu13/lib from CUDA 13 on.
            IEnumerable<string> packages = windows ? [Path.Combine(lib, "site-packages")] : Matching(lib, "python3*").Select(python => Path.Combine(python, "site-packages"));
            foreach (string package in packages.SelectMany(folder => Matching(Path.Combine(folder, "nvidia"), "*")))
            {
                yield return Path.Combine(package, windows ? "bin" : "lib");
            }
        }

        yield return AppContext.BaseDirectory;
    }

    private static IEnumerable<string> Variables(params string[] names) => names.Select(Environment.GetEnvironmentVariable).OfType<string>().Where(value => value.Length > 0).Distinct();

    private static string[] Matching(string folder, string pattern) => Directory.Exists(folder) ? [.. Directory.GetDirectories(folder, pattern).Order(StringComparer.Ordinal)] : [];
}

/// <summary>The file that a loaded function lies in: the loader is asked by name, and does not say what it found.</summary>
internal static class LoadedFile
{
    /// <returns>Null where the system does not tell.</returns>
    public static string? Of(nint function)
    {
        const string Maps = "/proc/self/maps";
        if (!File.Exists(Maps))
        {
            return null;
        }

        // 7f0c4b200000-7f0c4b2aa000 r-xp 00000000 08:01 131104    /usr/lib/…/libcuda.so.550.54
        foreach (string line in File.ReadLines(Maps))
        {
            string[] range = line.Split(' ', 2)[0].Split('-');
            int path = line.IndexOf('/', StringComparison.Ordinal);
            if (path > 0 && Address(range[0]) <= (ulong)function && (ulong)function < Address(range[1]))
            {
                return line[path..];
            }
        }

        return null;
    }

    private static ulong Address(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
