namespace CudaTrainer.Formats.Onnx;

/// <summary>An operation of a model.</summary>
/// <param name="Type">ONNX's name for it.</param>
/// <param name="Inputs">Values, those that graphs inside of it use included; empty names for what is left out.</param>
internal sealed record OnnxOperation(string Type, IReadOnlyList<string> Inputs, IReadOnlyList<string> Outputs)
{
    /// <summary>Deeper than any exporter nests loops and branches.</summary>
    private const int MostNesting = 32;

    /// <exception cref="InvalidDataException">The bytes are no operation.</exception>
    public static OnnxOperation Read(ReadOnlySpan<byte> message) => Read(message, depth: 0);

    private static OnnxOperation Read(ReadOnlySpan<byte> message, int depth)
    {
        if (depth > MostNesting)
        {
            throw new InvalidDataException($"graphs stand in graphs {depth} deep");
        }

        string type = string.Empty;
        List<string> inputs = [], outputs = [];
        var node = new ProtoReader(message);
        while (node.Next())
        {
            switch (node.Field)
            {
                case NodeFields.OpType:
                    type = node.Text;
                    break;
                case NodeFields.Input:
                    inputs.Add(node.Text);
                    break;
                case NodeFields.Output:
                    outputs.Add(node.Text);
                    break;
                case NodeFields.Attribute:
                    AddInputsOfGraphs(node.Bytes, inputs, depth + 1);
                    break;
            }
        }

        return new OnnxOperation(type, inputs, outputs);
    }

    /// <summary>What the graphs of a loop or branch may take from outside; names of their own values do no harm.</summary>
    private static void AddInputsOfGraphs(ReadOnlySpan<byte> message, List<string> inputs, int depth)
    {
        var attribute = new ProtoReader(message);
        while (attribute.Next())
        {
            if (attribute.Field is not (NodeFields.Subgraph or NodeFields.Subgraphs))
            {
                continue;
            }

            var graph = new ProtoReader(attribute.Bytes);
            while (graph.Next())
            {
                if (graph.Field == GraphFields.Node)
                {
                    inputs.AddRange(Read(graph.Bytes, depth).Inputs);
                }
                else if (graph.Field == GraphFields.Output)
                {
                    inputs.Add(OnnxModel.Input(graph.Bytes).Name);
                }
            }
        }
    }
}
