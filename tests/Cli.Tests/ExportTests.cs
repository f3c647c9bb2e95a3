using System.Text.Json;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tests.Onnx;

namespace CudaTrainer.Cli.Tests;

/// <summary>Export by the built program, checked by ONNX Runtime itself.</summary>
public sealed class ExportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ExportTests()
    {
        FeatureFolder.Write(_folder.File("features"));
        Train("lstm-attention");
    }

    [Fact]
    public void A_file_says_what_it_is()
    {
        CommandOutcome outcome = Export("--onnx", "model.onnx", "--no-check");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("Not run in ONNX Runtime (--no-check); read back instead");
        outcome.Output.ShouldContain($"[batch, {FeatureFolder.Frames}, {FeatureFolder.Dimension}]");
        OnnxFile file = new(File.ReadAllBytes(_folder.File("model.onnx")));
        file.Inputs.ShouldHaveSingleItem().Shape.ShouldBe([-1, FeatureFolder.Frames, FeatureFolder.Dimension]);
        file.Metadata["model"].ShouldBe("lstm-attention");
        file.Metadata["classes"].ShouldBe("nonviolent,violent");
        file.Metadata["backbone"].ShouldBe("unknown");
        Left().ShouldBe(["model.onnx"]);

        // A checkpoint of the same epoch is the same model; so is the file that the folder stands for.
        Export("--onnx", "file.onnx", "--model", "run/best_model.safetensors").ExitCode.ShouldBe(0);
        File.ReadAllBytes(_folder.File("file.onnx")).ShouldBe(File.ReadAllBytes(_folder.File("model.onnx")));
    }

    [Fact]
    public void An_existing_file_is_replaced_only_when_asked()
    {
        File.WriteAllText(_folder.File("model.onnx"), "the old one");

        CommandOutcome refused = Export("--onnx", "model.onnx");

        refused.ExitCode.ShouldBe(1);
        refused.ErrorLines.ShouldBe(["error: 'model.onnx' is there already.",
            "hint: Choose another name for --onnx, or give --overwrite to replace it."]);
        File.ReadAllText(_folder.File("model.onnx")).ShouldBe("the old one");
        Export("--onnx", "model.onnx", "--overwrite").ExitCode.ShouldBe(0);
        new OnnxFile(File.ReadAllBytes(_folder.File("model.onnx"))).Opset.ShouldBe(15);
    }

    [Fact]
    public void Of_a_model_that_takes_motion_what_can_be_is_written_and_what_it_takes_is_said()
    {
        CommandOutcome outcome = Export("--onnx", "motion.onnx", "--model", "bundled", "--whole");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("warning: motion is measured, not computed by a network, and has no form in ONNX: the file takes " +
            "features [batch, ");
        new OnnxFile(File.ReadAllBytes(_folder.File("motion.onnx"))).Inputs.ShouldHaveSingleItem().Name.ShouldBe("features");
    }

    [Fact]
    public void Mistakes_are_named_before_anything_is_written()
    {
        File.WriteAllText(_folder.File("text.safetensors"), "These are my notes.");
        Directory.CreateDirectory(_folder.File("empty"));
        Directory.CreateDirectory(_folder.File("folder.onnx"));
        (string[] Line, int Code, string Message)[] mistakes =
        [
            (["--onnx", "model.pb"], 2, "--onnx: \"model.pb\" does not end in .onnx"),
            (["--onnx", "model.onnx", "--weights", "vgg19.pth"], 2, "--weights: needs --whole"),
            (["--model", "run"], 2, "--onnx: is required"),
            (["--onnx", "none/model.onnx"], 1, "The folder of 'none/model.onnx' does not exist."),
            (["--onnx", "folder.onnx"], 1, "'folder.onnx' is a folder."),
            (["--onnx", "model.onnx", "--model", "text.safetensors"], 1, "'text.safetensors'"),
            (["--onnx", "model.onnx", "--model", "none.ckpt"], 1, "'none.ckpt' does not exist"),
            (["--onnx", "model.onnx", "--model", "empty"], 1, "'empty' is a folder without best_model.safetensors."),
            (["--onnx", "model.onnx", "--whole"], 1, "takes 16 features a frame, and VGG19 gives 4096"),
        ];
        foreach ((string[] line, int code, string message) in mistakes)
        {
            CommandOutcome outcome = Export(line);

            outcome.ExitCode.ShouldBe(code, message);
            outcome.Output.ShouldBeEmpty();
            outcome.ErrorLines[0].ShouldStartWith("error: ");
            outcome.ErrorLines[0].ShouldContain(message);
        }

        CommandRunner.RunInside("export", "--onnx", "model.onnx").ErrorLines[0].ShouldBe("error: --model: is required: the trained model");
        Left().ShouldBe(["folder.onnx"]);
    }

    [Fact]
    public void A_disk_that_fills_up_leaves_nothing_behind()
    {
        CommandOutcome outcome = CommandRunner.RunLimited(_folder.Path, kilobytes: 300, "export", "--onnx", "model.onnx", "--model", "run",
            "--no-check");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("model.onnx");
        outcome.Error.ShouldContain("larger than");
        Left().ShouldBeEmpty();
        Directory.GetFiles(_folder.Path, ".*.tmp").ShouldBeEmpty();
    }

    [Fact]
    public void ONNX_Runtime_itself_agrees_with_every_classifier()
    {
        foreach (string name in Classifiers.Names)
        {
            Train(name);
            CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "export", "--onnx", name + ".onnx", "--model", "run", "--json");

            outcome.ExitCode.ShouldBe(0, outcome.Error);
            using var json = JsonDocument.Parse(outcome.Output);
            JsonElement check = json.RootElement.GetProperty("check");
            check.GetProperty("runtime").GetString().ShouldStartWith("1.");
            string[] outputs = name is "simple-lstm" or "frame-mlp" or "linear" ? ["probabilities"] : ["probabilities", "attention"];
            check.GetProperty("differences").EnumerateObject().Select(difference => difference.Name).ShouldBe(outputs);
            check.GetProperty("differences").EnumerateObject().ShouldAllBe(difference => difference.Value.GetDouble() < 1e-5);
        }
    }

    public void Dispose() => _folder.Dispose();

    private void Train(string model)
    {
        CommandOutcome outcome = CommandRunner.RunInside(
            "train", "--features-dir", _folder.File("features"), "--checkpoint-dir", _folder.File("run"), "--model", model, "--epochs",
                "1", "--overwrite", "--no-tensorboard");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
    }

    /// <summary>Exports <c>run</c>, unless the options name another model.</summary>
    private CommandOutcome Export(params string[] options) =>
        CommandRunner.RunIn(_folder.Path, [], ["export", .. options, .. options.Contains("--model") ? (string[])[] : ["--model", "run"]]);

    /// <summary>Names of what is there of exports.</summary>
    private string[] Left() =>
        [.. Directory.GetFileSystemEntries(_folder.Path, "*.onnx*").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
}
