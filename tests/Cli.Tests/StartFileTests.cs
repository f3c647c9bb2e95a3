using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>Files that a run is to start from are looked at before features are made.</summary>
public sealed class StartFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public StartFileTests()
    {
        for (int i = 0; i < 6; i++)
        {
            foreach (string name in new[] { "violent", "nonviolent" })
            {
                Directory.CreateDirectory(_folder.File($"clips/{name}"));
                StripedClip.Write(_folder.File($"clips/{name}/{i}.mp4"), (2 * i) + name.Length);
            }
        }

        _folder.File("text.ckpt", "no checkpoint");
        SafetensorsWriter.Write(_folder.File("other.safetensors"), [NamedTensor.Of<float>("conv1.weight", new float[] { 1 })]);
        Directory.CreateDirectory(_folder.File("damaged"));
        _folder.File("damaged/last.ckpt", "half a file");
    }

    [Theory]
    [InlineData("--resume", "none.ckpt", "'none.ckpt' does not exist")]
    [InlineData("--resume", "text.ckpt", "expected a weight file")]
    [InlineData("--resume", "other.safetensors", "is a model file without optimiser state")]
    [InlineData("--resume", "clips", "expected a file, found a folder")]
    [InlineData("--initial-weights", "none.safetensors", "'none.safetensors' does not exist")]
    [InlineData("--initial-weights", "other.safetensors", "does not fit the model")]
    [InlineData("--weights", "none.pth", "'none.pth' does not exist", "rgb")]
    [InlineData("--weights", "other.safetensors", "these are not the weights of a VGG19", "rgb")]
    [InlineData("--config", "text.ckpt", "is not valid JSON")]
    public void A_file_that_cannot_be_used_is_named_before_features_are_made(string option, string file, string expected,
        string stream = "motion")
    {
        CommandOutcome outcome = Train("--checkpoint-dir", "run", option, file, "--stream", stream);

        outcome.ExitCode.ShouldBeGreaterThan(0);
        outcome.Error.ShouldContain(expected);
        Features().ShouldBeEmpty();
    }

    [Fact]
    public void So_is_a_damaged_checkpoint_that_is_found_by_itself()
    {
        CommandOutcome outcome = Train("--checkpoint-dir", "damaged", "--resume", "auto", "--stream", "motion");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("damaged/last.ckpt");
        Features().ShouldBeEmpty();
    }

    [Theory]
    [InlineData("--resume", "text.ckpt")]
    [InlineData("--initial-weights", "none.safetensors")]
    [InlineData("--backbone", "none.onnx")]
    [InlineData("--backbone", "text.ckpt")]
    [InlineData("--weights", "none.pth")]
    [InlineData("--weights", "text.ckpt")]
    public void Where_the_recipe_follows_the_data_videos_are_not_even_hashed_before(string option, string file)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "train", "--dataset-path", "clips",
            "--cache-dir", "cache", option, file);

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain($"'{file}'");
        Directory.Exists(_folder.File("cache")).ShouldBeFalse();
    }

    public void Dispose() => _folder.Dispose();

    private string[] Features() => Directory.GetFiles(_folder.Path, "*_features.npy", SearchOption.AllDirectories);

    private CommandOutcome Train(params string[] options) => CommandRunner.RunIn(_folder.Path, [],
        ["train", "--dataset-path", "clips", "--cache-dir", "cache", "--frames", "2", "--preset", "original", .. options]);
}
