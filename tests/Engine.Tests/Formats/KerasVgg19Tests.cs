using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class KerasVgg19Tests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public KerasVgg19Tests() => Assert.SkipUnless(Hdf5Library.IsAvailable, Hdf5Library.Detail);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_layers_are_those_of_Keras()
    {
        KerasVgg19.Layers.Select(layer => layer.Name).ShouldBe(
            ["block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2", "block3_conv1", "block3_conv2", "block3_conv3",
                "block3_conv4", "block4_conv1", "block4_conv2",
            "block4_conv3", "block4_conv4", "block5_conv1", "block5_conv2", "block5_conv3", "block5_conv4", "fc1", "fc2"]);
        Shape("block1_conv1").ShouldBe([3, 3, 3, 64]);
        Shape("block4_conv1").ShouldBe([3, 3, 256, 512]);
        Shape("fc1").ShouldBe([25088, 4096]);
        KerasVgg19.Layers.Sum(layer => layer.Weights.Sum(weight => weight.Shape.Aggregate(1L, (product, length) => product * length)))
            .ShouldBe(139_570_240);

        static long[] Shape(string name) => KerasVgg19.Layers.Single(layer => layer.Name == name).Weights[0].Shape;
    }

    /// <summary>A small network of the same kinds of layers, written and read, against loops over named indices.</summary>
    [Fact]
    public void Kernels_are_turned_as_the_layouts_say()
    {
        const int outputs = 5, inputs = 3, side = 3, image = 2, units = 4;
        float[] conv = Values(outputs * inputs * side * side, 1), fc1 = Values(units * inputs * image * image, 2),
            gru = Values(3 * units * inputs, 3);
        KerasLayer[] layers =
        [
            new("conv", [new("conv/kernel:0", [side, side, inputs, outputs], [new("c", [outputs, inputs, side, side], new(side * side * inputs, outputs, side * side))])]),
            new("fc1", [new("fc1/kernel:0", [image * image * inputs, units], [new("f", [units, inputs * image * image], new(image * image * inputs, units, image * image))])]),
            new("gru", [new("gru/kernel:0", [inputs, 3 * units], [new("g", [3 * units, inputs], new(inputs, 3 * units, SwappedGate: units))])]),
        ];
        string path = _folder.File("small.h5");
        KerasWriter.Write(path, [layers[0], new("flatten", []), .. layers[1..]], name => name == "c" ? conv : name == "f" ? fc1 : gru,
            new Dictionary<string, string>());

        using var archive = H5Archive.Open(path);
        using var view = KerasNames.Of(archive, layers, ignoreRest: false, "");
        float[] keras = Read(archive, "conv/conv/kernel:0");
        for (int o = 0; o < outputs; o++)
        {
            for (int i = 0; i < inputs; i++)
            {
                for (int h = 0; h < side; h++)
                {
                    for (int w = 0; w < side; w++)
                    {
                        keras[(((((h * side) + w) * inputs) + i) * outputs) + o].ShouldBe(
                            conv[(((((o * inputs) + i) * side) + h) * side) + w]);
                    }
                }
            }
        }

        keras = Read(archive, "fc1/fc1/kernel:0");
        for (int u = 0; u < units; u++)
        {
            for (int c = 0; c < inputs; c++)
            {
                for (int position = 0; position < image * image; position++)
                {
                    keras[(((position * inputs) + c) * units) + u].ShouldBe(
                        fc1[(u * inputs * image * image) + (c * image * image) + position]);
                }
            }
        }

        keras = Read(archive, "gru/gru/kernel:0");
        int[] ourBlock = [1, 0, 2];
        for (int gate = 0; gate < 3; gate++)
        {
            for (int u = 0; u < units; u++)
            {
                for (int i = 0; i < inputs; i++)
                {
                    keras[(i * 3 * units) + (gate * units) + u].ShouldBe(gru[(((ourBlock[gate] * units) + u) * inputs) + i]);
                }
            }
        }

        Read(view, "c").ShouldBe(conv);
        Read(view, "f").ShouldBe(fc1);
        Read(view, "g").ShouldBe(gru);
    }

    [Fact]
    public void A_file_without_the_fully_connected_layers_says_so()
    {
        KerasLayer[] small = KerasVgg19.Layers.Take(16)
            .Select(layer => layer with { Weights = [new KerasWeight(layer.Name + "/bias:0", [2], [new("b", [2], new(1, 2))])] }).ToArray();
        string path = _folder.File("notop.h5");
        KerasWriter.Write(path, small, _ => [1, 2], new Dictionary<string, string>());

        Should.Throw<FileFormatException>(() => Vgg19Weights.Open(path))
            .Message.ShouldContain("it has no fully connected layers (a '_notop' file)");
    }

    [Fact]
    public void Another_network_is_described() =>
        Should.Throw<FileFormatException>(() => Vgg19Weights.Open(GoldenFiles.Path("keras_2.h5"))).Message
            .ShouldContain("it has 2 layers with weights (lstm_1, bn_1), expected 18 (block1_conv1, ");

    /// <summary>The same weights out of both formats, at full size.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void Features_are_those_of_the_same_weights_from_safetensors()
    {
        var values = new Dictionary<string, float[]>();
        foreach ((string name, _) in Vgg19Names.Tensors)
        {
            values[name] = Random(name);
        }

        string keras = _folder.File("vgg19.h5"), plain = _folder.File("vgg19.safetensors");
        KerasLayer unused = new("predictions", [new("predictions/bias:0", [2], [new("p", [2], new(1, 2))])]);
        KerasWriter.Write(keras, [new("input_1", []), .. KerasVgg19.Layers, unused], name => name == "p" ? [1, 2] : values[name],
            new Dictionary<string, string>());
        SafetensorsWriter.Write(plain,
            Vgg19Names.Tensors.Select(tensor => NamedTensor.Of<float>(tensor.Name, values[tensor.Name], tensor.Shape)));

        using var fromKeras = Vgg19Weights.Open(keras);
        fromKeras.Preprocess.ShouldBe("caffe");
        fromKeras.Identity.ShouldBe($"vgg19-sha256-{FileHash.Sha256(keras)}");
        foreach ((string name, float[] expected) in values)
        {
            float[] read = new float[expected.Length];
            fromKeras.Read(name, read);
            read.AsSpan().SequenceEqual(expected).ShouldBeTrue(name);
        }

        values.Clear();
        using var fromPlain = Vgg19Weights.Open(plain);
        Features(fromKeras).AsSpan().SequenceEqual(Features(fromPlain)).ShouldBeTrue();
    }

    private static float[] Features(Vgg19Weights weights)
    {
        using var device = new CpuDevice(2);
        using var network = new Vgg19(device, weights, ImageNormalization.Caffe);
        using Tensor rgb = Tensor.Allocate(device, [1, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8);
        using Tensor features = Tensor.Allocate(device, [1, Vgg19.Features]);
        device.Upload(FormulaWeights.Pixels(1), rgb.Data);
        network.Forward(rgb, features);
        float[] result = features.Read<float>();
        result.ShouldContain(value => value > 0);
        return result;
    }

    private static float[] Random(string name)
    {
        float[] values = new float[Vgg19Names.Tensors.Single(tensor => tensor.Name == name)
            .Shape.Aggregate(1L, (product, length) => product * length)];
        new RandomVgg19().Read(name, values);
        return values;
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle())];
    }

    private static float[] Read(ITensorArchive archive, string name)
    {
        float[] values = new float[archive.Entries[name].ElementCount];
        archive.Read(name, values);
        return values;
    }
}
