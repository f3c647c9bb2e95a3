using System.Text.Json;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

public sealed class InspectTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void An_array_is_described_with_its_numbers()
    {
        NpyFile.Write<float>(_folder.File("a.npy"), [1, float.NaN, -3, 4, float.PositiveInfinity, 2], 2, 3);
        NpyFile.Write<long>(_folder.File("b.npy"), [5, -7], 2);

        JsonElement json = Json("a.npy", "--stats");
        JsonElement tensor = json.GetProperty("tensors").EnumerateArray().ShouldHaveSingleItem();
        tensor.GetProperty("type").GetString().ShouldBe("F32");
        tensor.GetProperty("shape").EnumerateArray().Select(length => length.GetInt32()).ShouldBe([2, 3]);
        tensor.GetProperty("bytes").GetInt32().ShouldBe(24);
        JsonElement statistics = tensor.GetProperty("statistics");
        (statistics.GetProperty("min").GetDouble(), statistics.GetProperty("mean").GetDouble(), statistics.GetProperty("max").GetDouble(),
            statistics.GetProperty("non_finite").GetInt32())
            .ShouldBe((-3, 1, 4, 2));
        Json("b.npy", "--stats").GetProperty("tensors")[0].GetProperty("statistics").GetProperty("mean").GetDouble().ShouldBe(-1);
        Json("a.npy").GetProperty("tensors")[0].GetProperty("statistics").ValueKind.ShouldBe(JsonValueKind.Null);
        string[] lines = Run("a.npy", "--stats").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines[^1].Split("   ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .ShouldBe(["F32", "[2, 3]", "24 B", "-3", "1", "4", "2"]);
    }

    [Fact]
    public void A_model_and_a_checkpoint_say_what_they_are_and_a_folder_lists_its_arrays()
    {
        FeatureFolder.Write(_folder.File("features"));
        CommandRunner.RunIn(_folder.Path, [], "train", "--features-dir", "features", "--checkpoint-dir", "run", "--epochs", "1",
            "--model", "lstm-attention")
            .ExitCode.ShouldBe(0);

        JsonElement model = Json("run/best_model.safetensors", "--stats");
        model.GetProperty("model").GetProperty("inputs").GetInt32().ShouldBe(FeatureFolder.Dimension);
        model.GetProperty("tensors").EnumerateArray().Select(tensor => tensor.GetProperty("name").GetString())
            .ShouldContain("lstm_1.weight_ih");
        model.GetProperty("tensors").EnumerateArray().Sum(tensor => tensor.GetProperty("statistics").GetProperty("non_finite").GetInt32())
            .ShouldBe(0);
        CommandOutcome text = Run("run/last.ckpt");
        text.ExitCode.ShouldBe(0, text.Error);
        text.Output.ShouldContain("model lstm-attention of epoch 1: 4 frames of 16 features");
        text.Output.ShouldContain("optimizer.first_moments");
        text.Output.Split('\n').ShouldAllBe(line => line.Length < 220);
        Json("features").GetProperty("tensors").EnumerateArray().Select(tensor => tensor.GetProperty("name").GetString()).ShouldBe(
            ["test_features.npy", "test_labels.npy", "train_features.npy", "train_labels.npy", "val_features.npy", "val_labels.npy"]);
    }

    [Theory]
    [InlineData("cut.npy")]
    [InlineData("cut.safetensors")]
    [InlineData("hostile.pth")]
    [InlineData("text.pt")]
    [InlineData("cut.h5")]
    [InlineData("text.h5")]
    [InlineData("empty.npy")]
    [InlineData("missing.npy")]
    [InlineData("folder")]
    public void What_cannot_be_read_is_one_error_that_names_it(string name)
    {
        NpyFile.Write<float>(_folder.File("cut.npy"), new float[100], 100);
        File.WriteAllBytes(_folder.File("cut.npy"), File.ReadAllBytes(_folder.File("cut.npy"))[..^40]);
        File.WriteAllBytes(_folder.File("cut.safetensors"), [200, 0, 0, 0, 0, 0, 0, 0, .. "{\"a\":{\"dtype\":\"F32\""u8]);

        // A pickle that would run a command: cos\nsystem\n(S'touch owned'\ntR.
        File.WriteAllBytes(_folder.File("hostile.pth"), [0x80, 2, .. "cos\nsystem\n(S'touch owned'\ntR."u8]);
        File.WriteAllText(_folder.File("text.pt"), "<html>not found</html>");
        File.WriteAllBytes(_folder.File("cut.h5"), File.ReadAllBytes(Golden("keras_2.h5"))[..3000]);
        File.WriteAllText(_folder.File("text.h5"), "<html>not found</html>");
        File.WriteAllBytes(_folder.File("empty.npy"), []);
        Directory.CreateDirectory(_folder.File("folder"));

        CommandOutcome outcome = Run(name, "--stats");

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldBeEmpty();
        outcome.ErrorLines[0].ShouldStartWith("error: ");
        outcome.ErrorLines[0].ShouldContain(name);
        outcome.ErrorLines[0].ShouldNotContain("internal error");
        File.Exists(_folder.File("owned")).ShouldBeFalse();
    }

    /// <summary>A file by h5py, compressed and as Keras 3 spells it: read by libhdf5 in a child of the program.</summary>
    [Fact]
    public void A_Keras_file_lists_its_weights_with_their_numbers()
    {
        Assert.SkipUnless(Hdf5Library.IsAvailable, Hdf5Library.Detail);

        CommandOutcome outcome = CommandRunner.Run("inspect", Golden("keras_3.h5"), "--stats", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        JsonElement json = JsonDocument.Parse(outcome.Output).RootElement;
        json.GetProperty("format").GetString().ShouldBe("Keras HDF5");
        JsonElement[] tensors = json.GetProperty("tensors").EnumerateArray().ToArray();
        tensors.Select(tensor => tensor.GetProperty("name").GetString()).ShouldBe(
            ["lstm_1/lstm_1/lstm_cell/kernel", "lstm_1/lstm_1/lstm_cell/recurrent_kernel", "lstm_1/lstm_1/lstm_cell/bias"]);
        tensors[0].GetProperty("shape").EnumerateArray().Select(length => length.GetInt32()).ShouldBe([3, 8]);

        // Quarters with alternating signs, 0 to 23 of them.
        JsonElement statistics = tensors[0].GetProperty("statistics");
        (statistics.GetProperty("min").GetDouble(), statistics.GetProperty("mean").GetDouble(), statistics.GetProperty("max").GetDouble())
            .ShouldBe((-5.75, -0.125, 5.5));
    }

    [Fact]
    public void A_Keras_file_that_crashes_the_library_is_an_error()
    {
        Assert.SkipUnless(Hdf5Library.IsAvailable, Hdf5Library.Detail);

        CommandOutcome outcome = CommandRunner.Run("inspect", Golden("keras_crash.h5"));

        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldBeEmpty();
        outcome.ErrorLines.ShouldHaveSingleItem().ShouldContain("keras_crash.h5': HDF5: ");
    }

    public void Dispose() => _folder.Dispose();

    private static string Golden(string name) => Path.Combine(Repository.Root, "tests/golden", name);

    private CommandOutcome Run(params string[] arguments) =>
        CommandRunner.RunInside(["inspect", _folder.File(arguments[0]), .. arguments[1..]]);

    private JsonElement Json(params string[] arguments)
    {
        CommandOutcome outcome = Run([.. arguments, "--json"]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        return JsonDocument.Parse(outcome.Output).RootElement;
    }
}
