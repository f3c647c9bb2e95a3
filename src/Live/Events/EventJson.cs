using System.Text.Json;
using System.Text.Json.Serialization;

namespace CudaTrainer.Live.Events;

/// <summary>Events as JSON: in files, webhooks and MQTT messages alike.</summary>
internal static class EventJson
{
    /// <returns>One line of UTF-8, without its end.</returns>
    public static byte[] Bytes(EventNews news) => news switch
    {
        EventBegan began => JsonSerializer.SerializeToUtf8Bytes(began, EventJsonContext.Default.EventBegan),
        EventEnded ended => JsonSerializer.SerializeToUtf8Bytes(ended, EventJsonContext.Default.EventEnded),
        _ => throw new ArgumentOutOfRangeException(nameof(news)),
    };

    /// <summary>For people: several lines, with an end.</summary>
    public static byte[] Indented(EventEnded ended) =>
        [.. JsonSerializer.SerializeToUtf8Bytes(ended, IndentedContext.EventEnded), (byte)'\n'];

    /// <summary>The event of a file; null where there is none, or something else.</summary>
    public static EventEnded? Read(string file)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(file), EventJsonContext.Default.EventEnded);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or NotSupportedException)
        {
            return null;
        }
    }

    private static EventJsonContext IndentedContext { get; } = new(new JsonSerializerOptions(EventJsonContext.Default.Options)
    {
        WriteIndented = true,
    });
}

internal sealed class EndReasonConverter() : JsonStringEnumConverter<EndReason>(JsonNamingPolicy.SnakeCaseLower);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(EventBegan))]
[JsonSerializable(typeof(EventEnded))]
internal sealed partial class EventJsonContext : JsonSerializerContext;
