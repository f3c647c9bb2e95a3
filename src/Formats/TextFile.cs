using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>
/// Texts that people and other programs write: UTF-8 with or without the byte-order mark that editors of Windows put before it, or UTF-16
/// or UTF-32 with one.
/// </summary>
internal static class TextFile
{
    private const string Hint = "Save it as UTF-8.";

    /// <summary>The text of a regular file.</summary>
    /// <exception cref="FileFormatException">It is no text, or no regular file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static string Read(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        using FileStream stream = new(handle, FileAccess.Read);
        return Decode(path, stream);
    }

    /// <summary>The text of what was read from <paramref name="path"/>, which may be a pipe.</summary>
    /// <exception cref="FileFormatException">It is no text.</exception>
    public static string Decode(string path, byte[] content)
    {
        using MemoryStream stream = new(content);
        return Decode(path, stream);
    }

    private static string Decode(string path, Stream stream)
    {
        using StreamReader reader = new(stream, new UTF8Encoding(false, throwOnInvalidBytes: true), detectEncodingFromByteOrderMarks: true);
        try
        {
            return reader.ReadToEnd();
        }
        catch (DecoderFallbackException exception)
        {
            throw new FileFormatException(path, "expected text in UTF-8, found bytes that are none", Hint, exception);
        }
    }
}
