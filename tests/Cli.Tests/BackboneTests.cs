using System.Text.Json;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>--backbone FILE.onnx by the built program: a network that the test makes, other clips and sizes than VGG19's.</summary>
public sealed class BackboneTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public BackboneTests()
    {
        foreach (string name in new[] { "train/violent/a", "train/nonviolent/b", "val/violent/c", "val/nonviolent/d" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1] - 'a' + 1, 12);
        }

        ImageNetwork.WriteClassifier(_folder.File("net.onnx"));
    }

    [Fact]
    public void A_network_from_a_file_extracts_trains_evaluates_and_predicts()
    {
        CommandOutcome extracted = Run("extract", "--dataset-path", "clips", "--cache-dir", "cache", "--frames", "3", "--backbone", "net.onnx");
        extracted.ExitCode.ShouldBe(0, extracted.Error);
        (extracted.Output + extracted.Error).ShouldContain($"'net.onnx' (ONNX, layer '{ImageNetwork.Layer}')");
        using (FeatureSplits splits = FeatureSplits.Open(_folder.File("cache")))
        {
            (splits.Train.Count, splits.Train.Frames, splits.Train.Dimension).ShouldBe((2, 3, ImageNetwork.Features));
            var key = splits.Train.Key.ToDictionary();
            key["backbone"].ShouldBe($"onnx-sha256-{FileHash.Sha256(_folder.File("net.onnx"))} {ImageNetwork.Layer}");
            key["resize"].ShouldBe("48x32 bilinear");
            key["preprocessing"].ShouldBe("48x32 nhwc rgb scale=255 mean=0.485,0.456,0.406 deviation=0.229,0.224,0.225");
        }

        CommandOutcome trained = Run("train", "--dataset-path", "clips", "--cache-dir", "cache", "--checkpoint-dir", "run", "--frames", "3",
            "--backbone", "net.onnx");
        trained.ExitCode.ShouldBe(0, trained.Error);
        trained.Error.ShouldContain("4 of 4 clips are cached, 0 to extract");

        CommandOutcome evaluated = Run("evaluate", "--checkpoint", "run", "--dataset-path", "clips", "--cache-dir", "cache",
            "--backbone", "net.onnx");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);

        string[] predict = ["predict", "clips/val/violent/c.mp4", "--checkpoint", "run", "--json"];
        double whole = Violent(Run([.. predict, "--backbone", "net.onnx"]));
        Violent(Run([.. predict, "--backbone", "net.onnx", "--window", "5"])).ShouldBe(whole, 1e-5);

        CommandOutcome without = Run(predict);
        without.ExitCode.ShouldBe(1);
        without.Error.ShouldContain("Give the file it was trained with: --backbone FILE.");
    }

    public void Dispose() => _folder.Dispose();

    private static double Violent(CommandOutcome outcome)
    {
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        return json.RootElement[0].GetProperty("violent").GetDouble();
    }

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);
}
