using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Formats;
using CudaTrainer.Formats;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Classifiers as Keras files, and back to the same bits.</summary>
public sealed class KerasModelsTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 1);
    private readonly TemporaryFolder _folder = new();

    public KerasModelsTests() => Assert.SkipUnless(Hdf5Library.IsAvailable, Hdf5Library.Detail);

    public static TheoryData<string> Models => ModelCases.All;

    public void Dispose()
    {
        _folder.Dispose();
        _device.Dispose();
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_model_comes_back_with_the_same_bits_and_the_same_file(string model)
    {
        using Learner learner = NewLearner(model, 1);
        Save(learner, model, "a");
        Save(learner, model, "b");
        File.ReadAllBytes(_folder.File("a.h5")).ShouldBe(File.ReadAllBytes(_folder.File("b.h5")));

        using Learner other = NewLearner(model, 2);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.File("a.h5"));
        checkpoint.Info.ShouldNotBeNull();
        (checkpoint.Info.Model, checkpoint.Info.Inputs, checkpoint.Info.Threshold).ShouldBe((ModelCases.NameOf(model), 16, 0.25));
        checkpoint.LoadModel(other.Parameters);

        other.Parameters.Values.Read<float>().ShouldBe(learner.Parameters.Values.Read<float>());
        other.Parameters.BufferValues.Read<float>().ShouldBe(learner.Parameters.BufferValues.Read<float>());
        using TrainedClassifier classifier = TrainedClassifier.Load(_device, _folder.File("a.h5"));
        classifier.Learner.Parameters.Values.Read<float>().ShouldBe(learner.Parameters.Values.Read<float>());
    }

    [Fact]
    public void The_layers_of_lstm_attention_are_those_of_the_Keras_model_that_it_replaces()
    {
        using Learner learner = NewLearner("lstm-attention", 1, 4096);
        Save(learner, "lstm-attention", "a");
        using var archive = H5Archive.Open(_folder.File("a.h5"));

        archive.Layers.Select(layer => layer.Name).ShouldBe(
            ["video_input", "lstm_1", "bn_1", "dropout_1", "lstm_2", "bn_2", "dropout_2", "lstm_3", "bn_3", "dropout_3", "attention",
                "dense_1", "bn_4", "relu_1", "dropout_4",
            "dense_2", "bn_5", "relu_2", "dropout_5", "dense_3", "relu_3", "dropout_6", "output"]);
        archive.Entries.Values.Sum(entry => entry.ElementCount).ShouldBe(2_503_874);
        Shape("lstm_1/lstm_1/lstm_cell/kernel:0").ShouldBe([4096, 512]);
        Shape("lstm_1/lstm_1/lstm_cell/recurrent_kernel:0").ShouldBe([128, 512]);
        Shape("lstm_1/lstm_1/lstm_cell/bias:0").ShouldBe([512]);
        Shape("attention/attention/dense/kernel:0").ShouldBe([128, 1]);
        Shape("output/output/kernel:0").ShouldBe([64, 2]);
        archive.Layers.Single(layer => layer.Name == "bn_4")
            .Weights.ShouldBe(["bn_4/bn_4/gamma:0", "bn_4/bn_4/beta:0", "bn_4/bn_4/moving_mean:0", "bn_4/bn_4/moving_variance:0"]);

        long[] Shape(string name) => archive.Entries[name].Shape;
    }

    /// <summary>Names that another program chose: layers count by their order.</summary>
    [Fact]
    public void Weights_by_another_program_fit_by_position_and_start_a_classifier_but_are_none()
    {
        using Learner learner = NewLearner("gru-attention", 1), other = NewLearner("gru-attention", 2);
        KerasLayer[] renamed = [.. learner.Model.KerasLayers.Where(layer => layer.Weights.Count > 0)
            .Select((layer, i) => layer with { Name = $"layer_{100 - i}" })];
        Dictionary<string, Parameter> parameters = learner.Parameters.State.ToDictionary(parameter => parameter.Name);
        string path = _folder.File("renamed.h5");
        KerasWriter.Write(path, renamed, name => parameters[name].Value.Read<float>(),
            new Dictionary<string, string>());

        using Checkpoint checkpoint = Checkpoint.Open(path);
        checkpoint.Info.ShouldBeNull();
        checkpoint.LoadModel(other.Parameters);
        other.Parameters.Values.Read<float>().ShouldBe(learner.Parameters.Values.Read<float>());
        Should.Throw<RunException>(() => TrainedClassifier.Load(_device, path)).Message.ShouldContain("does not say which model it holds");
        using Learner wrong = NewLearner("lstm-attention", 2);
        Should.Throw<FileFormatException>(() => checkpoint.LoadModel(wrong.Parameters))
            .Message.ShouldContain("kernel:0 is F32 [16, 384], expected [16, 512]");
    }

    [Fact]
    public void A_run_writes_the_best_model_for_Keras_and_starts_from_it()
    {
        using TrainingFixture fixture = new();
        TrainingOptions options = fixture.Options("run") with { Epochs = 2, Model = "simple-lstm" };
        TrainingFixture.Run(options);

        using TrainedClassifier plain = TrainedClassifier.Load(_device, fixture.File("run/best_model.safetensors"));
        using TrainedClassifier keras = TrainedClassifier.Load(_device, fixture.File("run/best_model.h5"));
        keras.Learner.Parameters.Values.Read<float>().ShouldBe(plain.Learner.Parameters.Values.Read<float>());
        keras.Info.Threshold.ShouldBe(plain.Info.Threshold);
        Directory.EnumerateFiles(fixture.File("run"), "*.tmp").ShouldBeEmpty();

        TrainingFixture.Run(options with { CheckpointDir = fixture.File("a"), InitialWeights = fixture.File("run/best_model.h5") });
        TrainingFixture.Run(
            options with { CheckpointDir = fixture.File("b"), InitialWeights = fixture.File("run/best_model.safetensors") });
        TrainingFixture.Payload(fixture.File("a/best_model.safetensors"))
            .ShouldBe(TrainingFixture.Payload(fixture.File("b/best_model.safetensors")));
    }

    [Theory]
    [Trait("Category", "Slow")]
    [MemberData(nameof(Models))]
    public void Python_reads_what_we_write(string model)
    {
        using Learner learner = NewLearner(model, 1);
        Save(learner, model, "a");

        (int code, string output) = Python("keras_read.py", _folder.File("a.h5"));

        code.ShouldBe(0);
        using JsonDocument read = JsonDocument.Parse(output);
        JsonElement[] layers = [.. read.RootElement.EnumerateArray()];
        layers.Select(layer => layer[0].GetString()).ShouldBe(learner.Model.KerasLayers.Select(layer => layer.Name));
        using var archive = H5Archive.Open(_folder.File("a.h5"));
        foreach (JsonElement layer in layers)
        {
            H5Layer expected = archive.Layers.Single(candidate => candidate.Name == layer[0].GetString());
            JsonElement[] arrays = [.. layer[1].EnumerateArray()];
            arrays.Select(array => $"{expected.Name}/{array[0].GetString()}").ShouldBe(expected.Weights);
            foreach ((JsonElement array, string name) in arrays.Zip(expected.Weights))
            {
                float[] values = new float[archive.Entries[name].ElementCount];
                archive.Read(name, values);
                array[1].EnumerateArray().Select(length => length.GetInt64()).ShouldBe(archive.Entries[name].Shape);
                array[2].GetString().ShouldBe(Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes<float>(values))));
            }
        }
    }

    /// <summary>The file, computed in NumPy by Keras's equations, against the model that it was written from.</summary>
    [Theory]
    [Trait("Category", "Slow")]
    [MemberData(nameof(Models))]
    public void Logits_by_the_equations_of_Keras_are_those_of_the_model(string model)
    {
        const int clips = 3, frames = 5, inputs = 16;
        using Learner learner = NewLearner(model, 1);
        Save(learner, model, "a");
        var random = new Random(7);
        float[] features = [.. Enumerable.Range(0, clips * frames * inputs).Select(_ => (2 * random.NextSingle()) - 1)];
        NpyFile.Write<float>(_folder.File("x.npy"), features, clips, frames, inputs);

        (int code, string output) = Python("keras_forward.py", _folder.File("a.h5"), model, _folder.File("x.npy"));

        code.ShouldBe(0);
        double[] expected = [.. JsonSerializer.Deserialize<double[][]>(output)!.SelectMany(row => row)];
        using Tape tape = new(_device);
        using Tensor x = Tensor.From(_device, [clips, frames, inputs], features);
        float[] logits = learner.Model.Forward(tape, x).Logits.Read<float>();
        logits.Length.ShouldBe(expected.Length);
        foreach ((float logit, double wanted) in logits.Zip(expected))
        {
            ((double)logit).ShouldBe(wanted, 1e-5 * expected.Max(Math.Abs));
        }

        // Clips differ, so that a file whose recurrent weights say nothing would show.
        Math.Abs(expected[0] - expected[2]).ShouldBeGreaterThan(1e-4 * expected.Max(Math.Abs));
    }

    /// <summary>Runs a script of golden/ by Debian's Python, which python3-h5py belongs to.</summary>
    private static (int Code, string Output) Python(string script, params string[] arguments)
    {
        const string python = "/usr/bin/python3";
        Assert.SkipUnless(
            File.Exists(python) && ChildProcess.Run(python, ["-c", "import h5py, numpy"]).ExitCode == 0, "python3-h5py is not installed");
        CommandOutcome outcome = ChildProcess.Run(python, [GoldenFiles.Path(script), .. arguments]);
        return (outcome.ExitCode, outcome.Output);
    }

    private Learner NewLearner(string model, ulong seed, int inputs = 16)
    {
        Learner learner = new(_device, ModelCases.New(model, new ClassifierOptions(inputs)), TrainingFixture.Learner());
        learner.Parameters.Initialize(seed);

        // Initial biases and statistics are all alike, so that one taken for another would not show.
        var random = new Random((int)seed);
        foreach (Parameter parameter in learner.Parameters.State.Where(parameter => parameter.Shape.Count < 2000))
        {
            parameter.Value.Write(
                (ReadOnlySpan<float>)(float[])[.. Enumerable.Range(0, (int)parameter.Shape.Count).Select(_ => random.NextSingle())]);
        }

        return learner;
    }

    private void Save(Learner learner, string model, string name)
    {
        ModelInfo info = new()
        {
            Model = ModelCases.NameOf(model),
            Differences = ModelCases.HasDifferences(model),
            Inputs = 16,
            Frames = 4,
            Backbone = "b",
            BackboneDescription = "a backbone",
            Preprocess = "torch",
            Threshold = 0.25,
            Epoch = 3,
        };
        Checkpoint.SaveModel(_folder.File(name + ".safetensors"), learner, info, scaler: null, _folder.File(name + ".h5"));
    }
}
