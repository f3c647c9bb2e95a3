using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Training and evaluating with several views of each clip, on features in folders.</summary>
public sealed class FeatureViewTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void Each_epoch_shows_each_clip_in_one_view_that_follows_from_the_seed()
    {
        MemoryRows[] views = [.. Enumerable.Range(0, 3).Select(seed => new MemoryRows(60, seed: seed))];
        FeatureAugmentation New(int seed) => new(new AugmentationOptions(0, 0, 0, 0, Views: 3), seed, views[1..]);
        int[] Shown(FeatureAugmentation augmentation, int epoch) =>
            [.. Enumerable.Range(0, 60).Select(row => Array.IndexOf(views, augmentation.Shown(epoch, row, views[0])))];

        int[] first = Shown(New(1), 1);
        first.Distinct().Order().ShouldBe([0, 1, 2]);
        Shown(New(1), 1).ShouldBe(first);
        Shown(New(1), 2).ShouldNotBe(first);
        Shown(New(2), 1).ShouldNotBe(first);
        int[] counts = [.. Enumerable.Range(0, 3)
            .Select(view => Enumerable.Range(1, 100).Sum(epoch => Shown(New(1), epoch).Count(shown => shown == view)))];
        counts.ShouldAllBe(count => count > 1800 && count < 2200);
    }

    /// <summary>The loader hands out the numbers of the view that was chosen.</summary>
    [Fact]
    public void A_loader_reads_the_chosen_view()
    {
        using Engine.Devices.CpuDevice device = new(threads: 1);
        MemoryRows plain = new(12), other = new(12, seed: 9);
        FeatureAugmentation augmentation = new(new AugmentationOptions(0, 0, 0, 0, Views: 2), seed: 5, [other]);
        using BatchLoader loader = new([device], plain, 12, half: false, augmentation: augmentation);
        loader.Start([.. Enumerable.Range(0, 12)], epoch: 3);
        HostBatch batch = loader.Next().Parts[0];
        float[] values = batch.Features.AsSpan<float>(0, 12 * 64).ToArray();

        for (int row = 0; row < 12; row++)
        {
            var expected = (MemoryRows)augmentation.Shown(3, row, plain);
            values.AsSpan(row * 64, 64).SequenceEqual(expected.Values(row)).ShouldBeTrue();
        }

        values.ShouldNotBe([.. Enumerable.Range(0, 12).SelectMany(row => plain.Values(row).ToArray())]);
    }

    [Fact]
    public void A_run_with_views_goes_on_bit_for_bit()
    {
        WriteViews(3);
        TrainingOptions options = _fixture.Options("whole") with { Views = 3 };
        TrainingFixture.Run(options);
        TrainingOptions parts = options with { CheckpointDir = _fixture.File("parts") };
        TrainingFixture.RunUntil(parts, 7).Outcome.ShouldBe(RunOutcome.Interrupted);
        TrainingFixture.Run(parts with { Resume = "auto" });
        TrainingFixture.Run(options with { CheckpointDir = _fixture.File("plain"), Views = 1 });

        TrainingFixture.Payload(_fixture.File("parts/last.ckpt")).ShouldBe(TrainingFixture.Payload(_fixture.File("whole/last.ckpt")));
        TrainingFixture.Payload(_fixture.File("plain/last.ckpt")).ShouldNotBe(TrainingFixture.Payload(_fixture.File("whole/last.ckpt")));
    }

    [Fact]
    public void Views_that_changed_make_another_run()
    {
        WriteViews(3);
        TrainingOptions options = _fixture.Options("run") with { Views = 3, Epochs = 1 };
        TrainingFixture.Run(options);
        _fixture.Write(Path.Combine("view-2", "train"), new MemoryRows(22, seed: 21, change: values => values[5] += 1));

        TrainingOptions on = options with { Epochs = 2, Resume = "auto" };
        Should.Throw<RunException>(() => TrainingFixture.Run(on)).Message.ShouldContain("belongs to another run: view 2 features was ");
        TrainingFixture.Run(on with { AcceptChangedData = true }).Epochs.ShouldBe(2);
    }

    [Fact]
    public void Missing_or_foreign_views_are_named()
    {
        WriteViews(2);
        Should.Throw<RunException>(() => TrainingFixture.Run(_fixture.Options("run") with { Views = 3 }))
            .Message.ShouldContain("no features of view 2 (brightness 1.2) of train");

        _fixture.Write("train", new MemoryRows(25));
        Should.Throw<RunException>(() => TrainingFixture.Run(_fixture.Options("run") with { Views = 2 }))
            .Message.ShouldContain("does not have the clips of");
    }

    /// <summary>Each view by itself is the evaluation of a folder of that view; the mean is taken here.</summary>
    [Fact]
    public void Test_time_augmentation_is_the_mean_of_the_single_views()
    {
        WriteViews(ClipView.ForPrediction);
        TrainingFixture.Run(_fixture.Options("run"));
        string model = _fixture.File("run/best_model.safetensors");
        using DeviceChoice device = DeviceChoice.OpenOne("cpu", 1);
        using ClassifierGroup classifier = ClassifierGroup.Open(device.Device, model);
        MemoryRows[] views = [.. Enumerable.Range(0, ClipView.ForPrediction).Select(view => new MemoryRows(9, seed: 2 + (10 * view)))];
        Evaluation[] single = [.. views.Select(rows => classifier.Evaluate(rows, 64, CancellationToken.None))];
        Evaluation mean = classifier.Evaluate(views, 64, CancellationToken.None);

        mean.Scores.ShouldBe([.. Enumerable.Range(0, 9).Select(clip => single.Sum(view => view.Scores[clip]) / single.Length)], 1e-12);
        single[0].Scores.ShouldNotBe(mean.Scores);

        EvaluationResult result = EvaluationRun.Execute(
            new EvaluationOptions { Checkpoint = model, FeaturesDir = _fixture.Features, Features = new FeatureOptions { Device = "cpu", Threads = 1 }, Tta = true }, new RecordingObserver(), CancellationToken.None);
        result.Splits.Keys.ShouldBe(["train", "train_tta", "val", "val_tta", "test", "test_tta"]);
        result.Splits["val_tta"].Loss.ShouldBe(mean.Loss);
        result.Splits["val_tta"].Threshold.ShouldBe(result.Splits["val"].Threshold);
    }

    /// <summary>The loss of answers that were put together is the one that devices compute.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_loss_of_probabilities_is_that_of_the_device(bool focal)
    {
        TrainingFixture.Run(_fixture.Options("run") with { UseFocalLoss = focal, FocalAlpha = [0.25, 0.75] });
        using DeviceChoice device = DeviceChoice.OpenOne("cpu", 1);
        using ClassifierGroup classifier = ClassifierGroup.Open(device.Device, _fixture.File("run/best_model.safetensors"));
        MemoryRows rows = new(9, seed: 2);
        Evaluation evaluation = classifier.Evaluate(rows, 64, CancellationToken.None);

        classifier.Evaluate([rows], 64, CancellationToken.None).Loss.ShouldBe(evaluation.Loss, 1e-6);
        evaluation.Loss.ShouldBeGreaterThan(0.001);
    }

    public void Dispose() => _fixture.Dispose();

    private void WriteViews(int count)
    {
        for (int view = 1; view < count; view++)
        {
            Directory.CreateDirectory(Path.Combine(_fixture.Features, $"view-{view}"));
            foreach ((string split, int clips, int seed) in new[] { ("train", 22, 1), ("val", 9, 2), ("test", 9, 3) })
            {
                _fixture.Write(Path.Combine($"view-{view}", split), new MemoryRows(clips, seed: seed + (10 * view)));
            }
        }
    }
}
