using System.Globalization;
using System.Text;
using System.Text.Json;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>One row of a split's features.</summary>
/// <param name="ContentHash">Content of the video.</param>
/// <param name="Checksum">CRC-32C of the row.</param>
/// <param name="IsZeros">The video failed and the row was filled with zeros.</param>
internal sealed record RowEntry(string ContentHash, uint Checksum, bool IsZeros);

/// <summary>What a split's features file contains, in <c>{split}_rows.json</c> beside it.</summary>
/// <param name="Key">Fields of the key that all rows have.</param>
/// <param name="Rows">The rows, in order.</param>
/// <param name="Failures">Videos without features, by content hash.</param>
/// <param name="LabelsChecksum">CRC-32C of the labels file.</param>
/// <param name="VideosChecksum">CRC-32C of the list of videos.</param>
/// <remarks>JSON that ends with the CRC-32C of everything before it, so that damage is noticed.</remarks>
internal sealed record RowsFile(
    IReadOnlyList<KeyValuePair<string, string>> Key,
    IReadOnlyList<RowEntry> Rows,
    IReadOnlyDictionary<string, ClipFailure> Failures,
    uint LabelsChecksum,
    uint VideosChecksum)
{
    /// <summary>What the labels stand for. Files that do not say are of the known pair.</summary>
    public ClassList Classes { get; init; } = ClassList.Violence;

    private const string FormatName = "cudatrainer feature rows";
    private const int Version = 1;
    private const string ZerosMark = "zeros";
    private const string ChecksumStart = "\"crc32c\": \"";
    private const int ChecksumDigits = 8;

    /// <summary>Whether a file begins as ours do, even if it is damaged further on.</summary>
    public static bool LooksLikeOurs(string path)
    {
        try
        {
            using SafeFileHandle handle = InputFile.Open(path);
            byte[] start = new byte[64];
            int read = RandomAccess.Read(handle, start, 0);
            return Encoding.UTF8.GetString(start, 0, read).Contains(FormatName, StringComparison.Ordinal);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            return false;
        }
    }

    /// <exception cref="FileFormatException">Not such a file, damaged, or of a newer version.</exception>
    public static RowsFile Read(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        string text = Encoding.UTF8.GetString(bytes);
        int checksum = text.LastIndexOf(ChecksumStart, StringComparison.Ordinal);
        if (!text.Contains(FormatName, StringComparison.Ordinal))
        {
            throw new FileFormatException(path, "expected a list of feature rows written by this program, found something else");
        }

        if (checksum < 0
            || text.Length < checksum + ChecksumStart.Length + ChecksumDigits
            || text.Substring(checksum + ChecksumStart.Length,
                ChecksumDigits) != Hexadecimal(Crc32C.Of(Encoding.UTF8.GetBytes(text[..checksum]))))
        {
            throw new FileFormatException(path, "the file is damaged: its content does not match its checksum");
        }

        try
        {
            using var document = JsonDocument.Parse(bytes);
            JsonElement root = document.RootElement;
            int version = root.GetProperty("version").GetInt32();
            return version == Version
                ? Parse(root)
                : throw new FileFormatException(path, $"expected version {Version}, found {version}",
                    "It was written by another version of this program.");
        }
        catch (Exception exception) when (
            exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new FileFormatException(path, $"expected a list of feature rows: {exception.Message.TrimEnd('.')}");
        }
    }

    public byte[] ToBytes()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{{\n\"format\": \"{FormatName}\",\n\"version\": {Version},\n");
        if (!Classes.IsViolence)
        {
            text.Append("\"classes\": [")
                .AppendJoin(", ", Classes.Names.Select(name => $"\"{JsonEncodedText.Encode(name)}\"")).Append("],\n");
        }

        text.Append("\"key\": ").Append(Encoding.UTF8.GetString(KeyFields.ToJson(Key))).Append(",\n");
        text.Append(CultureInfo.InvariantCulture, $"\"labels_crc32c\": \"{Hexadecimal(LabelsChecksum)}\",\n");
        text.Append(CultureInfo.InvariantCulture, $"\"videos_crc32c\": \"{Hexadecimal(VideosChecksum)}\",\n\"rows\": [");
        text.AppendJoin(",", Rows.Select(row =>
            $"\n[\"{row.ContentHash}\", \"{Hexadecimal(row.Checksum)}\"{(row.IsZeros ? $", \"{ZerosMark}\"" : "")}]"));
        text.Append("],\n\"failures\": [");
        text.AppendJoin(",", Failures.OrderBy(failure => failure.Key, StringComparer.Ordinal).Select(failure =>
            $"\n[\"{failure.Key}\", \"{JsonEncodedText.Encode(failure.Value.Status)}\", " +
                $"\"{JsonEncodedText.Encode(failure.Value.Message)}\"]"));
        text.Append("],\n");
        string body = text.ToString();
        return Encoding.UTF8.GetBytes($"{body}{ChecksumStart}{Hexadecimal(Crc32C.Of(Encoding.UTF8.GetBytes(body)))}\"\n}}\n");
    }

    private static RowsFile Parse(JsonElement root)
    {
        var rows = root.GetProperty("rows").EnumerateArray()
            .Select(row => new RowEntry(Item(row, 0), Checksum(Item(row, 1)), row.GetArrayLength() > 2)).ToList();
        var failures = new Dictionary<string, ClipFailure>(StringComparer.Ordinal);
        foreach (JsonElement failure in root.GetProperty("failures").EnumerateArray())
        {
            if (!failures.TryAdd(Item(failure, 0), new ClipFailure(Item(failure, 1), Item(failure, 2))))
            {
                throw new FormatException($"two failures of '{Item(failure, 0)}'");
            }
        }

        IReadOnlyList<KeyValuePair<string, string>> key = KeyFields.FromJson(Encoding.UTF8.GetBytes(root.GetProperty("key").GetRawText()))
            ?? throw new FormatException("the key does not describe rows");
        return new RowsFile(key, rows, failures, Checksum(Text(root.GetProperty("labels_crc32c"))),
            Checksum(Text(root.GetProperty("videos_crc32c"))))
        {
            Classes = root.TryGetProperty("classes", out JsonElement classes) ? ClassFile.Parse(classes) : ClassList.Violence,
        };

        static string Text(JsonElement element) => element.GetString() ?? throw new FormatException("a text is null");

        static string Item(JsonElement list, int index) =>
            index < list.GetArrayLength() ? Text(list[index]) : throw new FormatException($"a list has {list.GetArrayLength()} items");

        static uint Checksum(string text) =>
            uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value)
            ? value
            : throw new FormatException($"\"{text}\" is no checksum");
    }

    private static string Hexadecimal(uint value) => value.ToString("x8", CultureInfo.InvariantCulture);
}
