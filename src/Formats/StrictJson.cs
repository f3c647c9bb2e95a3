using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace CudaTrainer.Formats;

/// <summary>
/// Reads JSON into records whose declarations then hold: what is not declared nullable is not null, and what the file does not say has the
/// value that the record gives it. The serializer itself would leave null in lists, in dictionaries and where something is missing.
/// </summary>
internal static class StrictJson
{
    /// <summary>
    /// The same options with properties set one by one: generated code sets all of an object's properties when it makes it, to zero and
    /// null where the file says nothing.
    /// </summary>
    private static readonly ConcurrentDictionary<JsonSerializerOptions, JsonSerializerOptions> OneByOne = new();

    /// <inheritdoc cref="Deserialize{T}(ReadOnlySpan{byte}, JsonTypeInfo{T})"/>
    public static T? Deserialize<T>(string json, JsonTypeInfo<T> type) => Deserialize(Encoding.UTF8.GetBytes(json), type);

    /// <inheritdoc cref="Deserialize{T}(ReadOnlySpan{byte}, JsonTypeInfo{T})"/>
    /// <summary>Reads a type that needs no options.</summary>
    public static T? Deserialize<T>(ReadOnlySpan<byte> json) =>
        Deserialize(json, (JsonTypeInfo<T>)JsonSerializerOptions.Default.GetTypeInfo(typeof(T)));

    /// <returns>Null for <c>null</c>.</returns>
    /// <exception cref="JsonException">It is no JSON, something else than a T, or has null or nothing where a value is needed.</exception>
    public static T? Deserialize<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        JsonSerializerOptions options = OneByOne.GetOrAdd(
            type.Options, static options => new JsonSerializerOptions(options) { TypeInfoResolver = new DefaultJsonTypeInfoResolver() });
        try
        {
            T? value = JsonSerializer.Deserialize<T>(json, options);
            if (value is not null)
            {
                using var document = JsonDocument.Parse(json.ToArray());
                RequireValues(document.RootElement, options.GetTypeInfo(typeof(T)), "$");
            }

            return value;
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or FormatException)
        {
            // Half a surrogate pair, or a key that a dictionary has twice.
            throw new JsonException(exception.Message, exception);
        }
    }

    private static void RequireValues(JsonElement json, JsonTypeInfo type, string path)
    {
        switch (type.Kind)
        {
            case JsonTypeInfoKind.Object when json.ValueKind == JsonValueKind.Object:
                RequireProperties(json, type, path);
                break;
            case JsonTypeInfoKind.Enumerable when json.ValueKind == JsonValueKind.Array:
                int index = 0;
                foreach (JsonElement element in json.EnumerateArray())
                {
                    RequireElement(element, type, $"{path}[{index++}]");
                }

                break;
            case JsonTypeInfoKind.Dictionary when json.ValueKind == JsonValueKind.Object:
                foreach (JsonProperty property in json.EnumerateObject())
                {
                    RequireElement(property.Value, type, $"{path}.{property.Name}");
                }

                break;
        }
    }

    private static void RequireProperties(JsonElement json, JsonTypeInfo type, string path)
    {
        foreach (JsonPropertyInfo property in type.Properties)
        {
            string place = $"{path}.{property.Name}";
            if (!json.TryGetProperty(property.Name, out JsonElement value))
            {
                if (property.AssociatedParameter is { IsNullable: false, HasDefaultValue: false, ParameterType.IsValueType: false })
                {
                    throw new JsonException($"{place} is missing");
                }
            }
            else if (value.ValueKind != JsonValueKind.Null)
            {
                RequireValues(value, type.Options.GetTypeInfo(property.PropertyType), place);
            }
            else if (!property.IsSetNullable && (property.Set is not null || property.AssociatedParameter is not null))
            {
                throw new JsonException($"{place} is null");
            }
        }
    }

    private static void RequireElement(JsonElement json, JsonTypeInfo parent, string path)
    {
        if (json.ValueKind == JsonValueKind.Null)
        {
            throw new JsonException($"{path} is null");
        }

        if (parent.ElementType is { } element)
        {
            RequireValues(json, parent.Options.GetTypeInfo(element), path);
        }
    }
}
