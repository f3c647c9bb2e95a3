using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>What stored fields of a <see cref="FeatureKey"/> say; those of another version may be others.</summary>
internal static class KeyFields
{
    private const int IdentifierDigits = 12;

    /// <summary>A short name of a key in file names.</summary>
    public static string Identifier(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        string text = string.Concat(fields.Select(pair => $"{pair.Key}={pair.Value}\n"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..IdentifierDigits];
    }

    /// <summary>[T, D] of the rows; the views of a video follow each other in T.</summary>
    public static (int Frames, int Dimension) RowShape(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        return (Number("frames") * Number("views"), Number("dimension"));

        int Number(string name) => int.Parse(Value(fields, name), CultureInfo.InvariantCulture);
    }

    public static ElementType ElementTypeOf(IReadOnlyList<KeyValuePair<string, string>> fields) =>
        Value(fields, "dtype") == "float16" ? ElementType.F16 : ElementType.F32;

    /// <summary>Bytes of a row.</summary>
    public static int RowBytes(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        (int frames, int dimension) = RowShape(fields);
        return checked(frames * dimension * ElementTypeOf(fields).Size());
    }

    /// <summary>As a JSON object of strings.</summary>
    public static byte[] ToJson(IReadOnlyList<KeyValuePair<string, string>> fields) =>
        JsonSerializer.SerializeToUtf8Bytes(fields.ToDictionary());

    /// <returns>The fields; null when the bytes are something else, or do not say how many bytes a row has.</returns>
    public static IReadOnlyList<KeyValuePair<string, string>>? FromJson(ReadOnlySpan<byte> json)
    {
        try
        {
            Dictionary<string, string>? fields = StrictJson.Deserialize<Dictionary<string, string>>(json);
            return fields is not null && DescribesRows(fields) ? fields.ToList() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static bool DescribesRows(Dictionary<string, string> fields)
    {
        if (!fields.ContainsKey("dtype"))
        {
            return false;
        }

        Int128 bytes = ElementTypeOf([.. fields]).Size();
        foreach (string name in (ReadOnlySpan<string>)["frames", "views", "dimension"])
        {
            if (!int.TryParse(fields.GetValueOrDefault(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                || number == 0)
            {
                return false;
            }

            bytes *= number;
        }

        return bytes <= Array.MaxLength;
    }

    private static string Value(IReadOnlyList<KeyValuePair<string, string>> fields, string name) =>
        fields.First(field => field.Key == name).Value;
}
