using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>One record of a CSV file.</summary>
/// <param name="Line">Line on which it starts, from 1.</param>
/// <param name="Fields">Its fields, unquoted.</param>
internal sealed record CsvRecord(int Line, IReadOnlyList<string> Fields);

/// <summary>CSV as in RFC 4180, and what spreadsheets make of it: any line ending, a byte-order mark, semicolons or tabs.</summary>
internal static class CsvFile
{
    // A path, a class and a source fit many times; a file without line ends is not a table.
    private const int MaxRecordCharacters = 1 << 20;

    // Millions of clips. A film given by mistake would fill the memory before its first line was looked at.
    private const long MaxFileBytes = 1 << 28;

    /// <summary>Reads every record, blank lines excepted. The separator is the one that the first line uses.</summary>
    /// <exception cref="FileFormatException">A quote without end, text after a closing quote, no text at all, or too much.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyList<CsvRecord> Read(string path) => new FileInfo(path) is { Exists: true, Length: > MaxFileBytes and var bytes }
        ? throw new FileFormatException(path, $"it has {bytes} bytes; a table of clips has at most {MaxFileBytes}", "Is it a CSV file?")
        : Parse(path, TextFile.Read(path));

    /// <inheritdoc cref="Read"/>
    /// <summary>Parses the text of a CSV file.</summary>
    public static IReadOnlyList<CsvRecord> Parse(string path, string text)
    {
        if (text.Contains('\0'))
        {
            throw new FileFormatException(path, "expected a table as text, found binary data", "Save it as CSV in UTF-8.");
        }

        char separator = FindSeparator(text);
        var records = new List<CsvRecord>();
        var fields = new List<string>();
        var field = new StringBuilder();
        int line = 1;
        int position = 0;
        while (position < text.Length)
        {
            fields.Clear();
            (int firstLine, int start) = (line, position);
            bool more;
            do
            {
                field.Clear();
                ReadField(path, text, separator, field, ref position, ref line);
                fields.Add(field.ToString());
                more = position < text.Length && text[position] == separator;
                position += more ? 1 : 0;
                if (position - start > MaxRecordCharacters)
                {
                    throw new FileFormatException(path, $"line {firstLine} is longer than {MaxRecordCharacters} characters",
                        "Is it a CSV file?");
                }
            }
            while (more);

            SkipLineEnd(text, ref position, ref line);
            if (fields.Count > 1 || fields[0].Length > 0)
            {
                records.Add(new CsvRecord(firstLine, [.. fields]));
            }
        }

        return records;
    }

    /// <summary>A value as a field: quoted when it has to be.</summary>
    public static string Quote(string value) =>
        value.AsSpan().IndexOfAny("\",\r\n") >= 0 || value.Trim().Length != value.Length ? $"\"{value.Replace("\"", "\"\"")}\"" : value;

    private static char FindSeparator(string text)
    {
        int lineEnd = text.AsSpan().IndexOfAny('\r', '\n');
        string header = lineEnd < 0 ? text : text[..lineEnd];
        return header.Contains(',') ? ',' : header.Contains(';') ? ';' : header.Contains('\t') ? '\t' : ',';
    }

    private static void ReadField(string path, string text, char separator, StringBuilder field, ref int position, ref int line)
    {
        while (position < text.Length && text[position] == ' ')
        {
            position++;
        }

        if (position == text.Length || text[position] != '"')
        {
            int length = text.AsSpan(position).IndexOfAny(separator, '\r', '\n');
            int end = length < 0 ? text.Length : position + length;
            field.Append(text.AsSpan(position, end - position).Trim());
            position = end;
            return;
        }

        int openingLine = line;
        for (position++; position < text.Length; position++)
        {
            char character = text[position];
            if (character == '"')
            {
                if (position + 1 < text.Length && text[position + 1] == '"')
                {
                    position++;
                }
                else
                {
                    position++;
                    if (position < text.Length && text[position] != separator && text[position] is not ('\r' or '\n'))
                    {
                        throw new FileFormatException(
                            path, $"line {line}: '{text[position]}' follows a closing quote", "Write a quote inside a quoted field twice.");
                    }

                    return;
                }
            }
            else if (character == '\n')
            {
                line++;
            }

            field.Append(character);
        }

        throw new FileFormatException(path, $"line {openingLine}: a quoted field never ends", "Add the closing quote.");
    }

    private static void SkipLineEnd(string text, ref int position, ref int line)
    {
        if (position < text.Length && text[position] == '\r')
        {
            position++;
            if (position == text.Length || text[position] != '\n')
            {
                line++;
                return;
            }
        }

        if (position < text.Length && text[position] == '\n')
        {
            position++;
            line++;
        }
    }
}
