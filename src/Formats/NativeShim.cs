using System.Reflection;

namespace CudaTrainer.Formats;

/// <summary>How the program's own native libraries are found: those that <c>native/</c> builds beside it.</summary>
public static class NativeShim
{
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

        candidates.Add(file);
        return [.. candidates.Distinct()];
    }

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
    /// The loader's own words, for example which dependency is missing: .NET has them in the second line, behind general advice.
    /// </summary>
    private static string Reason(string candidate, string message)
    {
        string[] lines = message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string line = (lines.Length > 1 ? lines[1] : lines[0]).TrimEnd('.');
        string prefix = candidate + ": ";
        return line.StartsWith(prefix, StringComparison.Ordinal) ? line[prefix.Length..] : line;
    }
}
