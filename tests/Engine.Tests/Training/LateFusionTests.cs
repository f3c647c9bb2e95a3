using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Models of one stream each, answering together for clips with both.</summary>
public sealed class LateFusionTests : IDisposable
{
    private const int Clips = 5, Frames = 3;

    private readonly CpuDevice _device = new(threads: 1);
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Models => ModelCases.All;

    /// <summary>Each member answers as it does alone, so that the other's features have no part in it.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void A_member_answers_of_both_streams_as_it_answers_of_its_own(string model)
    {
        MemoryRows both = new(Clips, Frames, FeatureStream.Both.Dimension());
        MemoryRows pictures = Part(both, 0, Vgg19.Features), moves = Part(both, Vgg19.Features, MotionFeatures.PerStep);
        string[] files = [Save(model, FeatureStream.Rgb, "pictures"), Save(model, FeatureStream.Motion, "moves")];

        using ClassifierGroup group = ClassifierGroup.Open(_device, files);

        group.Members.Select(member => member.Info.Inputs).ShouldBe([both.Dimension, both.Dimension]);
        Evaluation[] together = group.EvaluateMembers(both, Clips, CancellationToken.None);
        foreach ((Evaluation evaluation, string file, MemoryRows own) in together.Zip(files, [pictures, moves]))
        {
            using ClassifierGroup alone = ClassifierGroup.Open(_device, [file]);
            double[] expected = alone.EvaluateMembers(own, Clips, CancellationToken.None).ShouldHaveSingleItem().Scores;
            evaluation.Scores.Zip(expected).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < 1e-5);
            (expected.Max() - expected.Min()).ShouldBeGreaterThan(3e-4, "answers that are all alike compare nothing");
        }
    }

    public void Dispose()
    {
        _folder.Dispose();
        _device.Dispose();
    }

    private static MemoryRows Part(MemoryRows rows, int first, int dimension) => new(Clips, Frames, dimension, change: values =>
    {
        for (int i = 0; i < values.Length; i++)
        {
            int frame = i / dimension;
            values[i] = rows.Values(frame / Frames)[(frame % Frames * rows.Dimension) + first + (i % dimension)];
        }
    });

    private string Save(string model, FeatureStream stream, string name)
    {
        using Learner learner = new(_device, ModelCases.New(model, new ClassifierOptions(stream.Dimension())),
            TrainingFixture.Learner());
        learner.Parameters.Initialize(stream == FeatureStream.Rgb ? 7u : 8u);
        ModelInfo info = new()
        {
            Model = ModelCases.NameOf(model),
            Differences = ModelCases.HasDifferences(model),
            Stream = stream,
            Inputs = stream.Dimension(),
            Frames = Frames,
            Backbone = name,
            BackboneDescription = name,
            Preprocess = "torch",
            Threshold = 0.5,
            Epoch = 1,
        };
        string file = _folder.File(name + ".safetensors");
        Checkpoint.SaveModel(file, learner, info, scaler: null);
        return file;
    }
}
