using CudaTrainer.Engine.Devices;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Export;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Onnx;

/// <summary>The check after an export, with an ONNX Runtime whose answer is written here.</summary>
public sealed class ExportRunTests : IDisposable
{
    private const int Frames = 4, Inputs = 16, Clips = 3;

    private readonly TemporaryFolder _folder = new();

    /// <summary>
    /// A model without weights behind the recurrent layers calls both classes equally likely and all frames equally important.
    /// </summary>
    public ExportRunTests()
    {
        using var device = new CpuDevice(1);
        using Learner learner = ExportedModel.Create(device, "lstm-attention", Inputs);
        Checkpoint.SaveModel(_folder.File("model.safetensors"), learner,
            new ModelInfo { Model = "lstm-attention", Inputs = Inputs, Frames = Frames, Backbone = "none", BackboneDescription = "none", Preprocess = "none" }, scaler: null);
        using ITensorArchive archive = TensorArchive.Open(_folder.File("model.safetensors"));
        SafetensorsWriter.Write(_folder.File("even.safetensors"),
            [.. archive.Entries.Select(entry => Evened(archive, entry.Key, entry.Value))], archive.Metadata);
    }

    [Fact]
    public void An_answer_that_agrees_is_reported_with_its_difference()
    {
        ExportCheck check = Export(Answer(0.50002, 0.25)).Check;

        check.Runtime.ShouldBe("9.9.9");
        check.NotRun.ShouldBeNull();
        check.Clips.ShouldBe(Clips);
        check.Differences["probabilities"].ShouldBe(2e-5, 1e-6);
        check.Differences["attention"].ShouldBe(0, 1e-6);
        Left().ShouldBe(["model.onnx"]);
    }

    [Fact]
    public void Answers_that_differ_keep_the_file_under_another_name_and_the_old_one_as_it_was()
    {
        File.WriteAllText(_folder.File("model.onnx"), "the old one");

        RunException failure = Should.Throw<RunException>(() => Export(Answer(0.50012, 0.25)));

        failure.Message.ShouldStartWith("ONNX Runtime 9.9.9 does not answer as this engine does: probabilities differs by up to ");
        failure.Hint.ShouldBe($"The file is kept as '{_folder.File("model.onnx.unchecked")}'.");
        File.ReadAllText(_folder.File("model.onnx")).ShouldBe("the old one");
        new OnnxFile(File.ReadAllBytes(_folder.File("model.onnx.unchecked"))).Metadata["model"].ShouldBe("lstm-attention");
    }

    [Theory]
    [InlineData("nothing", "gives 0 numbers of 'probabilities' instead of 6")]
    [InlineData("no numbers", "probabilities differs by up to")]
    [InlineData("a refusal", "refuses the model: Unsupported opset")]
    public void No_answer_is_no_success(string kind, string message)
    {
        RunException failure = Should.Throw<RunException>(() => Export(() => kind switch
        {
            "nothing" => new OnnxAnswer("9.9.9", new Dictionary<string, double[]>()),
            "no numbers" => Answer(double.NaN, 0.25)(),
            _ => throw new FileFormatException("model.onnx", "ONNX Runtime refuses the model: Unsupported opset"),
        }));

        failure.Message.ShouldContain(message);
        Left().ShouldBe(["model.onnx.unchecked"]);
    }

    [Fact]
    public void Stopping_leaves_nothing()
    {
        Should.Throw<OperationCanceledException>(() => Export(() => throw new OperationCanceledException()));
        Left().ShouldBeEmpty();
    }

    public void Dispose() => _folder.Dispose();

    private ExportResult Export(Func<OnnxAnswer> answer) => ExportRun.Execute(
        new ExportOptions { Model = _folder.File("even.safetensors"), Onnx = _folder.File("model.onnx"), Overwrite = true },
        new WrittenAnswer(answer), new SilentObserver(),
        CancellationToken.None);

    /// <summary>The same probability of each class and the same attention to each frame, for all clips of the check.</summary>
    private static Func<OnnxAnswer> Answer(double violent, double attention) => () =>
        new OnnxAnswer("9.9.9", new Dictionary<string, double[]>
        {
            ["probabilities"] = [.. Enumerable.Range(0, Clips).SelectMany(_ => new[] { 1 - violent, violent })],
            ["attention"] = [.. Enumerable.Repeat(attention, Clips * Frames)],
        });

    private static NamedTensor Evened(ITensorArchive archive, string name, TensorEntry entry)
    {
        float[] values = new float[entry.ElementCount];
        if (name is not ("output.weight" or "output.bias" or "attention.weight"))
        {
            archive.Read(name, values);
        }

        return NamedTensor.Of<float>(name, values, entry.Shape);
    }

    /// <summary>Names of what is there of exports.</summary>
    private string[] Left() =>
        [.. Directory.GetFileSystemEntries(_folder.Path, "*.onnx*").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private sealed class WrittenAnswer(Func<OnnxAnswer> answer) : IOnnxRunner
    {
        public IOnnxSession Load(string path, byte[] model, int threads) => throw new NotSupportedException();

        public OnnxAnswer Run(string model, OnnxInput input, CancellationToken stop)
        {
            File.Exists(model).ShouldBeTrue();
            input.Data.Length.ShouldBe(Clips * Frames * Inputs * sizeof(float));
            return answer();
        }
    }
}
