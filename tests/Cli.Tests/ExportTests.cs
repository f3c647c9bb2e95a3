using System.Diagnostics;
using System.Text.Json;
using CudaTrainer.Engine.Formats;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tests.Onnx;

namespace CudaTrainer.Cli.Tests;

/// <summary>Export by the built program. What <c>node</c> answers is written here, so that these tests do not depend on one; the last ones take the real one where it is.</summary>
public sealed class ExportTests : IDisposable
{
    private const string Absent = "{\"absent\":\"Cannot find module 'onnxruntime-node'\"}";

    private readonly TemporaryFolder _folder = new();

    public ExportTests()
    {
        FeatureFolder.Write(_folder.File("features"));
        Train("lstm-attention");
    }

    [Fact]
    public void Without_ONNX_Runtime_the_file_is_read_back_and_says_what_it_is()
    {
        var outcome = Export(Absent, "--onnx", "model.onnx");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("Not run in ONNX Runtime (Cannot find module 'onnxruntime-node'); read back instead");
        outcome.Output.ShouldContain($"[batch, {FeatureFolder.Frames}, {FeatureFolder.Dimension}]");
        OnnxFile file = new(File.ReadAllBytes(_folder.File("model.onnx")));
        file.Inputs.ShouldHaveSingleItem().Shape.ShouldBe([-1, FeatureFolder.Frames, FeatureFolder.Dimension]);
        file.Metadata["model"].ShouldBe("lstm-attention");
        file.Metadata["classes"].ShouldBe("nonviolent,violent");
        file.Metadata["backbone"].ShouldBe("unknown");
        Left().ShouldBe(["model.onnx"]);

        // A checkpoint of the same epoch is the same model; so is the file that the folder stands for.
        Export(Absent, "--onnx", "file.onnx", "--model", "run/best_model.safetensors").ExitCode.ShouldBe(0);
        File.ReadAllBytes(_folder.File("file.onnx")).ShouldBe(File.ReadAllBytes(_folder.File("model.onnx")));
    }

