using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Principal components of features that are not of motion.</summary>
public sealed class WhiteningTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    public static TheoryData<string> Models => ModelCases.Standardised;

    /// <summary>By covariance, and by products with fewer and with more clips than components.</summary>
    [Theory]
    [InlineData(40, 24, 6, 6)]
    [InlineData(30, 600, 12, 12)]
    [InlineData(8, 600, 12, 7)]
    public void The_clips_means_become_uncorrelated_with_variance_1(int count, int dimension, int components, int found)
    {
        MemoryRows rows = Rows(count, dimension);
        FeatureScaler scaler = FeatureScaler.Fit(rows, components: components);
        double[][] clips = [.. Enumerable.Range(0, count).Select(i => MeanOf(scaler, rows, i))];

        scaler.Whitening!.Components.ShouldBe(found);
        scaler.MotionWhitening.ShouldBeNull();
        for (int i = 0; i < found; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                clips.Average(clip => clip[i] * clip[j]).ShouldBe(i == j ? 1 : 0, 1e-3, $"{i}, {j}");
            }
        }

        clips.ShouldAllBe(clip => clip.Skip(found).All(value => value == 0));
    }

    /// <summary>
    /// The features of a block of 512 by their covariance, and the same with a constant one by the products of the clips.
    /// </summary>
    [Fact]
    public void Both_ways_find_the_same_components()
    {
        const int Most = 512;
        MemoryRows narrow = Rows(40, Most), wide = new(40, frames: 3, dimension: Most + 1, change: values =>
        {
            for (int frame = 0; frame < 40 * 3; frame++)
            {
                Span<float> to = values.AsSpan(frame * (Most + 1), Most + 1);
                narrow.Values(frame / 3).Slice(frame % 3 * Most, Most).CopyTo(to);
                to[Most] = 1;
            }
        });
        FeatureScaler few = FeatureScaler.Fit(narrow, components: 5), many = FeatureScaler.Fit(wide, components: 5);
        for (int clip = 0; clip < 40; clip++)
        {
            double[] expected = MeanOf(few, narrow, clip), actual = MeanOf(many, wide, clip);
            for (int c = 0; c < 5; c++)
            {
                // An eigenvector has no sign.
                Math.Abs(actual[c]).ShouldBe(Math.Abs(expected[c]), 1e-3, $"clip {clip}, component {c}");
            }
        }
    }

    /// <summary>A direction that hardly varies is not blown up to variance 1.</summary>
    [Theory]
    [InlineData(16)]
    [InlineData(600)]
    public void What_hardly_varies_stays_small(int dimension)
    {
        Random random = new(3);
        MemoryRows rows = new(30, frames: 1, dimension: dimension, change: values =>
        {
            for (int i = 0; i < values.Length; i++)
            {
                float clip = (float)Math.Cos(i / dimension);
                values[i] = clip * (i % dimension % 2 == 0 ? 1 : -1) + (1e-4f * random.NextSingle());
            }
        });
        FeatureScaler scaler = FeatureScaler.Fit(rows, components: 4);
        double[][] clips = [.. Enumerable.Range(0, 30).Select(i => MeanOf(scaler, rows, i))];

        clips.Average(clip => clip[0] * clip[0]).ShouldBe(1, 1e-3);
        clips.Average(clip => clip[1] * clip[1]).ShouldBeLessThan(0.01);
    }

    [Fact]
    public void Clips_that_are_all_alike_give_zeros_and_no_nonsense()
    {
        foreach (int dimension in new[] { 16, 600 })
        {
            MemoryRows rows = new(5, frames: 2, dimension: dimension, change: values => values.AsSpan().Fill(2));
            MeanOf(FeatureScaler.Fit(rows, components: 4), rows, 1).ShouldAllBe(value => value == 0);
            MemoryRows single = Rows(1, dimension);
            MeanOf(FeatureScaler.Fit(single, components: 4), single, 0).ShouldAllBe(value => double.IsFinite(value));
        }
    }

    /// <summary>Beside motion, pictures have as much to say in a step as motion, however many components they have.</summary>
    [Fact]
    public void Beside_motion_both_parts_are_of_one_size()
    {
        MemoryRows rows = Rows(70, FeatureStream.Both.Dimension());
        FeatureScaler scaler = FeatureScaler.Fit(rows, FeatureStream.Both, components: 10);
        double[][] clips = [.. Enumerable.Range(0, 70).Select(i => MeanOf(scaler, rows, i))];

        (scaler.Whitening!.Components, scaler.MotionWhitening!.Components).ShouldBe((10, 50));
        for (int c = 0; c < 10; c++)
        {
            clips.Average(clip => clip[c] * clip[c]).ShouldBe(25, 0.05);
        }

        clips.ShouldAllBe(clip => clip.Skip(10).Take(4086).All(value => value == 0));
    }

    [Fact]
    public void Features_of_VGG19_of_hundreds_of_clips_are_a_matter_of_products()
    {
        MemoryRows rows = Rows(200, 4096);
        FeatureScaler scaler = FeatureScaler.Fit(rows, components: 50);
        scaler.Whitening!.Components.ShouldBe(50);
        double[][] clips = [.. Enumerable.Range(0, 200).Select(i => MeanOf(scaler, rows, i))];
        clips.Average(clip => clip[49] * clip[49]).ShouldBe(1, 1e-3);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void The_folded_model_answers_raw_features_as_the_original_answers_components(string name)
    {
        MemoryRows rows = Rows(30, 600);
        ModelCases.ShouldFold(name, rows, FeatureScaler.Fit(rows, components: 12), tolerance: 1e-4);
    }

    [Fact]
    public void A_checkpoint_keeps_both_maps()
    {
        MemoryRows rows = Rows(20, FeatureStream.Both.Dimension());
        FeatureScaler scaler = FeatureScaler.Fit(rows, FeatureStream.Both, components: 6);
        using CpuDevice device = new(threads: 1);
        using Learner learner = new(device, Classifiers.Create("frame-mlp", new ClassifierOptions(rows.Dimension)),
            TrainingFixture.Learner());
        learner.Parameters.Initialize(7);
        string file = _fixture.File("c.ckpt");
        Checkpoint.SaveFull(file, learner, Info(rows), new TrainingState(), scaler);
        using var checkpoint = Checkpoint.Open(file);
        FeatureScaler read = checkpoint.ReadScaler()!;

        float[] expected = rows.Values(3).ToArray(), actual = rows.Values(3).ToArray();
        scaler.Apply(expected);
        read.Apply(actual);
        actual.ShouldBe(expected);
        (read.Whitening!.Components, read.MotionWhitening!.Components).ShouldBe((6, scaler.MotionWhitening!.Components));
        checkpoint.LoadModel(learner.Parameters);
    }

    /// <summary>What is saved takes raw features and answers what the run said of it.</summary>
    [Theory]
    [InlineData("frame-mlp")]
    [InlineData("lstm-attention")]
    public void A_saved_model_answers_as_the_run_said(string model)
    {
        TrainingOptions options = _fixture.Options("run") with { Model = model, Whiten = 5, WeightDecay = 0.01 };
        RecordingObserver observer = new();
        TrainingResult result = TrainingFixture.Run(options, observer);

        observer.Messages.ShouldContain(message => message.Text.Contains("replaced by 5 principal components", StringComparison.Ordinal));
        using CpuDevice device = new(threads: 1);
        using var trained = TrainedClassifier.Load(device, _fixture.File("run/best_model.safetensors"));
        using ReplicaGroup replicas = ReplicaGroup.Of(trained.Learner);
        using Evaluator evaluator = new(replicas, new MemoryRows(9, seed: 2), 4);

        // Validation in training went through the scaler, not through the file.
        evaluator.Run().Loss.ShouldBe(observer.Epochs.Single(epoch => epoch.Epoch == result.BestEpoch).ValLoss, 1e-5);
    }

    [Fact]
    public void Interrupted_and_resumed_is_bit_for_bit_uninterrupted()
    {
        TrainingOptions options = _fixture.Options("whole") with { Model = "frame-mlp", Whiten = 5, WeightDecay = 0.01 };
        TrainingFixture.Run(options);
        TrainingOptions parts = options with { CheckpointDir = _fixture.File("parts") };
        TrainingFixture.RunUntil(parts, 5).Outcome.ShouldBe(RunOutcome.Interrupted);
        TrainingFixture.Run(parts with { Resume = "auto" }).Outcome.ShouldBe(RunOutcome.Completed);

        TrainingFixture.Payload(_fixture.File("parts/last.ckpt")).ShouldBe(TrainingFixture.Payload(_fixture.File("whole/last.ckpt")));
        Should.Throw<RunException>(() => TrainingFixture.Run(parts with { Resume = "auto", Whiten = 4 }))
            .Message.ShouldContain("--whiten was 5, is 4");
    }

    [Fact]
    public void Whitening_without_standardisation_is_refused() => OptionValidation
        .Validate(_fixture.Options("run") with { Whiten = 5, StandardizeFeatures = false })
        .Single().ToString().ShouldBe("Whiten: needs features that are standardised; leave out StandardizeFeatures false");

    [Fact]
    public void Whitening_of_motion_alone_is_doubted() => OptionValidation
        .Doubts(new TrainingOptions { Whiten = 5, Stream = FeatureStream.Motion })
        .Single().ShouldContain("Whiten 5 changes nothing");

    public void Dispose() => _fixture.Dispose();

    private static ModelInfo Info(MemoryRows rows) => new()
    {
        Model = "frame-mlp",
        Inputs = rows.Dimension,
        Frames = rows.Frames,
        Backbone = "unknown",
        BackboneDescription = "features from files",
        Preprocess = "unknown",
    };

    /// <summary>Clips of 90 factors, the first of which moves everything, with frames that differ from each other.</summary>
    private static MemoryRows Rows(int count, int dimension) => new(count, frames: 3, dimension: dimension, change: values =>
    {
        Random random = new(5);
        float[] factors = new float[90];
        for (int i = 0; i < values.Length; i++)
        {
            for (int f = 0; f < factors.Length && i % (3 * dimension) == 0; f++)
            {
                factors[f] = (float)(random.NextDouble() - 0.5) * (f == 0 ? 4 : 1);
            }

            int d = i % dimension;
            values[i] = 2 + factors[0] + factors[d % 90] + (0.5f * factors[7 * d % 89]) + (0.1f * random.NextSingle());
        }
    });

    private static double[] MeanOf(FeatureScaler scaler, MemoryRows rows, int clip)
    {
        float[] row = rows.Values(clip).ToArray();
        scaler.Apply(row);
        return [.. Enumerable.Range(0, rows.Dimension)
            .Select(d => Enumerable.Range(0, rows.Frames).Average(t => (double)row[(t * rows.Dimension) + d]))];
    }
}
