using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Onnx;

/// <summary>Every classifier as an ONNX file, against this engine, by way of the written bytes.</summary>
public sealed class ClassifierExportTests : IDisposable
{
    private const int Inputs = 24, Frames = 5;

    private readonly CpuDevice _device = new(2);

    public static TheoryData<string> Names => ModelCases.All;

    [Theory]
    [MemberData(nameof(Names))]
    public void The_written_graph_answers_as_the_engine_does(string name)
    {
        using Learner learner = ExportedModel.Create(_device, name, Inputs);
        var evaluator = new OnnxEvaluator(Export(learner, name));
        foreach (int clips in (int[])[4, 1])
        {
            float[] features = [.. Enumerable.Range(0, clips * Frames * Inputs).Select(i => FormulaNoise.At(i, 500 + clips, 1.5))];
            (double[] probabilities, double[] attention) = ExportedModel.Evaluate(learner, _device, features, clips, Frames);

            Dictionary<string, OnnxTensor> outputs = evaluator.Run(new OnnxTensor([clips, Frames, Inputs], features));

            Close(outputs["probabilities"], [clips, 2], probabilities);
            outputs.ContainsKey("attention").ShouldBe(attention.Length > 0);
            if (attention.Length > 0)
            {
                Close(outputs["attention"], [clips, Frames], attention);
                (attention.Max() - attention.Min()).ShouldBeGreaterThan(0.05, "answers that are all alike compare nothing");
            }

            if (clips > 1)
            {
                (probabilities.Max() - probabilities.Min()).ShouldBeGreaterThan(0.2, "answers that are all alike compare nothing");
                probabilities.Distinct().Count().ShouldBe(2 * clips);
            }
        }
    }

