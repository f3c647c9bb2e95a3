using System.Reflection;
using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>
/// How the native libraries that <c>native/</c> builds are found: beside the program, or where it keeps those of NuGet packages.
/// </summary>
internal static class NativeShim
{
    /// <summary>
    /// The folders of native libraries that the program's .deps.json names, as the runtime's host sets them: of packages those below
    /// <c>runtimes</c>.
    /// </summary>
    private const string PackageFolders = "NATIVE_DLL_SEARCH_DIRECTORIES";

    /// <summary>Where the library may lie, in the order in which it is tried.</summary>
    /// <param name="file">The file's name.</param>
    /// <param name="variable">The environment variable with the path to try before every other place.</param>
    public static IReadOnlyList<string> Candidates(string file, string variable)
    {
        List<string> candidates = [];
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } chosen)
        {
            candidates.Add(Path.GetFullPath(chosen));
        }

        candidates.Add(Path.Combine(AppContext.BaseDirectory, file));
        if (Path.GetDirectoryName(Assembly.GetExecutingAssembly().Location) is { Length: > 0 } folder)
        {
            candidates.Add(Path.Combine(folder, file));
        }

        // Only where they have it: in a message, the runtime's own folders would say nothing.
        candidates.AddRange(((string?)AppContext.GetData(PackageFolders) ?? string.Empty)
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(packages => Path.Combine(packages, file))
            .Where(File.Exists));
        candidates.Add(file);
        return [.. candidates.Distinct()];
    }

    /// <summary>
    /// A library by its path, or by its name where the runtime looks for it: in the program's packages, where whoever loaded this assembly
    /// says (a plug-in's load context, an interactive session), and where the system does.
    /// </summary>
    /// <exception cref="DllNotFoundException">There is none, or one that it needs is missing.</exception>
    /// <exception cref="BadImageFormatException">Not a library of this architecture.</exception>
    public static nint Open(string candidate) => Path.IsPathRooted(candidate)
        ? NativeLibrary.Load(candidate)
        : NativeLibrary.Load(candidate, typeof(NativeShim).Assembly, searchPath: null);

    /// <summary>Loads the first library that loads and has the interface that this program was built for.</summary>
    /// <param name="candidates">Paths, or names for the system's loader.</param>
    /// <param name="load">Path → what <typeparamref name="T"/> binds of the library.</param>
    /// <returns>The library and its path, or null and every path with the reason why it was not taken.</returns>
    public static (T? Library, string Detail) Load<T>(IEnumerable<string> candidates, Func<string, T> load)
        where T : class
    {
        List<string> attempts = [];
        foreach (string candidate in candidates)
        {
            try
            {
                return (load(candidate), candidate);
            }
            catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
            {
                attempts.Add($"{candidate} ({Reason(candidate, exception.Message)})");
            }
        }

        return (null, string.Join(", ", attempts));
    }

    /// <summary>
    /// The loader's own words, for example which dependency is missing: .NET has them in the second line, behind general advice, and for a
    /// name without a folder behind the folder that it tried first.
    /// </summary>
    private static string Reason(string candidate, string message)
    {
        string[] lines = message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string line = (lines.Length > 1 ? lines[1] : lines[0]).TrimEnd('.');
        string own = candidate + ": ";
        int at = line.LastIndexOf(own, StringComparison.Ordinal);
        return at < 0 ? line : line[(at + own.Length)..];
    }
}
