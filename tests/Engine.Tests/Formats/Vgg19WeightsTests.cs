using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class Vgg19WeightsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_tensors_are_those_of_VGG19_up_to_fc2()
    {
        Vgg19Names.Tensors.Length.ShouldBe(36);
        Vgg19Names.Tensors.Sum(tensor => tensor.Shape.Aggregate(1L, (product, d) => product * d)).ShouldBe(139_570_240);
        Vgg19Names.Tensors[0].Name.ShouldBe("features.0.weight");
        Vgg19Names.Tensors[^1].Name.ShouldBe("classifier.3.bias");
    }

    [Fact]
    public void Torchvision_names_are_taken_as_they_are()
    {
        var archive = new FakeArchive(Torchvision()) { ["features.2.bias"] = 2.5f };

        using var weights = Vgg19Weights.From(archive);

        weights.Source.ShouldBe("torchvision");
        float[] bias = new float[64];
        weights.Read("features.2.bias", bias);
        bias.ShouldAllBe(value => value == 2.5f);
        Should.Throw<ArgumentException>(() => weights.Read("features.1.bias", bias))
            .Message.ShouldContain("'features.1.bias' is no tensor of VGG19");
    }

    [Fact]
    public void Timm_names_are_translated()
    {
        var archive = new FakeArchive(Timm()) { ["pre_logits.fc2.bias"] = 2.5f };

        using var weights = Vgg19Weights.From(archive);

        weights.Source.ShouldBe("timm");
        float[] bias = new float[4096];
        weights.Read("classifier.3.bias", bias);
        bias.ShouldAllBe(value => value == 2.5f);
        weights.Read("classifier.3.weight", new float[4096 * 4096]);
    }

    [Fact]
    public void All_problems_are_listed_at_once()
    {
        Dictionary<string, TensorEntry> entries = Torchvision();
        entries.Remove("features.5.weight");
        entries["features.0.bias"] = new TensorEntry(ElementType.F32, [65]);
        entries["features.7.bias"] = new TensorEntry(ElementType.I64, [128]);
        entries["extra"] = new TensorEntry(ElementType.F32, [2, 2]);

        Should.Throw<FileFormatException>(() => Vgg19Weights.From(new FakeArchive(entries))).Message.ShouldBe(
            "'fake': these are not the weights of a VGG19: features.0.bias: expected floating-point [64], found F32 [65]; "
            + "missing features.5.weight [128, 64, 3, 3]; features.7.bias: expected floating-point [128], found I64 [128]; unexpected extra [2, 2]. "
            + "Accepted is the state_dict of torchvision's or timm's 'vgg19'.");
    }

    [Fact]
    public void Batch_normalised_VGG19_is_recognised()
    {
        Dictionary<string, TensorEntry> entries = Torchvision();
        entries["features.1.running_mean"] = new TensorEntry(ElementType.F32, [64]);

        Should.Throw<FileFormatException>(() => Vgg19Weights.From(new FakeArchive(entries)))
            .Message.ShouldContain("take the VGG19 without ('vgg19', not 'vgg19_bn')");
    }

    [Fact]
    public void A_long_list_of_problems_is_cut() =>
        Should.Throw<FileFormatException>(() => Vgg19Weights.From(new FakeArchive(
            Enumerable.Range(0, 10).ToDictionary(i => $"x{i}", _ => new TensorEntry(ElementType.F32, [])))))
                .Message.ShouldContain("; and 6 more. Accepted");

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_non_finite_element_is_named(float value)
    {
        // Every position of a vector, and the remainder.
        for (int flat = 0; flat < 27; flat += 5)
        {
            var archive = new FakeArchive(Torchvision());
            archive.Spoil = values => values[flat] = value;
            using var weights = Vgg19Weights.From(archive);

            Should.Throw<FileFormatException>(() => weights.Read("features.0.weight", new float[64 * 27])).Message
                .ShouldContain($"tensor 'features.0.weight': element [0, {flat / 9}, {flat / 3 % 3}, {flat % 3}] is {value}");
        }
    }

    [Fact]
    public void The_largest_float_is_finite()
    {
        using var weights = Vgg19Weights.From(new FakeArchive(Torchvision()) { Spoil = values => values.Fill(-float.MaxValue) });

        float[] bias = new float[64];
        weights.Read("features.0.bias", bias);

        bias.ShouldAllBe(value => value == -float.MaxValue);
    }

    [Fact]
    public void A_real_file_is_read()
    {
        // Half precision and all zeros but one: a sparse file of 279 MB that takes no room and little time.
        string path = _folder.File("vgg19.safetensors");
        WriteSparse(path);

        using var weights = Vgg19Weights.Open(path);

        float[] fc2 = new float[4096];
        weights.Read("classifier.3.bias", fc2);
        fc2.ShouldAllBe(value => value == 0);
        weights.Path.ShouldBe(path);
        weights.Description.ShouldBe($"VGG19 weights from '{path}' (torchvision names)");
    }

    [Fact]
    public void The_identity_is_the_hash_of_the_file()
    {
        using var weights = Vgg19Weights.From(new FakeArchive(Torchvision()) { Path = _folder.File("abc", "abc"u8) });

        weights.Identity.ShouldBe("vgg19-sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    private static void WriteSparse(string path)
    {
        long offset = 0L;
        IEnumerable<string> tensors = Vgg19Names.Tensors.Select(tensor =>
        {
            long bytes = 2 * tensor.Shape.Aggregate(1L, (product, d) => product * d);
            string text = $"\"{tensor.Name}\":{{\"dtype\":\"F16\",\"shape\":{ElementTypes.Format(tensor.Shape)}," +
                $"\"data_offsets\":[{offset},{offset + bytes}]}}";
            offset += bytes;
            return text;
        });
        byte[] header = System.Text.Encoding.UTF8.GetBytes($"{{{string.Join(",", tensors)}}}");
        using FileStream stream = File.Create(path);
        stream.Write(BitConverter.GetBytes((ulong)header.Length));
        stream.Write(header);
        stream.SetLength(stream.Position + offset);
    }

    private static Dictionary<string, TensorEntry> Torchvision()
    {
        var entries = Vgg19Names.Tensors.ToDictionary(tensor => tensor.Name, tensor => new TensorEntry(ElementType.F32, tensor.Shape));
        entries["classifier.6.weight"] = new TensorEntry(ElementType.F32, [1000, 4096]);
        entries["classifier.6.bias"] = new TensorEntry(ElementType.F32, [1000]);
        return entries;
    }

    private static Dictionary<string, TensorEntry> Timm()
    {
        var entries = Torchvision().Where(pair => pair.Key.StartsWith("features", StringComparison.Ordinal)).ToDictionary();
        entries["pre_logits.fc1.weight"] = new TensorEntry(ElementType.F32, [4096, 512, 7, 7]);
        entries["pre_logits.fc1.bias"] = new TensorEntry(ElementType.F32, [4096]);
        entries["pre_logits.fc2.weight"] = new TensorEntry(ElementType.F32, [4096, 4096, 1, 1]);
        entries["pre_logits.fc2.bias"] = new TensorEntry(ElementType.F32, [4096]);
        entries["head.fc.weight"] = new TensorEntry(ElementType.F32, [1000, 4096]);
        entries["head.fc.bias"] = new TensorEntry(ElementType.F32, [1000]);
        return entries;
    }

    private delegate void Spoiler(Span<float> values);

    /// <summary>An archive of constant tensors: 0 unless set otherwise.</summary>
    private sealed class FakeArchive(IReadOnlyDictionary<string, TensorEntry> entries) : ITensorArchive
    {
        private readonly Dictionary<string, float> _values = [];

        public float this[string name]
        {
            set => _values[name] = value;
        }

        public Spoiler? Spoil { get; set; }

        public string Path { get; init; } = "fake";

        public IReadOnlyDictionary<string, TensorEntry> Entries => entries;

        public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

        public void Read(string name, Span<float> destination)
        {
            entries[name].ElementCount.ShouldBe(destination.Length);
            destination.Fill(_values.GetValueOrDefault(name));
            Spoil?.Invoke(destination);
        }

        public void Dispose()
        {
        }
    }
}
