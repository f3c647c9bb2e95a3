using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

/// <summary>
/// The weights of a recurrent layer in ONNX's layouts, [D, ...] for D directions, with G gates, I inputs and H hidden units.
/// </summary>
/// <param name="Input">W [D, G·H, I].</param>
/// <param name="Hidden">R [D, G·H, H].</param>
/// <param name="Bias">B [D, 2·G·H], of W and of R.</param>
internal sealed record RecurrentWeights(int Directions, int GateCount, int Inputs, int HiddenUnits, float[] Input, float[] Hidden,
    float[] Bias);

/// <summary>What layers need to add themselves to an ONNX graph.</summary>
internal static class OnnxExport
{
    /// <summary>A parameter as it is.</summary>
    public static string Weight(this OnnxGraph graph, Parameter parameter) =>
        graph.Constant(parameter.Name, parameter.Value.Read<float>(), parameter.Shape.ToLengths());

    /// <summary>A parameter's values with its gates' blocks of rows in another order.</summary>
    /// <param name="order">For each block of the result, which one of the parameter it is.</param>
    public static float[] Gates(Parameter parameter, int[] order)
    {
        float[] values = parameter.Value.Read<float>();
        float[] ordered = new float[values.Length];
        int block = values.Length / order.Length;
        for (int i = 0; i < order.Length; i++)
        {
            values.AsSpan(order[i] * block, block).CopyTo(ordered.AsSpan(i * block));
        }

        return ordered;
    }

    /// <summary>A recurrent operation over whole sequences.</summary>
    /// <param name="x">[time, batch, I].</param>
    /// <returns>[time, batch, D·H].</returns>
    public static string Recurrent(this OnnxGraph graph, string operation, string layer, string x, string direction,
        RecurrentWeights weights, params OnnxAttribute[] attributes)
    {
        (int directions, int gates, int inputs, int hidden) = (weights.Directions, weights.GateCount, weights.Inputs, weights.HiddenUnits);
        string y = graph.Add(
            operation,
            layer + "/states",
            [
                x,
                graph.Constant(layer + ".W", weights.Input, directions, gates * hidden, inputs),
                graph.Constant(layer + ".R", weights.Hidden, directions, gates * hidden, hidden),
                graph.Constant(layer + ".B", weights.Bias, directions, 2 * gates * hidden),
            ],
            [OnnxAttribute.Of("hidden_size", hidden), OnnxAttribute.Of("direction", direction), .. attributes]);

        // ONNX gives [time, D, batch, H].
        if (directions == 1)
        {
            return graph.Add("Squeeze", layer, [y, graph.Constant<long>(layer + "/direction", [1], 1)]);
        }

        string joined = graph.Add("Transpose", layer + "/by_direction", [y], OnnxAttribute.Of("perm", [0, 2, 1, 3]));
        return graph.Add("Reshape", layer, [joined, graph.Constant<long>(layer + "/channels", [0, 0, directions * hidden], 3)]);
    }
}
