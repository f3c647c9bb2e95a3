using System.Text.Json;

namespace CudaTrainer.Data.Cache;

/// <summary>A key's fields as a JSON object of strings.</summary>
internal static class KeyJson
{
    public static byte[] Write(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in fields)
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
        }

        return stream.ToArray();
    }

    /// <returns>The fields; null when the bytes are something else.</returns>
    public static IReadOnlyList<KeyValuePair<string, string>>? Read(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return Read(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <exception cref="InvalidOperationException">Not an object of strings.</exception>
    public static IReadOnlyList<KeyValuePair<string, string>> Read(JsonElement element) =>
        [.. element.EnumerateObject()
            .Select(property => new KeyValuePair<string, string>(property.Name, property.Value.GetString() ?? ""))];
}
