using System.IO.Enumeration;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>What an unfinished extraction by an earlier version left; this one extracts those videos again.</summary>
internal static class EarlierLog
{
    private const string Pattern = "rows-*.partial";

    public static bool IsName(string name) => Path.GetFileName(name) == name && FileSystemName.MatchesSimpleExpression(Pattern, name);

    public static IReadOnlyList<string> AllIn(string directory) => [.. Directory.EnumerateFiles(directory, Pattern).Where(IsOurs)];

    public static string Describe(string path) => $"'{path}' is an unfinished extraction of an earlier version, which this one cannot " +
        $"continue: those videos are extracted again, and 'cudatrainer cache clear {SettingName.Of("Stale")}' removes it.";

    private static bool IsOurs(string path)
    {
        using SafeFileHandle file = InputFile.Open(path);
        byte[] start = new byte[8];
        return RandomAccess.Read(file, start, 0) == start.Length && start.AsSpan().SequenceEqual("CTROWS\0\x01"u8);
    }
}
