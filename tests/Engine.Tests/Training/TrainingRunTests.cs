using CudaTrainer.Data.Cache;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Whole runs on small features: resuming, early stopping, and what is left in the folder.</summary>
public sealed class TrainingRunTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    public static TheoryData<string, bool, int> Interruptions
    {
        get
        {
            TheoryData<string, bool, int> data = [];
            // What a solver fits has no middle.
            foreach (string model in Classifiers.Names.Where(name => !ModelCases.IsFitted(name)))
            {
                data.Add(model, false, 6); // the end of an epoch
                data.Add(model, true, 7);  // the middle
            }

            return data;
        }
    }

    public static TheoryData<string, TrainingOptions> OtherRuns
    {
        get
        {
            TrainingOptions options = new();
            return new()
            {
                { "--batch-size was 8, is 4", options with { BatchSize = 4 } },
                { "--seed was 42, is 7", options with { Seed = 7 } },
                { "--learning-rate was 0.001, is 0.01", options with { LearningRate = 0.01 } },
                { "--model was lstm-attention, is gru-attention", options with { Model = "gru-attention" } },
                { "--dropout was 0.5, is 0.1", options with { Dropout = 0.1 } },
                { "--mixed-precision was False, is True", options with { MixedPrecision = true } },
                { "--focal-alpha was 0.25, is 0.25,0.75", options with { FocalAlpha = [0.25, 0.75] } },
                { "--monitor was val_accuracy, is val_loss", options with { Monitor = "val_loss" } },
                { "--weight-decay was not recorded, is 0.01", options with { WeightDecay = 0.01 } },
                { "shuffling was True, is False", options with { Shuffle = false } },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Interruptions))]
    public void Interrupted_and_resumed_is_bit_for_bit_uninterrupted(string model, bool mixedPrecision, int steps)
    {
        TrainingOptions options = _fixture.Options(
            "whole") with
        {
            Model = model,
            MixedPrecision = mixedPrecision,
            StandardizeFeatures = !ModelCases.IsFitted(model),
            WeightDecay = mixedPrecision ? 0.05 : 0,
        };
        TrainingFixture.Run(options).Outcome.ShouldBe(RunOutcome.Completed);

        TrainingOptions parts = options with { CheckpointDir = _fixture.File("parts") };
        TrainingFixture.RunUntil(parts, steps).Outcome.ShouldBe(RunOutcome.Interrupted);
        using (Checkpoint checkpoint = Checkpoint.Open(_fixture.File("parts/last.ckpt")))
        {
            (checkpoint.State!.Epoch, checkpoint.State.StepInEpoch).ShouldBe((steps / 3, steps % 3));
        }

        TrainingFixture.Run(parts with { Resume = "auto" }).Outcome.ShouldBe(RunOutcome.Completed);

        SameRuns();
    }

    /// <summary>Killed at any moment, a run goes on from its last checkpoint and writes the later epochs again.</summary>
    [Fact]
    public void Epochs_that_are_done_again_replace_their_rows()
    {
        TrainingFixture.Run(_fixture.Options("whole"));
        TrainingFixture.Run(_fixture.Options("parts") with { CheckpointEvery = 1 });
        File.Copy(_fixture.File("parts/checkpoint_epoch_002.ckpt"), _fixture.File("parts/last.ckpt"), overwrite: true);
        File.AppendAllText(_fixture.File("parts/training_steps.csv"), "12,5,0.1");

        TrainingFixture.Run(_fixture.Options("parts") with { Resume = "auto" });

        SameRuns();
        File.ReadAllLines(_fixture.File("parts/training_history.csv")).Length.ShouldBe(5);
        File.ReadAllLines(_fixture.File("parts/training_steps.csv")).Length.ShouldBe(13);
    }

    /// <summary>
    /// The schedule follows from the number of epochs; with a constant learning rate a longer run begins like a shorter one.
    /// </summary>
    [Fact]
    public void Two_epochs_and_two_more_are_four()
    {
        TrainingOptions options = _fixture.Options("whole") with { WarmupEpochs = 0, MinLearningRate = 0.001 };
        TrainingFixture.Run(options);
        TrainingOptions parts = options with { CheckpointDir = _fixture.File("parts") };
        TrainingFixture.Run(parts with { Epochs = 2 });
        TrainingFixture.Run(parts with { Resume = "auto" });

        SameRuns();
    }

    [Theory]
    [MemberData(nameof(OtherRuns))]
    public void A_checkpoint_of_another_run_is_refused_with_what_differs(string difference, TrainingOptions change)
    {
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1 });
        byte[] before = File.ReadAllBytes(_fixture.File("run/last.ckpt"));
        TrainingOptions own = _fixture.Options("run");

        RunException exception = Should.Throw<RunException>(() => TrainingFixture.Run(change with
        {
            FeaturesDir = own.FeaturesDir,
            CheckpointDir = own.CheckpointDir,
            BatchSize = change.BatchSize == new TrainingOptions().BatchSize ? own.BatchSize : change.BatchSize,
            WarmupEpochs = own.WarmupEpochs,
            Resume = "auto",
        }));

        exception.Message.ShouldEndWith($"belongs to another run: {difference}.");
        File.ReadAllBytes(_fixture.File("run/last.ckpt")).ShouldBe(before);
    }

    [Theory]
    [InlineData("train", "features")]
    [InlineData("val", "features")]
    [InlineData("test", "features")]
    [InlineData("val", "labels")]
    public void Data_that_changed_make_another_run_unless_that_is_accepted(string split, string what)
    {
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1 });
        int seed = split switch { "train" => 1, "val" => 2, _ => 3 };
        bool other = what == "features";
        _fixture.Write(split, new MemoryRows(split == "train" ? 22 : 9, seed: seed, change: values => values[5] += other ? 1 : 0),
            flip: !other);

        TrainingOptions on = _fixture.Options("run") with { Resume = "auto" };
        RunException refused = Should.Throw<RunException>(() => TrainingFixture.Run(on));
        refused.Message.ShouldContain($"belongs to another run: ");
        refused.Message.ShouldContain($"{split} {what} was ");

        RecordingObserver observer = new();
        TrainingFixture.Run(on with { AcceptChangedData = true }, observer).Epochs.ShouldBe(4);
        observer.Messages.ShouldContain(message => message.Severity == Severity.Warning && message.Text.Contains($"{split} {what} was "));

        // What it went on with is its data now.
        TrainingFixture.Run(on).Epochs.ShouldBe(4);
    }

    [Fact]
    public void One_run_writes_to_a_folder()
    {
        using (RunFolder.Open(_fixture.File("run"), resume: false, overwrite: false))
        {
            foreach (TrainingOptions options in (TrainingOptions[])[_fixture.Options("run"), _fixture.Options("run") with { Resume = "auto" },
                _fixture.Options("run") with { Overwrite = true }])
            {
                Should.Throw<RunException>(() => TrainingFixture.Run(options))
                    .Message.ShouldContain($"is being written by process {Environment.ProcessId}");
            }
        }

        TrainingFixture.Run(_fixture.Options("run")).Epochs.ShouldBe(4);
    }

    [Fact]
    public void A_run_that_goes_on_forgets_what_was_said_at_its_earlier_end()
    {
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1 });
        File.Exists(_fixture.File("run/training_results.json")).ShouldBeTrue();

        TrainingFixture.RunUntil(_fixture.Options("run") with { Resume = "auto" }, steps: 1);

        File.Exists(_fixture.File("run/training_results.json")).ShouldBeFalse();
        File.Exists(_fixture.File("run/predictions_test.csv")).ShouldBeFalse();
    }

    [Fact]
    public void One_clip_a_batch_is_refused_where_clips_are_normalised()
    {
        RunException refused = Should.Throw<RunException>(() => TrainingFixture.Run(_fixture.Options("run") with { BatchSize = 1 }));

        refused.Message.ShouldContain("it would learn nothing");
        refused.Hint.ShouldNotBeNull().ShouldContain("2 or more");
    }

    [Fact]
    public void A_last_batch_of_one_clip_is_told()
    {
        RecordingObserver observer = new();
        TrainingFixture.Run(_fixture.Options("run") with { BatchSize = 7 }, observer);

        observer.Messages.ShouldContain(message => message.Text.StartsWith("22 clips in batches of 7 leave one over"));
    }

    [Fact]
    public void Other_training_clips_are_another_run()
    {
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1 });
        _fixture.Write("train", new MemoryRows(25));

        Should.Throw<RunException>(() => TrainingFixture.Run(_fixture.Options("run") with { Resume = "auto" }))
            .Message.ShouldContain("training clips was");
    }

    [Fact]
    public void A_run_goes_on_in_another_folder_with_its_best_model()
    {
        TrainingFixture.Run(_fixture.Options("whole"));
        TrainingFixture.Run(_fixture.Options("parts") with { Resume = _fixture.File("whole/last.ckpt") }).BestEpoch.ShouldBeGreaterThan(0);

        TrainingFixture.Payload(_fixture.File("parts/best_model.safetensors"))
            .ShouldBe(TrainingFixture.Payload(_fixture.File("whole/best_model.safetensors")));
    }

    [Fact]
    public void Without_its_best_model_a_resumed_run_counts_the_epochs_to_come()
    {
        TrainingFixture.RunUntil(_fixture.Options("run"), steps: 6);
        File.Delete(_fixture.File("run/best_model.safetensors"));

        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Resume = "auto" });

        result.BestEpoch.ShouldBeGreaterThanOrEqualTo(3);
        File.Exists(_fixture.File("run/best_model.safetensors")).ShouldBeTrue();
        File.Delete(_fixture.File("run/best_model.safetensors"));
        Should.Throw<RunException>(() => TrainingFixture.Run(_fixture.Options("run") with { Resume = "auto" }))
            .Message.ShouldContain("best model");
    }

    /// <summary>A learning rate too small to change a weight, and a model without running statistics: no epoch beats the first.</summary>
    [Fact]
    public void Training_stops_when_nothing_improves_and_goes_on_with_more_patience()
    {
        TrainingOptions options = _fixture.Options(
            "run") with
        { Model = "simple-lstm", LearningRate = 1e-30, MinLearningRate = 0, Epochs = 20, EarlyStoppingPatience = 3 };
        TrainingResult result = TrainingFixture.Run(options);

        (result.StoppedEarly, result.Epochs, result.BestEpoch).ShouldBe((true, 4, 1));
        TrainingFixture.Run(options with { Resume = "auto" }).Epochs.ShouldBe(4);
        TrainingResult longer = TrainingFixture.Run(options with { Resume = "auto", EarlyStoppingPatience = 5 });
        (longer.StoppedEarly, longer.Epochs, longer.BestEpoch).ShouldBe((true, 6, 1));
    }

    [Fact]
    public void Only_the_newest_numbered_checkpoints_are_kept()
    {
        TrainingFixture.Run(_fixture.Options("run") with { KeepCheckpoints = 2 });
        Numbered().ShouldBe(["checkpoint_epoch_003.ckpt", "checkpoint_epoch_004.ckpt"]);

        using RunFolder folder = RunFolder.Open(_fixture.File("run"), resume: true, overwrite: false);
        foreach (int epoch in (int[])[998, 999, 1000, 1001])
        {
            File.WriteAllText(folder.NumberedCheckpoint(epoch), "");
        }

        folder.PruneCheckpoints(3);
        Numbered().ShouldBe(["checkpoint_epoch_1000.ckpt", "checkpoint_epoch_1001.ckpt", "checkpoint_epoch_999.ckpt"]);

        string[] Numbered() => [.. Directory.GetFiles(_fixture.File("run"), "checkpoint_*").Select(file => Path.GetFileName(file))
            .Order(StringComparer.Ordinal)];
    }

    [Theory]
    [InlineData("train", float.NaN)]
    [InlineData("val", float.PositiveInfinity)]
    [InlineData("test", float.NaN)]
    public void Features_that_are_not_finite_are_named_before_training(string split, float value)
    {
        _fixture.Write(split, new MemoryRows(9, change: values => values[(2 * 64) + 16 + 5] = value));

        FileFormatException exception = Should.Throw<FileFormatException>(() => TrainingFixture.Run(_fixture.Options("run")));

        exception.Path.ShouldEndWith($"{split}_features.npy");
        exception.Message.ShouldContain($"feature 5 of frame 1 of row 2 of {split}_features.npy is {value}");
        Directory.GetFiles(_fixture.File("run"), "*.ckpt").ShouldBeEmpty();
    }

    [Fact]
    public void Bad_data_leaves_the_run_that_was_to_be_replaced()
    {
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1 });
        byte[] model = File.ReadAllBytes(_fixture.File("run/best_model.safetensors"));

        Should.Throw<CacheException>(
            () => TrainingFixture.Run(_fixture.Options("run") with { FeaturesDir = _fixture.File("nowhere"), Overwrite = true }));
        File.ReadAllBytes(_fixture.File("run/best_model.safetensors")).ShouldBe(model);

        TrainingFixture.Run(_fixture.Options("run") with { Seed = 7, CheckpointEvery = 0, Overwrite = true });
        File.ReadAllBytes(_fixture.File("run/best_model.safetensors")).ShouldNotBe(model);
        Directory.GetFiles(_fixture.File("run"), "checkpoint_*").ShouldBeEmpty();
    }

    [Fact]
    public void A_run_that_never_began_does_not_occupy_its_folder()
    {
        Should.Throw<CacheException>(() => TrainingFixture.Run(_fixture.Options("run") with { FeaturesDir = _fixture.File("nowhere") }));

        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1 }).Outcome.ShouldBe(RunOutcome.Completed);
    }

    public void Dispose() => _fixture.Dispose();

    private void SameRuns()
    {
        foreach (string file in Directory.GetFiles(_fixture.File("whole")).Select(path => Path.GetFileName(path)))
        {
            string whole = _fixture.File($"whole/{file}"), parts = _fixture.File($"parts/{file}");
            if (file.EndsWith(".ckpt", StringComparison.Ordinal) || file.EndsWith(".safetensors", StringComparison.Ordinal))
            {
                TrainingFixture.Payload(parts).AsSpan().SequenceEqual(TrainingFixture.Payload(whole)).ShouldBeTrue(file);
            }
            else if (file.EndsWith(".h5", StringComparison.Ordinal))
            {
                File.ReadAllBytes(parts).AsSpan().SequenceEqual(File.ReadAllBytes(whole)).ShouldBeTrue(file);
            }
            else if (file.EndsWith(".csv", StringComparison.Ordinal))
            {
                TrainingFixture.WithoutTimes(parts).ShouldBe(TrainingFixture.WithoutTimes(whole), file);
            }
        }
    }
}
