using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Cli.Presentation;

/// <summary>How JSON results are written: the keys of training_results.json, for people as much as for programs.</summary>
internal static class JsonFormat
{
    public static JsonSerializerOptions Options { get; } = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new FiniteOrNull(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LeaveOutViolence } },
    };

    /// <summary>As <see cref="Options"/>, in one line and with times in seconds.</summary>
    public static JsonSerializerOptions Line { get; } = new(Options) { WriteIndented = false, Converters = { new Seconds() } };

    private sealed class Seconds : JsonConverter<TimeSpan>
    {
        public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            TimeSpan.FromSeconds(reader.GetDouble());

        public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) =>
            writer.WriteNumberValue(value.TotalSeconds);
    }

    /// <summary>Answers of other classes than the known pair have no p(violent), and no threshold to it.</summary>
    private static void LeaveOutViolence(JsonTypeInfo type)
    {
        Func<object, bool>? isOfViolence = type.Type == typeof(Prediction) ? answer => !double.IsNaN(((Prediction)answer).Threshold)
            : type.Type == typeof(WindowScore) ? answer => ((WindowScore)answer).Probabilities is null
            : type.Type == typeof(DropoutUncertainty) ? answer => ((DropoutUncertainty)answer).Classes is null
            : null;
        foreach (JsonPropertyInfo property in isOfViolence is null ? [] : type.Properties)
        {
            if (property.Name is "violent" or "threshold" or "mean" or "standard_deviation")
            {
                property.ShouldSerialize = (answer, _) => isOfViolence!(answer);
            }
            else if (property.Name == "release")
            {
                property.ShouldSerialize = (_, value) => value is double release && !double.IsNaN(release);
            }
        }
    }

    /// <summary>JSON has no NaN; a metric without a value is null.</summary>
    private sealed class FiniteOrNull : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value))
            {
                writer.WriteNumberValue(value);
            }
            else
            {
                writer.WriteNullValue();
            }
        }
    }
}
