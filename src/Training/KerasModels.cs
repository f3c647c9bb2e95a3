using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Training;

/// <summary>The classifiers as Keras models: layers, names of weights and layouts, as docs/keras-files.md has them in a table.</summary>
public static class KerasModels
{
    private const string ReverseSuffix = "_reverse";
    private const string LstmPrefix = "lstm_";
    private const string WrapperPrefix = "bidirectional_";

    private static string Hint => $"Give the {SettingName.Of(nameof(TrainingOptions.Model))} that the file was trained as, or another " +
        "file.";

    /// <summary>All layers of a model in topological order.</summary>
    /// <exception cref="ArgumentException">There is no such model.</exception>
    public static IReadOnlyList<string> LayerNames(string model) => model switch
    {
        "lstm-attention" => WithAttention(LstmPrefix),
        "bilstm-attention" => WithAttention(WrapperPrefix),
        "gru-attention" => WithAttention("gru_"),
        "simple-lstm" => ["video_input", "lstm_1", "dropout_1", "lstm_2", "dropout_2", "dense_1", "relu_1", "dropout_3", "output"],
        "attention-mil" => ["video_input", "dense_1", "relu_1", "dropout_1", "attention", "output"],
        "frame-mlp" => ["video_input", "dense_1", "relu_1", "dropout_1", "mean", "output"],
        _ => throw new ArgumentException($"There is no model '{model}'.", nameof(model)),
    };

    /// <summary>The layers with weights of a classifier, in topological order.</summary>
    public static IReadOnlyList<KerasLayer> Layers(ParameterSet parameters)
    {
        var shapes = parameters.State.ToDictionary(parameter => parameter.Name,
            parameter => (long[])[.. ((int[])[.. parameter.Shape]).Select(length => (long)length)]);
        string[] layers = [.. parameters.Parameters.Select(parameter => parameter.Name[..parameter.Name.IndexOf('.')]).Distinct()];
        return [.. layers.Where(layer => !layer.EndsWith(ReverseSuffix, StringComparison.Ordinal)).Select(layer => Layer(layer, shapes))];
    }

    /// <summary>Writes a model as Keras weights, with what else is known of it in root attributes.</summary>
    /// <param name="path">The destination.</param>
    /// <param name="model">Its command-line name.</param>
    /// <param name="parameters">Its values.</param>
    /// <param name="metadata">Free text.</param>
    public static void Write(string path, string model, ParameterSet parameters, IReadOnlyDictionary<string, string> metadata)
    {
        Dictionary<string, Parameter> byName = parameters.State.ToDictionary(parameter => parameter.Name);
        KerasWriter.Write(path, LayerNames(model), Layers(parameters), tensor => byName[tensor].Value.Read<float>(), metadata);
    }

    /// <summary>A Keras file under the names of a classifier.</summary>
    /// <exception cref="FileFormatException">It does not fit.</exception>
    public static KerasView View(H5Archive archive, ParameterSet parameters) =>
        KerasView.Of(archive, Layers(parameters), ignoreRest: false, Hint);

    private static string[] WithAttention(string recurrent) =>
    [
        "video_input",
        .. Enumerable.Range(1, 3).SelectMany(i => new[] { $"{recurrent}{i}", $"bn_{i}", $"dropout_{i}" }),
        "attention", "dense_1", "bn_4", "relu_1", "dropout_4", "dense_2", "bn_5", "relu_2", "dropout_5", "dense_3", "relu_3", "dropout_6",
        "output",
    ];

    private static KerasLayer Layer(string layer, Dictionary<string, long[]> shapes)
    {
        if (shapes.ContainsKey(layer + ReverseSuffix + ".weight_ih"))
        {
            // Bidirectional(LSTM(name="lstm_1"), name="bidirectional_1") prefixes the names of the two copies that it makes.
            string wrapper = WrapperPrefix + layer[LstmPrefix.Length..];
            return new KerasLayer(
                wrapper,
                [.. Recurrent(layer, $"{wrapper}/forward_{layer}/lstm_cell", shapes),
                    .. Recurrent(layer + ReverseSuffix, $"{wrapper}/backward_{layer}/lstm_cell", shapes)]);
        }

        if (shapes.ContainsKey(layer + ".weight_ih"))
        {
            string cell = shapes.ContainsKey(layer + ".bias") ? "lstm_cell" : "gru_cell";
            return new KerasLayer(layer, [.. Recurrent(layer, $"{layer}/{cell}", shapes)]);
        }

        if (shapes.ContainsKey(layer + ".running_mean"))
        {
            (string Ours, string Keras)[] vectors = [("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"),
                ("running_var", "moving_variance")];
            return new KerasLayer(layer,
                [.. vectors.Select(vector => Vector($"{layer}.{vector.Ours}", $"{layer}/{vector.Keras}:0", shapes))]);
        }

        // The scores of the attention come from a dense layer of its own without bias.
        return shapes.ContainsKey(layer + ".bias")
            ? new KerasLayer(layer,
                [Matrix(layer + ".weight", $"{layer}/kernel:0", shapes), Vector(layer + ".bias", $"{layer}/bias:0", shapes)])
            : new KerasLayer(layer, [Matrix(layer + ".weight", $"{layer}/dense/kernel:0", shapes)]);
    }

    private static IEnumerable<KerasWeight> Recurrent(string layer, string path, Dictionary<string, long[]> shapes)
    {
        if (shapes.ContainsKey(layer + ".bias"))
        {
            return
            [
                Matrix(layer + ".weight_ih", path + "/kernel:0", shapes),
                Matrix(layer + ".weight_hh", path + "/recurrent_kernel:0", shapes),
                Vector(layer + ".bias", path + "/bias:0", shapes),
            ];
        }

        // GRU(reset_after=True): gates z, r, h instead of r, z, n; the two biases are the rows of one array.
        int units = (int)shapes[layer + ".weight_hh"][1];
        KerasTensor[] biases = [
            .. new[] { "bias_ih", "bias_hh" }.Select(
            (bias, row) => new KerasTensor($"{layer}.{bias}", [3 * units],
            new KerasConversion(1, 3 * units, SwappedGate: units, FirstRow: row)))];
        return
        [
            Matrix(layer + ".weight_ih", path + "/kernel:0", shapes, units),
            Matrix(layer + ".weight_hh", path + "/recurrent_kernel:0", shapes, units),
            new KerasWeight(path + "/bias:0", [2, 3 * units], biases),
        ];
    }

    private static KerasWeight Matrix(string tensor, string name, Dictionary<string, long[]> shapes, int swappedGate = 0)
    {
        long[] shape = shapes[tensor];
        return new KerasWeight(name, [shape[1], shape[0]],
            [new KerasTensor(tensor, shape, new KerasConversion((int)shape[1], (int)shape[0], SwappedGate: swappedGate))]);
    }

    private static KerasWeight Vector(string tensor, string name, Dictionary<string, long[]> shapes) =>
        new(name, shapes[tensor], [new KerasTensor(tensor, shapes[tensor], new KerasConversion(1, (int)shapes[tensor][0]))]);
}
