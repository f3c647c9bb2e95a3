using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>The classifier of statistics over time as a stack of layers.</summary>
public sealed class LinearClassifierTests : IDisposable
{
    private const int Inputs = 16;

    private readonly CpuDevice _device = new(threads: 1);

    [Fact]
    public void Its_logits_are_those_of_the_statistics_written_out()
    {
        const int clips = 3, frames = 4;
        MemoryRows rows = new(clips, frames, Inputs);
        using Learner learner = NewLearner();
        float[] weight = learner.Model.Parameters[0].Value.Read<float>(), bias = [0.25f, -0.5f];
        learner.Model.Parameters[1].Value.Write((ReadOnlySpan<float>)bias);
        using Tape tape = new(_device);
        using Tensor x = Tensor.From(
            _device, [clips, frames, Inputs], [.. Enumerable.Range(0, clips).SelectMany(i => rows.Values(i).ToArray())]);
        float[] logits = learner.Model.Forward(tape, x).Logits.Read<float>();

        for (int clip = 0; clip < clips; clip++)
        {
            for (int j = 0; j < Classifier.Classes; j++)
            {
                double expected = bias[j];
                for (int d = 0; d < Inputs; d++)
                {
                    double[] series = [.. Enumerable.Range(0, frames).Select(t => (double)rows.Values(clip)[(t * Inputs) + d])];
                    double mean = series.Average(), deviation = Math.Sqrt(series.Average(value => (value - mean) * (value - mean))),
                        difference = series.Skip(1).Zip(series, (later, earlier) => Math.Abs(later - earlier)).Average();
                    int row = j * 3 * Inputs;
                    expected += (weight[row + d] * mean) + (weight[row + Inputs + d] * deviation)
                        + (weight[row + (2 * Inputs) + d] * difference);
                }

                ((double)logits[(clip * Classifier.Classes) + j]).ShouldBe(expected, 1e-5);
            }
        }
    }

    [Fact]
    public void Clips_without_frames_are_refused()
    {
        using Learner learner = NewLearner();
        using Tape tape = new(_device);
        using Tensor x = Tensor.Zeros(_device, [2, 0, Inputs]);

        Should.Throw<TensorMismatchException>(() => learner.Model.Forward(tape, x)).Message.ShouldContain("at least one step");
    }

    [Fact]
    public void It_is_one_layer_of_parameters_behind_a_layer_without()
    {
        Classifier model = Classifiers.Create("linear", new ClassifierOptions(Inputs));

        ModelSummary.Of(model, frames: 4).Layers.Select(layer => (layer.Name, layer.Kind, layer.Shape[0], layer.Parameters)).ShouldBe(
            [("statistics", "TimeStatistics", 48, 0), ("output", "Linear", 2, 98)]);
        model.KerasLayers.Select(layer => layer.Name).ShouldBe(["video_input", "statistics", "output"]);
    }

    /// <summary>Ordinary steps learn what can be told from the means, in single precision and of halves.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Steps_learn_as_of_any_stack_of_layers(bool mixedPrecision)
    {
        MemoryRows rows = new(24);
        using Learner learner = NewLearner(mixedPrecision);
        using HostBatch batch = rows.Batch(_device, mixedPrecision, [.. Enumerable.Range(0, rows.Count)]);
        double first = learner.Train(batch, 0.01).Loss, last = 0;
        for (int step = 0; step < 300; step++)
        {
            StepOutcome outcome = learner.Train(batch, 0.01);
            outcome.Skipped.ShouldBeFalse();
            last = outcome.Loss;
        }

        float[] losses = new float[rows.Count], scores = new float[rows.Count];
        learner.Evaluate(batch, losses, scores);
        last.ShouldBeLessThan(first / 4);
        scores.Zip(rows.Labels.ToArray()).ShouldAllBe(pair => pair.First > 0.5 == (pair.Second == 1));
    }

    public void Dispose() => _device.Dispose();

    private Learner NewLearner(bool mixedPrecision = false)
    {
        Learner learner = new(_device, Classifiers.Create("linear", new ClassifierOptions(Inputs)),
            new LearnerOptions(LossInfo.Plain, new AdamOptions(), mixedPrecision, Seed: 1));
        learner.Parameters.Initialize(7);
        return learner;
    }
}
