using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Answers with dropout left on: what is computed from them, and that they come from the masks of training.</summary>
public sealed class DropoutUncertaintyTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void Mutual_information_is_what_networks_contradict_each_other()
    {
        // Two networks that are sure of opposite answers: all of the entropy of the mean is between them.
        DropoutUncertainty opposite = DropoutUncertainty.Of([0, 1, 0, 1]);
        (opposite.Mean, opposite.StandardDeviation).ShouldBe((0.5, 0.5));
        opposite.Entropy.ShouldBe(Math.Log(2), 1e-12);
        opposite.MutualInformation.ShouldBe(Math.Log(2), 1e-12);

        // Networks that are undecided alike contradict nobody.
        DropoutUncertainty alike = DropoutUncertainty.Of([0.5, 0.5, 0.5]);
        alike.Entropy.ShouldBe(Math.Log(2), 1e-12);
        alike.MutualInformation.ShouldBe(0, 1e-12);
        alike.StandardDeviation.ShouldBe(0, 1e-12);

        double[] p = [0.2, 0.7, 0.9];
        double H(double q) => -(q * Math.Log(q)) - ((1 - q) * Math.Log(1 - q));
        DropoutUncertainty mixed = DropoutUncertainty.Of(p);
        mixed.Mean.ShouldBe(0.6, 1e-12);
        mixed.StandardDeviation.ShouldBe(Math.Sqrt((0.16 + 0.01 + 0.09) / 3), 1e-12);
        mixed.MutualInformation.ShouldBe(H(0.6) - p.Average(H), 1e-12);
    }

    /// <summary>The same on every device, since masks are numbers of the seed; and not what there is without dropout.</summary>
    [Theory]
    [InlineData("lstm-attention")]
    [InlineData("simple-lstm")]
    [InlineData("attention-mil")]
    public void An_answer_with_dropout_is_the_same_on_every_device(string model)
    {
        MemoryRows rows = new(6);
        using CpuDevice cpu = new(threads: 2);
        using ReferenceDevice reference = new();
        float[] ours = Answers(cpu, model, rows, key: 5), again = Answers(cpu, model, rows, key: 5),
            other = Answers(cpu, model, rows, key: 6), plain = Answers(cpu, model, rows, key: null);

        again.ShouldBe(ours);
        other.ShouldNotBe(ours);
        plain.ShouldNotBe(ours);
        float[] expected = Answers(reference, model, rows, key: 5);
        for (int i = 0; i < ours.Length; i++)
        {
            ((double)ours[i]).ShouldBe(expected[i], 1e-4);
        }
    }

    [Fact]
    public void Of_several_classes_every_one_has_its_mean_and_two_are_as_the_known_pair()
    {
        double[] p = [0.1, 0.4, 0.85];
        DropoutUncertainty pair = DropoutUncertainty.Of(p);

        DropoutUncertainty two = DropoutUncertainty.OfClasses([.. p.Select(q => new[] { 1 - q, q })], ClassList.Of(["cat", "dog"]));

        two.Classes!["dog"].Mean.ShouldBe(pair.Mean, 1e-12);
        two.Classes!["cat"].Mean.ShouldBe(1 - pair.Mean, 1e-12);
        two.Classes!["cat"].StandardDeviation.ShouldBe(pair.StandardDeviation, 1e-12);
        two.Entropy.ShouldBe(pair.Entropy, 1e-12);
        two.MutualInformation.ShouldBe(pair.MutualInformation, 1e-12);
        DropoutUncertainty.OfClasses([[1, 0, 0], [0, 1, 0], [0, 0, 1]], ClassList.Of(["a", "b", "c"]))
            .MutualInformation.ShouldBe(Math.Log(3), 1e-12);
    }

    [Fact]
    public void Passes_differ_and_are_the_same_again()
    {
        TrainingFixture.Run(_fixture.Options("run"));
        using DeviceChoice device = DeviceChoice.OpenOne("cpu", 1);
        using ClassifierGroup classifier = ClassifierGroup.Open(device.Device, _fixture.File("run/best_model.safetensors"));
        classifier.RequireDropout();
        using HostBatch clip = new MemoryRows(3).Batch(device.Device, false, 1);
        ClipAnswer before = classifier.Answer(clip);
        DropoutUncertainty first = classifier.AnswerWithDropout(clip, 30, seed: 1);

        first.StandardDeviation.ShouldBeGreaterThan(1e-3);
        first.MutualInformation.ShouldBeGreaterThan(0);
        classifier.AnswerWithDropout(clip, 30, seed: 1).ShouldBe(first);
        classifier.AnswerWithDropout(clip, 30, seed: 2).ShouldNotBe(first);
        classifier.Answer(clip).Violent.ShouldBe(before.Violent);
    }

    public void Dispose() => _fixture.Dispose();

    private static float[] Answers(IDevice device, string model, MemoryRows rows, ulong? key)
    {
        using Learner learner = new(device, Classifiers.Create(model, new ClassifierOptions(16, Dropout: 0.5f)), TrainingFixture.Learner());
        learner.Parameters.Initialize(3);
        using HostBatch batch = rows.Batch(device, false, 0, 1, 2, 3, 4, 5);
        float[] losses = new float[6], scores = new float[6];
        if (key is { } mask)
        {
            learner.EvaluateWithDropout(batch, mask, losses, scores);
        }
        else
        {
            learner.Evaluate(batch, losses, scores);
        }

        return scores;
    }
}
