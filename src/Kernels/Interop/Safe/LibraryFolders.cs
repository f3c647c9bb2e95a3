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

            foreach (string folder in PipFolders(lib))
            {
                yield return folder;
            }
        }

        foreach (string lib in windows ? [] : PythonLibraries())
        {
            foreach (string folder in PipFolders(lib))
            {
                yield return folder;
            }
        }

        yield return AppContext.BaseDirectory;
    }

    /// <summary>What pip installs beside a Python: nvidia/cublas/lib, nvidia/cudnn/lib, …; nvidia/cu13/lib from CUDA 13 on.</summary>
    /// <param name="lib">The library folder of the Python; on Windows that holds site-packages itself.</param>
    private static IEnumerable<string> PipFolders(string lib)
    {
        bool windows = OperatingSystem.IsWindows();
        IEnumerable<string> roots = windows ? [lib] : Matching(lib, "python3*");
        return roots.SelectMany(root => new[] { "site-packages", "dist-packages" }.Select(name => Path.Combine(root, name, "nvidia")))
            .SelectMany(nvidia => Matching(nvidia, "*"))
            .Select(package => Path.Combine(package, windows ? "bin" : "lib"));
    }

    /// <summary>
    /// The library folders of the Pythons on the path, as they are named and where their links lead, and of what the user installed for
    /// itself.
    /// </summary>
    private static IEnumerable<string> PythonLibraries()
    {
        IEnumerable<string> programs = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, "python3"))
            .Where(File.Exists);
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        IEnumerable<string> prefixes = programs
            .SelectMany(program => new[] { program, Target(program) })
            .Select(program => Path.GetDirectoryName(Path.GetDirectoryName(program)))
            .OfType<string>()
            .Concat(home.Length > 0 ? [Path.Combine(home, ".local")] : []);
        return prefixes.SelectMany(prefix => new[] { Path.Combine(prefix, "lib"), Path.Combine(prefix, "local", "lib") }).Distinct();
    }

    private static IEnumerable<string> Variables(params string[] names) =>
        names.Select(Environment.GetEnvironmentVariable).OfType<string>().Where(value => value.Length > 0).Distinct();

    /// <summary>Where a link leads in the end; the file itself where there is no link or none that can be followed.</summary>
    private static string Target(string file)
    {
        try
        {
            return File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return file;
        }
    }

    /// <returns>Nothing for a folder that is not there or cannot be read: looking for libraries never fails.</returns>
    private static string[] Matching(string folder, string pattern)
    {
        try
        {
            return Directory.Exists(folder) ? [.. Directory.GetDirectories(folder, pattern).Order(StringComparer.Ordinal)] : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
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