    /// <summary>A model without weights behind the recurrent layers calls both classes equally likely and all frames equally important: an answer that is known.</summary>
    [Fact]
    public void An_answer_that_agrees_is_reported_with_its_difference()
    {
        using (ITensorArchive archive = TensorArchive.Open(_folder.File("run/best_model.safetensors")))
        {
            NamedTensor Copy(string name, TensorEntry entry)
            {
                float[] values = new float[entry.ElementCount];
                if (name is not ("output.weight" or "output.bias" or "attention.weight"))
                {
                    archive.Read(name, values);
                }

                return NamedTensor.Of<float>(name, values, entry.Shape);
            }

            SafetensorsWriter.Write(_folder.File("even.safetensors"), [.. archive.Entries.Select(entry => Copy(entry.Key, entry.Value))], archive.Metadata);
        }

        var outcome = Export(Answer(0.50002, 0.25), "--onnx", "model.onnx", "--model", "even.safetensors", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        JsonElement check = json.RootElement.GetProperty("check");
        check.GetProperty("runtime").GetString().ShouldBe("9.9.9");
        check.GetProperty("differences").GetProperty("probabilities").GetDouble().ShouldBe(2e-5, 1e-6);
        check.GetProperty("differences").GetProperty("attention").GetDouble().ShouldBe(0, 1e-6);
        Left().ShouldBe(["model.onnx"]);
        Export(Answer(0.50012, 0.25), "--onnx", "other.onnx", "--model", "even.safetensors").ExitCode.ShouldBe(1);
    }

    [Fact]
    public void Answers_that_differ_keep_the_file_under_another_name_and_the_old_one_as_it_was()
    {
        File.WriteAllText(_folder.File("model.onnx"), "the old one");

        var outcome = Export(Answer(1, 0.25), "--onnx", "model.onnx", "--overwrite");

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines[^2].ShouldStartWith("error: ONNX Runtime 9.9.9 does not answer as this engine does: probabilities differs by up to ");
        outcome.ErrorLines[^1].ShouldBe("hint: The file is kept as 'model.onnx.unchecked'.");
        File.ReadAllText(_folder.File("model.onnx")).ShouldBe("the old one");
        new OnnxFile(File.ReadAllBytes(_folder.File("model.onnx.unchecked"))).Metadata["model"].ShouldBe("lstm-attention");
    }

    [Theory]
    [InlineData("{\"error\":\"Unsupported opset\"}", "refuses the model: Unsupported opset")]
    [InlineData("", "node, which ran ONNX Runtime, ended with 3")]
    [InlineData("{\"version\":\"9.9.9\",\"outputs\":{}}", "gives 0 numbers of 'probabilities' instead of 6")]
    [InlineData("{\"version\":\"9.9.9\",\"outputs\":{\"probabilities\":{\"data\":[null,1,0,1,0,1]},\"attention\":{\"data\":[1,1,1,1,1,1,1,1,1,1,1,1]}}}", "probabilities differs by up to")]
    public void No_answer_is_no_success(string answer, string message)
    {
        var outcome = Export(answer, "--onnx", "model.onnx");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain(message);
        Left().ShouldBe(["model.onnx.unchecked"]);
    }

    [Fact]
    public void An_existing_file_is_replaced_only_when_asked()
    {
        File.WriteAllText(_folder.File("model.onnx"), "the old one");

        var refused = Export(Absent, "--onnx", "model.onnx");

        refused.ExitCode.ShouldBe(1);
        refused.ErrorLines.ShouldBe(["error: 'model.onnx' is there already.", "hint: Choose another name, or give --overwrite."]);
        File.ReadAllText(_folder.File("model.onnx")).ShouldBe("the old one");
        Export(Absent, "--onnx", "model.onnx", "--overwrite").ExitCode.ShouldBe(0);
        new OnnxFile(File.ReadAllBytes(_folder.File("model.onnx"))).Opset.ShouldBe(15);
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
        foreach (var (line, code, message) in mistakes)
        {
            var outcome = Export(Absent, line);

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
        var outcome = CommandRunner.RunLimited(_folder.Path, kilobytes: 300, "export", "--onnx", "model.onnx", "--model", "run", "--no-check");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("model.onnx");
        outcome.Error.ShouldContain("larger than");
        Left().ShouldBeEmpty();
        Directory.GetFiles(_folder.Path, ".*.tmp").ShouldBeEmpty();
    }

    /// <summary>What matters in the end, where it can be had: <c>scripts/peers.sh</c> installs it.</summary>
    [Fact]
    public void ONNX_Runtime_itself_agrees_with_every_classifier()
    {
        foreach (string name in Classifiers.Names)
        {
            Train(name);
            var outcome = CommandRunner.RunIn(_folder.Path, [], "export", "--onnx", name + ".onnx", "--model", "run", "--json");

            outcome.ExitCode.ShouldBe(0, outcome.Error);
            using var json = JsonDocument.Parse(outcome.Output);
            JsonElement check = json.RootElement.GetProperty("check");
            Assert.SkipWhen(check.GetProperty("runtime").ValueKind == JsonValueKind.Null, $"no ONNX Runtime: {check.GetProperty("not_run").GetString()}");
            string[] outputs = name == "simple-lstm" ? ["probabilities"] : ["probabilities", "attention"];
            check.GetProperty("differences").EnumerateObject().Select(difference => difference.Name).ShouldBe(outputs);
            check.GetProperty("differences").EnumerateObject().ShouldAllBe(difference => difference.Value.GetDouble() < 1e-5);
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The same probability of each class and the same attention to each frame, for the three clips of the check.</summary>
    private static string Answer(double violent, double attention) => JsonSerializer.Serialize(new
    {
        version = "9.9.9",
        outputs = new
        {
            probabilities = new { data = Enumerable.Range(0, 3).SelectMany(_ => new[] { 1 - violent, violent }) },
            attention = new { data = Enumerable.Repeat(attention, 3 * FeatureFolder.Frames) },
        },
    });

    private void Train(string model)
    {
        var outcome = CommandRunner.RunInside(
            "train", "--features-dir", _folder.File("features"), "--checkpoint-dir", _folder.File("run"), "--model", model, "--epochs", "1", "--overwrite", "--no-tensorboard");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
    }

    /// <summary>Exports <c>run</c>, unless the options name another model, with a node that gives this answer to everything.</summary>
    private CommandOutcome Export(string answer, params string[] options)
    {
        Directory.CreateDirectory(_folder.File("bin"));
        string node = _folder.File("bin/node");
        File.WriteAllText(node, $"#!/bin/sh\ncat >/dev/null\ncat <<'ANSWER'\n{answer}\nANSWER\n{(answer.Length == 0 ? "exit 3" : "")}\n");
        using (var chmod = Process.Start("chmod", ["+x", node]))
        {
            chmod.WaitForExit();
        }

        string path = $"{_folder.File("bin")}{Path.PathSeparator}{Environment.GetEnvironmentVariable("PATH")}";
        return CommandRunner.RunIn(_folder.Path, new() { ["PATH"] = path }, ["export", .. options, .. options.Contains("--model") ? (string[])[] : ["--model", "run"]]);
    }

    /// <summary>Names of what is there of exports.</summary>
    private string[] Left() => [.. Directory.GetFileSystemEntries(_folder.Path, "*.onnx*").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
}
