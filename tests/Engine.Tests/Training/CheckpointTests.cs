using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>A file is loaded whole or not at all.</summary>
public sealed class CheckpointTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 1);
    private readonly TemporaryFolder _folder = new();
    private readonly Learner _learner;

    public CheckpointTests()
    {
        _learner = new Learner(_device, Classifiers.Create("simple-lstm", new ClassifierOptions(16)), TrainingFixture.Learner());
        _learner.Parameters.Initialize(42);
    }

    private static ModelInfo Info =>
        new() { Model = "simple-lstm", Inputs = 16, Frames = 4, Backbone = "b", BackboneDescription = "a backbone", Preprocess = "torch", Threshold = 0.25, Epoch = 3 };

    [Fact]
    public void Everything_comes_back_as_it_was_saved()
    {
        MemoryRows rows = new(8);
        using HostBatch batch = rows.Batch(_device, false, 0, 1, 2, 3);
        _learner.Train(batch, 0.01);
        TrainingState state = new TrainingState
        {
            Epoch = 2,
            StepInEpoch = 1,
            BestValue = double.NaN,
            LearningRateFactor = 0.5,
            Fingerprint = new Dictionary<string, string> { ["--seed"] = "42" },
        }.With(_learner.State.Read());
        Checkpoint.SaveFull(_folder.File("c.ckpt"), _learner, Info, state, FeatureScaler.Fit(rows));

        using Learner other = new(_device, Classifiers.Create("simple-lstm", new ClassifierOptions(16)), TrainingFixture.Learner());
        using Checkpoint checkpoint = Checkpoint.Open(_folder.File("c.ckpt"));
        checkpoint.LoadModel(other.Parameters);
        checkpoint.LoadOptimizer(other);

        other.Parameters.Values.Read<float>().ShouldBe(_learner.Parameters.Values.Read<float>());
        other.Optimizer.FirstMoments.Read<float>().ShouldBe(_learner.Optimizer.FirstMoments.Read<float>());
        other.Optimizer.SecondMoments.Read<float>().ShouldBe(_learner.Optimizer.SecondMoments.Read<float>());
        other.State.Read().AdamSteps.ShouldBe(1);
        checkpoint.ReadScaler()!.Mean.ShouldBe(FeatureScaler.Fit(rows).Mean);
        checkpoint.Info.ShouldNotBeNull();
        checkpoint.Info.ShouldBe(Info with { Classes = checkpoint.Info.Classes });
        (checkpoint.State!.Epoch, checkpoint.State.StepInEpoch, checkpoint.State.LearningRateFactor).ShouldBe((2, 1, 0.5));
        checkpoint.State.BestValue.ShouldBe(double.NaN);
        checkpoint.State.Fingerprint["--seed"].ShouldBe("42");
    }

    /// <summary>Names of tensors are the contract with other programs; what does not fit is named, all of it at once.</summary>
    [Fact]
    public void Missing_unexpected_and_misshapen_tensors_are_all_named_and_nothing_is_loaded()
    {
        Dictionary<string, (long[] Shape, float[] Values)> tensors = Tensors();
        tensors.Remove("output.bias");
        tensors["dense_1.weight"] = ([64, 256], new float[64 * 256]);
        tensors["dense_9.weight"] = ([2], [1, 2]);
        float[] before = _learner.Parameters.Values.Read<float>();

        RunException exception = Should.Throw<RunException>(() => Load(tensors));

        exception.Message.ShouldContain("model.safetensors");
        exception.Message.ShouldContain("output.bias [2] is missing");
        exception.Message.ShouldContain("dense_1.weight is F32 [64, 256], expected [128, 128]");
        exception.Message.ShouldContain("dense_9.weight is not part of the model");
        _learner.Parameters.Values.Read<float>().ShouldBe(before);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void A_number_that_is_not_finite_is_named(float value)
    {
        Dictionary<string, (long[] Shape, float[] Values)> tensors = Tensors();
        tensors["dense_1.bias"].Values[17] = value;

        Should.Throw<RunException>(() => Load(tensors)).Message.ShouldContain($"dense_1.bias has {value} at element 17");
    }

    [Fact]
    public void A_model_file_cannot_be_resumed()
    {
        Checkpoint.SaveModel(_folder.File("best.safetensors"), _learner, Info, scaler: null);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.File("best.safetensors"));

        Should.Throw<RunException>(() => checkpoint.LoadOptimizer(_learner)).Hint!.ShouldContain("InitialWeights");
    }

    [Fact]
    public void Damaged_metadata_is_named()
    {
        SafetensorsWriter.Write(_folder.File("c.ckpt"), Named(Tensors()), new Dictionary<string, string> { ["state"] = "{\"epoch\": " });

        Should.Throw<RunException>(() => Checkpoint.Open(_folder.File("c.ckpt"))).Message.ShouldContain("'state'");
    }

    /// <summary>A crash while saving leaves the file that was there.</summary>
    [Fact]
    public void Saving_the_folded_model_leaves_the_one_in_training_alone()
    {
        MemoryRows rows = new(8);
        float[] before = _learner.Parameters.Values.Read<float>();
        Checkpoint.SaveModel(_folder.File("best.safetensors"), _learner, Info, FeatureScaler.Fit(rows));

        _learner.Parameters.Values.Read<float>().ShouldBe(before);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.File("best.safetensors"));
        checkpoint.LoadModel(_learner.Parameters);
        _learner.Parameters.Values.Read<float>().ShouldNotBe(before);
    }

    public void Dispose()
    {
        _learner.Dispose();
        _device.Dispose();
        _folder.Dispose();
    }

    private static IEnumerable<NamedTensor> Named(Dictionary<string, (long[] Shape, float[] Values)> tensors) =>
        tensors.Select(tensor => NamedTensor.Of<float>(tensor.Key, tensor.Value.Values, tensor.Value.Shape));

    private Dictionary<string, (long[] Shape, float[] Values)> Tensors()
    {
        Checkpoint.SaveModel(_folder.File("whole.safetensors"), _learner, Info, scaler: null);
        using ITensorArchive archive = TensorArchive.Open(_folder.File("whole.safetensors"));
        return archive.Entries.ToDictionary(entry => entry.Key, entry =>
        {
            float[] values = new float[entry.Value.ElementCount];
            archive.Read(entry.Key, values);
            return (entry.Value.Shape, values);
        });
    }

    private void Load(Dictionary<string, (long[] Shape, float[] Values)> tensors)
    {
        SafetensorsWriter.Write(_folder.File("model.safetensors"), Named(tensors));
        using Checkpoint checkpoint = Checkpoint.Open(_folder.File("model.safetensors"));
        checkpoint.LoadModel(_learner.Parameters);
    }
}
