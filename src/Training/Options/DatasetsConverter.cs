using System.Text.Json;
using System.Text.Json.Serialization;

namespace CudaTrainer.Training.Options;

/// <summary>Data sets in files: one as a text, as it always was, several as a list, none as null.</summary>
internal sealed class DatasetsConverter : JsonConverter<IReadOnlyList<string>>
{
    public override bool HandleNull => true;

    public override IReadOnlyList<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return [];
            case JsonTokenType.String:
                return [reader.GetString()!];
            case JsonTokenType.StartArray:
                List<string> paths = [];
                while (reader.Read() && reader.TokenType == JsonTokenType.String)
                {
                    paths.Add(reader.GetString()!);
                }

                return reader.TokenType == JsonTokenType.EndArray ? paths : throw new JsonException("A list of folders has texts alone.");
            default:
                throw new JsonException("Expected a folder or a list of folders.");
        }
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options)
    {
        switch (value)
        {
            case []:
                writer.WriteNullValue();
                break;
            case [var only]:
                writer.WriteStringValue(only);
                break;
            default:
                writer.WriteStartArray();
                foreach (string path in value)
                {
                    writer.WriteStringValue(path);
                }

                writer.WriteEndArray();
                break;
        }
    }
}
