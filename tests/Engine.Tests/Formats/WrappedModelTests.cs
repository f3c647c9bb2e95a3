using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class WrappedModelTests : IDisposable
{
    private static readonly HashSet<string> Network = ["features.0.weight", "features.0.bias", "classifier.0.weight"];

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("")]
    [InlineData("module.")]
    [InlineData("_orig_mod.")]
    [InlineData("module._orig_mod.")]
    [InlineData("_orig_mod.module.")]
    [InlineData("net.")]
    [InlineData("state_dict.")]
    [InlineData("model_state_dict.module._orig_mod.")]
    [InlineData("anything.at.all.")]
    public void A_network_is_found_behind_any_prefix(string prefix)
    {
        using ITensorArchive archive = Unwrap(Network.Select(name => prefix + name));

        archive.Entries.Keys.ShouldBe(Network, ignoreOrder: true);
        SafetensorsTests.Read(archive, "features.0.bias").ShouldBe([1]);
        Should.Throw<FileFormatException>(() => archive.Read("features.9.bias", new float[1]));
    }

    [Theory]
    [InlineData("features._orig_mod.0.weight", "features.0.weight")]
    [InlineData("_fsdp_wrapped_module.features.0._checkpoint_wrapped_module.weight", "features.0.weight")]
    public void What_wrappers_put_into_the_middle_is_left_out(string name, string expected)
    {
        using ITensorArchive archive = Unwrap([name]);

        archive.Entries.Keys.ShouldBe([expected]);
    }

    [Fact]
    public void What_lies_beside_a_wrapped_network_does_not_count_but_what_lies_in_it_does()
    {
        using ITensorArchive archive = Unwrap([.. Network.Select(name => "net." + name), "net.extra", "optimizer.state.0.exp_avg"]);

        archive.Entries.Keys.ShouldBe([.. Network, "extra"], ignoreOrder: true);
        WrappedModel.PlaceOf(archive).ShouldBe(", under 'net.'");
    }

    [Fact]
    public void The_network_itself_is_taken_before_its_average()
    {
        using ITensorArchive archive = Unwrap([.. Network.Select(name => "ema." + name), .. Network.Select(name => "model." + name)]);

        WrappedModel.PlaceOf(archive).ShouldBe(", under 'model.'");
    }

    [Fact]
    public void Of_two_equal_ones_none_is_guessed() =>
        Should.Throw<FileFormatException>(() =>
            Unwrap([.. Network.Select(name => "teacher." + name), .. Network.Select(name => "student." + name)])).Message.ShouldContain(
            "it holds several such networks, under 'student.', 'teacher.'. Save the state_dict of the one that is meant.");

    [Fact]
    public void An_archive_that_needs_nothing_stays_itself()
    {
        using ITensorArchive archive = Open([.. Network, "extra"]);

        WrappedModel.Unwrap(archive, Network).ShouldBeSameAs(archive);
    }

    [Fact]
    public void A_network_of_another_kind_stays_as_it_is()
    {
        using ITensorArchive archive = Unwrap(["module.conv1.weight"]);

        archive.Entries.Keys.ShouldBe(["module.conv1.weight"]);
    }

    [Fact]
    public void Two_names_that_become_one_are_refused() =>
        Should.Throw<FileFormatException>(() => Unwrap(["layer.a", "layer._orig_mod.a"])).Message
            .ShouldContain("two tensors are named 'layer.a'");

    [Fact]
    public void A_Keras_model_is_found_as_a_layer_of_another_model()
    {
        KerasLayer[] layers = [Dense("dense_1", "dense_1/"), Dense("dense_2", "dense_2/")];
        string path = _folder.File("nested.h5");
        KerasLayer net = new("net", [.. layers.SelectMany(layer => layer.Weights)]);
        KerasWriter.Write(path, [net, Dense("head", "head/")], tensor => new float[] { tensor.Length, 2 },
            new Dictionary<string, string>());

        using KerasNames names = KerasNames.Of(H5Archive.Open(path), layers, ignoreRest: false, "hint");

        names.Entries.Keys.ShouldBe(["dense_1.weight", "dense_2.weight"]);
        SafetensorsTests.Read(names, "dense_2.weight").ShouldBe(["dense_2.weight".Length, 2]);
    }

    public void Dispose() => _folder.Dispose();

    private static KerasLayer Dense(string name, string path) => new(name,
        [new KerasWeight($"{path}kernel:0", [2, 1], [new KerasTensor($"{name}.weight", [1, 2], new KerasConversion(2, 1))])]);

    private ITensorArchive Unwrap(IEnumerable<string> names) => WrappedModel.Unwrap(Open(names), Network);

    private ITensorArchive Open(IEnumerable<string> names)
    {
        string path = _folder.File("weights.safetensors");
        SafetensorsWriter.Write(path, [.. names.Select(name => NamedTensor.Of<float>(name, new float[] { 1 }))]);
        return TensorArchive.Open(path);
    }
}