    /// <summary>A single frame has no successor to differ from, and nothing but its own values may come of it.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void A_clip_of_one_frame_is_answered_too(string name)
    {
        const int clips = 3;
        using Learner learner = ExportedModel.Create(_device, name, Inputs);
        float[] features = [.. Enumerable.Range(0, clips * Inputs).Select(i => FormulaNoise.At(i, 700, 1.5))];
        (double[] probabilities, _) = ExportedModel.Evaluate(learner, _device, features, clips, 1);

        Dictionary<string, OnnxTensor> outputs =
            new OnnxEvaluator(Export(learner, name, frames: 1)).Run(new OnnxTensor([clips, 1, Inputs], features));

        Close(outputs["probabilities"], [clips, 2], probabilities);
        probabilities.Distinct().Count().ShouldBe(2 * clips);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_file_is_well_formed(string name)
    {
        using Learner learner = ExportedModel.Create(_device, name, Inputs);
        OnnxFile file = Export(learner, name);

        (file.IrVersion, file.Opset, file.Producer).ShouldBe((8, 15, "CudaTrainer 1.2.3"));
        file.Metadata.ShouldBe(new Dictionary<string, string> { ["a"] = "first", ["b"] = "zweite – 二" });
        FileValue input = file.Inputs.ShouldHaveSingleItem();
        (input.Name, input.Type).ShouldBe(("features", OnnxFile.Float));
        input.Shape.ShouldBe([-1, Frames, Inputs]);
        input.Symbols.ShouldBe(["batch", null, null]);
        file.Outputs.Select(output => output.Name)
            .ShouldBe(learner.Model.HasAttention ? ["probabilities", "attention"] : ["probabilities"]);
        file.Outputs.ShouldAllBe(output => output.Type == OnnxFile.Float && output.Symbols[0] == "batch" && output.Shape.Length == 2);
        file.Outputs.Select(output => output.Shape[1]).ShouldBe(learner.Model.HasAttention ? [2, Frames] : [2]);

        file.Nodes.Select(node => node.Name).ShouldBeUnique();
        HashSet<string> known = [input.Name, .. file.Tensors.Keys], used = [];
        known.Count.ShouldBe(file.Tensors.Count + 1);
        foreach (FileNode node in file.Nodes)
        {
            node.Inputs.ShouldAllBe(value => known.Contains(value), node.Name);
            used.UnionWith(node.Inputs);
            known.Add(node.Outputs.ShouldHaveSingleItem()).ShouldBeTrue(node.Name);
        }

        file.Outputs.ShouldAllBe(output => known.Contains(output.Name));
        known.Except(used).ShouldBe(file.Outputs.Select(output => output.Name), ignoreOrder: true, "nothing is there for nothing");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Weights_are_in_the_file_bit_for_bit(string name)
    {
        using Learner learner = ExportedModel.Create(_device, name, Inputs);
        OnnxFile file = Export(learner, name);
        Dictionary<string, float[]> weights = learner.Parameters.State.ToDictionary(parameter => parameter.Name,
            parameter => parameter.Value.Read<float>());

        foreach (string layer in weights.Keys.Where(
            key => key.StartsWith("dense", StringComparison.Ordinal) || key.StartsWith("output", StringComparison.Ordinal)))
        {
            file.Tensors[layer].Floats.ToArray().ShouldBe(weights[layer], layer);
        }

        foreach (string layer in weights.Keys.Where(
            key => key.EndsWith(".weight_hh", StringComparison.Ordinal) && !key.Contains("_reverse")).Select(key => key[..^10]))
        {
            // Blocks of ours that ONNX's gates are: LSTM i, o, f, c of i, f, c, o; GRU z, r, h of r, z, n.
            int[] gates = weights.ContainsKey(layer + ".bias_ih") ? [1, 0, 2] : [0, 3, 1, 2];
            string[] directions = weights.ContainsKey(layer + "_reverse.weight_hh") ? [layer, layer + "_reverse"] : [layer];
            file.Tensors[layer + ".W"].Floats.ToArray()
                .ShouldBe(directions.SelectMany(direction => Blocks(weights[direction + ".weight_ih"], gates)));
            file.Tensors[layer + ".R"].Floats.ToArray()
                .ShouldBe(directions.SelectMany(direction => Blocks(weights[direction + ".weight_hh"], gates)));
            file.Tensors[layer + ".B"].Floats.ToArray().ShouldBe(gates.Length == 3
                ? [.. Blocks(weights[layer + ".bias_ih"], gates), .. Blocks(weights[layer + ".bias_hh"], gates)]
                : [.. directions.SelectMany(
                    direction => Blocks(weights[direction + ".bias"], gates).Concat(new float[weights[direction + ".bias"].Length]))]);
            long hidden = file.Tensors[layer + ".R"].Shape[2];
            file.Tensors[layer + ".W"].Shape[..2].ShouldBe([directions.Length, gates.Length * hidden]);
        }
    }

    [Fact]
    public void Batch_normalisation_is_folded_into_a_product_and_a_sum()
    {
        using Learner learner = ExportedModel.Create(_device, "gru-attention", Inputs);
        OnnxFile file = Export(learner, "gru-attention");
        Dictionary<string, float[]> weights = learner.Parameters.State.ToDictionary(parameter => parameter.Name,
            parameter => parameter.Value.Read<float>());

        for (int i = 0; i < 128; i++)
        {
            double scale = weights["bn_5.weight"][i] / Math.Sqrt(weights["bn_5.running_var"][i] + 1e-3);
            file.Tensors["bn_5.scale"].Floats[i].ShouldBe((float)scale, 1e-6f);
            file.Tensors["bn_5.shift"].Floats[i].ShouldBe((float)(weights["bn_5.bias"][i] - (weights["bn_5.running_mean"][i] * scale)),
                1e-6f);
        }
    }

    public void Dispose() => _device.Dispose();

    private static float[] Blocks(float[] values, int[] order)
    {
        int block = values.Length / order.Length;
        return [.. order.SelectMany(gate => values[(gate * block)..((gate + 1) * block)])];
    }

    private static void Close(OnnxTensor actual, long[] shape, double[] expected)
    {
        actual.Shape.ShouldBe(shape);
        actual.Data.Zip(expected).Max(pair => Math.Abs(pair.First - pair.Second)).ShouldBeLessThan(2e-6);
    }

    private static OnnxFile Export(Learner learner, string name, int frames = Frames)
    {
        var graph = new OnnxGraph(name);
        learner.Model.Export(graph, graph.Input("features", ElementType.F32, "batch", frames, Inputs), frames, "batch");
        using var stream = new MemoryStream();
        OnnxWriter.Write(stream, graph, "1.2.3", new Dictionary<string, string> { ["b"] = "zweite – 二", ["a"] = "first" },
            CancellationToken.None);
        return new OnnxFile(stream.ToArray());
    }
}
