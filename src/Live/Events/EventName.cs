using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace CudaTrainer.Live.Events;

/// <summary>Names of events, cameras and files: safe on every file system and in topics, and known again by their form.</summary>
internal static partial class EventName
{
    private const string TimeForm = "yyyyMMdd'T'HHmmssfff'Z'";
    private const int MostOfCamera = 64;

    /// <summary>Of an event: when it began, to the millisecond, and which camera's it is.</summary>
    public static string Id(DateTimeOffset start, string camera) =>
        $"{start.UtcDateTime.ToString(TimeForm, CultureInfo.InvariantCulture)}-{Digest(camera)}";

    /// <summary>When an event began.</summary>
    public static DateTimeOffset StartOf(string id) =>
        DateTimeOffset.ParseExact(id[..id.IndexOf('-')], TimeForm, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    /// <summary>Of the folder and the topic of a camera; its own name where that is plain.</summary>
    public static string Safe(string camera)
    {
        string plain = string.Concat(camera.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_'));
        return plain == camera && plain.Length is > 0 and <= MostOfCamera
            ? camera
            : $"{plain[..Math.Min(plain.Length, MostOfCamera)]}-{Digest(camera)}";
    }

    /// <summary>The folder of an event below that of all events: camera and day in UTC.</summary>
    public static string Folder(string id, string camera) =>
        $"{Safe(camera)}/{StartOf(id).UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}";

    /// <param name="part">From 1.</param>
    /// <param name="container">Without a dot.</param>
    public static string Clip(string id, int part, string container) => part == 1 ? $"{id}.{container}" : $"{id}.{part}.{container}";

    /// <summary>The event that a file in a folder of events belongs to; null for a file of any other name.</summary>
    public static string? IdOf(string fileName) =>
        File().Match(fileName) is { Success: true } match && IsTime(match.Groups["time"].Value) ? match.Groups["id"].Value : null;

    /// <summary>Whether a file is what a killed process left of a file of an event.</summary>
    public static bool IsUnfinished(string fileName) =>
        Unfinished().Match(fileName) is { Success: true } match && IdOf(match.Groups["name"].Value) is not null;

    /// <summary>Whether an event with this name lies in this folder of a day, in that of a camera.</summary>
    public static bool IsAt(string id, string camera, string day) =>
        Folder(id, string.Empty).EndsWith($"/{day}", StringComparison.Ordinal)
            && id[^8..] is var digest && (Digest(camera) == digest || camera.EndsWith($"-{digest}", StringComparison.Ordinal));

    public static bool IsDay(string folderName) =>
        DateOnly.TryParseExact(folderName, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _);

    private static bool IsTime(string text) =>
        DateTime.TryParseExact(text, TimeForm, CultureInfo.InvariantCulture, DateTimeStyles.None, out _);

    private static string Digest(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 4));

    [GeneratedRegex(@"^(?<id>(?<time>\d{8}T\d{9}Z)-[0-9a-f]{8})(\.(png|json)|(\.\d{1,6})?\.(mp4|mkv))$", RegexOptions.CultureInvariant)]
    private static partial Regex File();

    [GeneratedRegex(@"^\.(?<name>[^/]+)\.\d+-\d+\.(tmp|partial)$", RegexOptions.CultureInvariant)]
    private static partial Regex Unfinished();
}
