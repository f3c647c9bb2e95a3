using System.Globalization;
using System.Text.Json;

namespace CudaTrainer.Formats.TensorBoard;

/// <summary>
/// The kinds of values that TensorBoard shows, each as a tensor with the name of the plugin it is for, into a summary that was begun.
/// </summary>
internal static class SummaryValues
{
    public const string SessionStartTag = "_hparams_/session_start_info";
    public const string SessionEndTag = "_hparams_/session_end_info";

    /// <summary>A number; TensorBoard's fast reader takes single precision only.</summary>
    public static void Scalar(this ProtoWriter summary, string tag, double value)
    {
        int begin = BeginValue(summary, tag);
        int tensor = BeginTensor(summary, TensorType.Float, []);
        float single = (float)value;
        summary.Packed<float>(TensorFields.Floats, new ReadOnlySpan<float>(in single));
        summary.End(tensor);
        EndValue(summary, begin, "scalars", DataClass.Unknown);
    }

    /// <param name="buckets">[k, 3]: lower edge, upper edge, count.</param>
    public static void Histogram(this ProtoWriter summary, string tag, ReadOnlySpan<double> buckets)
    {
        int begin = BeginValue(summary, tag);
        int tensor = BeginTensor(summary, TensorType.Double, [buckets.Length / HistogramBuckets.Columns, HistogramBuckets.Columns]);
        summary.Packed(TensorFields.Content, buckets);
        summary.End(tensor);
        EndValue(summary, begin, "histograms", DataClass.Tensor);
    }

    /// <param name="png">A whole PNG file.</param>
    public static void Image(this ProtoWriter summary, string tag, int width, int height, ReadOnlySpan<byte> png)
    {
        int begin = BeginValue(summary, tag);
        int tensor = BeginTensor(summary, TensorType.String, [3]);
        summary.Text(TensorFields.Strings, width.ToString(CultureInfo.InvariantCulture));
        summary.Text(TensorFields.Strings, height.ToString(CultureInfo.InvariantCulture));
        summary.Bytes(TensorFields.Strings, png);
        summary.End(tensor);
        EndValue(summary, begin, "images", DataClass.BlobSequence);
    }

    public static void Markdown(this ProtoWriter summary, string tag, string text)
    {
        int begin = BeginValue(summary, tag);
        int tensor = BeginTensor(summary, TensorType.String, []);
        summary.Text(TensorFields.Strings, text);
        summary.End(tensor);
        EndValue(summary, begin, "text", DataClass.Tensor);
    }

    /// <param name="curve">[6, thresholds], see <see cref="PrCurve"/>.</param>
    public static void PrecisionRecall(this ProtoWriter summary, string tag, ReadOnlySpan<float> curve)
    {
        int thresholds = curve.Length / PrCurve.Rows;
        int begin = BeginValue(summary, tag);
        int tensor = BeginTensor(summary, TensorType.Float, [PrCurve.Rows, thresholds]);
        summary.Packed(TensorFields.Content, curve);
        summary.End(tensor);
        (int metadata, int plugin, int content) = BeginPlugin(summary, "pr_curves");
        summary.Integer(PrCurve.ThresholdsField, thresholds);
        EndPlugin(summary, begin, metadata, plugin, content);
    }

    /// <summary>Says that a trial has begun, with what decides it; null and empty parameters are left out.</summary>
    /// <param name="seconds">The time, in seconds since 1970.</param>
    public static void SessionStart(this ProtoWriter summary, IEnumerable<JsonProperty> parameters, double seconds)
    {
        int begin = BeginHParams(summary, SessionStartTag);
        (int metadata, int plugin, int content) = BeginPlugin(summary, "hparams");
        int session = summary.Begin(HParamsFields.SessionStart);
        foreach (JsonProperty parameter in parameters.Where(parameter => parameter.Value.ValueKind != JsonValueKind.Null))
        {
            int entry = summary.Begin(HParamsFields.Parameters);
            summary.Text(HParamsFields.Key, parameter.Name);
            int value = summary.Begin(HParamsFields.MapValue);
            Parameter(summary, parameter.Value);
            summary.End(value);
            summary.End(entry);
        }

        summary.Double(HParamsFields.StartSeconds, seconds);
        summary.End(session);
        EndPlugin(summary, begin, metadata, plugin, content);
    }

