namespace CudaTrainer.Formats;

/// <summary>A file's content is not what its format, or its use here, requires.</summary>
/// <remarks>The message is complete on its own: it names the file, says what was wrong and ends with the hint.</remarks>
/// <param name="path">The file.</param>
/// <param name="message">What was expected and what was found, without the file's name and without a final stop.</param>
/// <param name="hint">What the user can do about it, as a sentence; null when nothing useful can be said.</param>
/// <param name="inner">The lower-level cause, if any.</param>
public sealed class FileFormatException(string path, string message, string? hint = null, Exception? inner = null)
    : Exception(Compose(path, message, hint), inner)
{
    public string Path { get; } = path;

    public string? Hint { get; } = hint;

    private static string Compose(string path, string message, string? hint) =>
        hint is null ? $"'{path}': {Printable(message)}." : $"'{path}': {Printable(message)}. {hint}";

    /// <summary>Messages quote the file, whose names may be endless or hold a terminal's control sequences.</summary>
    private static string Printable(string message)
    {
        const int limit = 8000;
        string shown = message.Length > limit ? message[..limit] + "…" : message;
        return shown.Any(char.IsControl) ? string.Concat(shown.Select(c => char.IsControl(c) ? '\uFFFD' : c)) : shown;
    }
}
