using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Export;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Onnx;

/// <summary>From frames to probabilities in one file.</summary>
public class WholeNetworkExportTests
{
    private const int Clips = 2, Frames = 2;

    [Fact]
    [Trait("Category", "Slow")]
    public void The_written_network_answers_as_the_engine_does()
    {
        using TemporaryFolder folder = new();
        using var device = new CpuDevice(2);
        using Learner learner = ExportedModel.Create(device, "gru-attention", Vgg19.Features);
        var backbone = new RandomVgg19();
        var info = new ModelInfo
        {
            Model = "gru-attention",
            Inputs = Vgg19.Features,
            Frames = Frames,
            Backbone = backbone.Identity,
            BackboneDescription = backbone.Description,
            Preprocess = "torch",
            Threshold = 0.375,
            Epoch = 7,
        };
        Checkpoint.SaveModel(folder.File("best_model.safetensors"), learner, info, scaler: null);

        ExportResult result = ExportRun.Execute(
            new ExportOptions { Model = folder.Path, Onnx = folder.File("whole.onnx"), Whole = true }, runner: null, new SilentObserver(),
                CancellationToken.None);

        byte[] bytes = File.ReadAllBytes(folder.File("whole.onnx"));
        result.Bytes.ShouldBe(bytes.LongLength);
        OnnxFile file = new(bytes);
        file.Metadata.Values.ShouldAllBe(value => !value.Contains(folder.Path), "paths are of this machine");
        FileValue input = file.Inputs.ShouldHaveSingleItem();
        (input.Name, input.Type).ShouldBe(("frames", OnnxFile.UInt8));
        input.Shape.ShouldBe([-1, Frames, 224, 224, 3]);
        file.Tensors.Values.Where(tensor => tensor.Name.StartsWith("vgg19.", StringComparison.Ordinal))
            .Sum(tensor => tensor.Data.Length / 4L).ShouldBe(139_570_240, "VGG19 without its last layer");
        foreach ((string key, string value) in (KeyValuePair<string, string>[])[
            new("model", "gru-attention"), new("classes", "nonviolent,violent"), new("threshold", "0.375"), new("frames", "2"),
            new("features", "4096"), new("epoch", "7"),
            new("preprocessing", "torch"), new("backbone", backbone.Identity), new("cudatrainer_version", info.EngineVersion)])
        {
            file.Metadata[key].ShouldBe(value, key);
        }

        // Stripes of other widths and directions: noise alone looks the same in every frame.
        byte[] pixels = [.. Enumerable.Range(0, Clips * Frames * 224 * 224 * 3)
            .Select(i => Pixel(i / (224 * 224 * 3), i / (224 * 3) % 224, i / 3 % 224, i % 3))];
        (double[] probabilities, double[] attention) =
            ExportedModel.Evaluate(learner, device, Features(device, backbone, pixels), Clips, Frames);
        (probabilities.Max() - probabilities.Min()).ShouldBeGreaterThan(0.05, "answers that are all alike compare nothing");

        Dictionary<string, OnnxTensor> outputs = new OnnxEvaluator(file)
            .Run(new OnnxTensor([Clips, Frames, 224, 224, 3], Array.ConvertAll(pixels, value => (float)value)));

        outputs["probabilities"].Shape.ShouldBe([Clips, 2]);
        outputs["probabilities"].Data.Zip(probabilities).Max(pair => Math.Abs(pair.First - pair.Second)).ShouldBeLessThan(1e-4);
        outputs["attention"].Data.Zip(attention).Max(pair => Math.Abs(pair.First - pair.Second)).ShouldBeLessThan(1e-4);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Frames_are_normalised_as_the_backbone_was_trained(bool caffe)
    {
        ImageNormalization normalization = caffe ? ImageNormalization.Caffe : ImageNormalization.Torch;
        var graph = new OnnxGraph("normalization");
        string planes = Vgg19Onnx.Normalize(graph, graph.Input("frames", ElementType.U8, "n", 4, 2, 3), normalization);
        graph.Output(planes, ElementType.F32, "n", 3, 4, 2);
        using var stream = new MemoryStream();
        OnnxWriter.Write(stream, graph, "1", new Dictionary<string, string>(), CancellationToken.None);
        float[] frames = [.. Enumerable.Range(0, 2 * 4 * 2 * 3).Select(i => (float)(i * 5))];

        OnnxTensor y = new OnnxEvaluator(new OnnxFile(stream.ToArray())).Run(new OnnxTensor([2, 4, 2, 3], frames))[planes];

        y.Shape.ShouldBe([2, 3, 4, 2]);
        for (int i = 0; i < y.Data.Length; i++)
        {
            int image = i / 24, plane = i / 8 % 3, pixel = i % 8, colour = caffe ? 2 - plane : plane;
            double value = frames[(((image * 8) + pixel) * 3) + colour];
            double expected = caffe
                ? value - new[] { 123.68, 116.779, 103.939 }[colour]
                : ((value / 255) - new[] { 0.485, 0.456, 0.406 }[colour]) / new[] { 0.229, 0.224, 0.225 }[colour];
            y.Data[i].ShouldBe((float)expected, 1e-4f);
        }
    }

    private static byte Pixel(int frame, int row, int column, int channel) =>
        (byte)(127 + (120 * Math.Sin(((frame + 1) * 0.05 * (frame % 2 == 0 ? row : column)) + (channel * (frame + 1)))));

    private static float[] Features(CpuDevice device, IVgg19WeightSource source, byte[] pixels)
    {
        using var network = new Vgg19(device, source, ImageNormalization.Torch);
        using Tensor rgb = Tensor.Allocate(device, [Clips * Frames, 224, 224, 3], DType.UInt8);
        using Tensor features = Tensor.Allocate(device, [Clips * Frames, Vgg19.Features]);
        device.Upload(pixels, rgb.Data);
        network.Forward(rgb, features);
        return features.Read<float>();
    }
}