    /// <summary>Says that a trial has ended well. TensorBoard keeps the first end of a run for ever.</summary>
    /// <param name="seconds">The time, in seconds since 1970.</param>
    public static void SessionEnd(this ProtoWriter summary, double seconds)
    {
        int begin = BeginHParams(summary, SessionEndTag);
        (int metadata, int plugin, int content) = BeginPlugin(summary, "hparams");
        int session = summary.Begin(HParamsFields.SessionEnd);
        summary.Integer(HParamsFields.Status, HParamsFields.Success);
        summary.Double(HParamsFields.EndSeconds, seconds);
        summary.End(session);
        EndPlugin(summary, begin, metadata, plugin, content);
    }

    private static void Parameter(ProtoWriter summary, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Number:
                summary.Double(HParamsFields.Number, value.GetDouble());
                break;
            case JsonValueKind.True or JsonValueKind.False:
                summary.Integer(HParamsFields.Bool, value.GetBoolean() ? 1 : 0);
                break;
            case JsonValueKind.Array:
                summary.Text(HParamsFields.String, string.Join(",", value.EnumerateArray()));
                break;
            default:
                summary.Text(HParamsFields.String, value.ToString());
                break;
        }
    }

    private static int BeginValue(ProtoWriter summary, string tag)
    {
        int begin = summary.Begin(SummaryFields.Value);
        summary.Text(SummaryFields.Tag, tag);
        return begin;
    }

    private static void EndValue(ProtoWriter summary, int begin, string plugin, DataClass kind)
    {
        int metadata = summary.Begin(SummaryFields.Metadata);
        int data = summary.Begin(SummaryFields.PluginData);
        summary.Text(SummaryFields.PluginName, plugin);
        summary.End(data);
        if (kind != DataClass.Unknown)
        {
            summary.Integer(SummaryFields.DataClass, (int)kind);
        }

        summary.End(metadata);
        summary.End(begin);
    }

    /// <summary>Metadata of a plugin that keeps a message of its own there.</summary>
    private static (int Metadata, int Plugin, int Content) BeginPlugin(ProtoWriter summary, string plugin)
    {
        int metadata = summary.Begin(SummaryFields.Metadata);
        int data = summary.Begin(SummaryFields.PluginData);
        summary.Text(SummaryFields.PluginName, plugin);
        return (metadata, data, summary.Begin(SummaryFields.PluginContent));
    }

    private static void EndPlugin(ProtoWriter summary, int begin, int metadata, int plugin, int content)
    {
        summary.End(content);
        summary.End(plugin);
        summary.Integer(SummaryFields.DataClass, (int)DataClass.Tensor);
        summary.End(metadata);
        summary.End(begin);
    }

    /// <summary>The hparams plugin reads metadata only; a tensor without elements stands for the value.</summary>
    private static int BeginHParams(ProtoWriter summary, string tag)
    {
        int begin = BeginValue(summary, tag);
        summary.End(BeginTensor(summary, TensorType.Float, [0]));
        return begin;
    }

    private static int BeginTensor(ProtoWriter summary, TensorType type, ReadOnlySpan<int> shape)
    {
        int tensor = summary.Begin(SummaryFields.Tensor);
        summary.Integer(TensorFields.Type, (int)type);
        int dimensions = summary.Begin(TensorFields.Shape);
        foreach (int size in shape)
        {
            int dimension = summary.Begin(TensorFields.Dimension);
            summary.Integer(TensorFields.Size, size);
            summary.End(dimension);
        }

        summary.End(dimensions);
        return tensor;
    }
}
