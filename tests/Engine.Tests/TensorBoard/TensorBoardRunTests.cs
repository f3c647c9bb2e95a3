using System.Globalization;
using System.Text;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tests.Formats;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.RunFiles;
using SkiaSharp;

namespace CudaTrainer.Engine.Tests.TensorBoard;

/// <summary>Whole runs, read back from their event files.</summary>
public sealed class TensorBoardRunTests : IDisposable
{
    private static readonly string[] BatchTags = ["batch_loss", "batch_learning_rate", "optim/batch_grad_norm", "optim/batch_loss_scale",
        "throughput/batch_clips_per_s"];

    private static readonly Dictionary<string, string> TrainColumns = new()
    {
        ["epoch_loss"] = "loss",
        ["epoch_accuracy"] = "accuracy",
        ["epoch_learning_rate"] = "lr",
        ["optim/grad_norm"] = "grad_norm",
        ["optim/loss_scale"] = "loss_scale",
        ["optim/skipped_steps"] = "skipped_steps",
    };

    private static readonly Dictionary<string, string> ValidationColumns = new()
    {
        ["epoch_loss"] = "val_loss",
        ["epoch_accuracy"] = "val_accuracy",
        ["epoch_balanced_accuracy"] = "val_balanced_accuracy",
        ["epoch_auc"] = "val_auc",
        ["epoch_precision"] = "val_precision",
        ["epoch_recall"] = "val_recall",
        ["epoch_f1"] = "val_f1",
    };

    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void A_run_has_these_curves_with_the_numbers_of_its_history()
    {
        TrainingFixture.Run(_fixture.Options("run"));

        List<BoardValue> train = Read("run", "train");
        List<BoardValue> validation = Read("run", "validation");
        Scalars(train).Keys.Order()
            .ShouldBe(TrainColumns.Keys.Concat(BatchTags).Concat(["throughput/clips_per_s", "throughput/stall_fraction"]).Order());
        Scalars(validation).Keys.Order().ShouldBe(ValidationColumns.Keys.Append("epoch_pr_auc").Order());
        string[][] history = Csv("training_history.csv");
        MatchesColumns(Scalars(train), TrainColumns, history);
        MatchesColumns(Scalars(validation), ValidationColumns, history);
        MatchesColumns(
            Scalars(train), new()
            {
                ["batch_loss"] = "loss",
                ["batch_learning_rate"] = "lr",
                ["optim/batch_grad_norm"] = "grad_norm",
                ["optim/batch_loss_scale"] = "loss_scale"
            },
            Csv("training_steps.csv"));
        double seconds = Number(history[1][Array.IndexOf(history[0], "seconds")]);
        (22 / Scalars(train)["throughput/clips_per_s"][0].Value).ShouldBe(seconds, 0.0005001, "the file has the seconds with three digits");
        StepsIncrease(train);
        StepsIncrease(validation);
        Read("run", "").Select(value => value.Tag)
            .ShouldBe(["configuration", "_hparams_/session_start_info", "_hparams_/session_end_info"]);
    }

    [Fact]
    public void Histograms_are_of_the_weights_and_gradients_of_every_second_epoch()
    {
        TrainingFixture.Run(_fixture.Options("run") with { TensorboardHistograms = 2 });
        using Checkpoint checkpoint = Checkpoint.Open(_fixture.File("run/checkpoint_epoch_003.ckpt"));
        using var device = new Engine.Devices.CpuDevice(1);
        using ParameterSet parameters = new(device, Classifiers.Create("lstm-attention", new ClassifierOptions(16, 0.5f, false)));
        checkpoint.LoadModel(parameters);

        BoardValue[] histograms = [.. Read("run", "train").Where(value => value.Kind == "histograms")];

        histograms.Select(value => value.Tag).Distinct().Order()
            .ShouldBe(parameters.Parameters.SelectMany(
                parameter => new[] { parameter.Name + "/histogram", parameter.Name + "/gradient_histogram" }).Order());
        histograms.GroupBy(value => value.Tag).ShouldAllBe(tag => tag.Select(value => value.Step).SequenceEqual(new[] { 1L, 3L }));
        histograms.ShouldAllBe(value => value.Shape.SequenceEqual(new[] { 30, 3 }));
        int moved = 0;
        foreach (Parameter parameter in parameters.Parameters)
        {
            float[] values = new float[parameter.Shape.Count];
            parameter.Value.Download<float>(values);
            double[] weights = Single(parameter.Name + "/histogram"), gradients = Single(parameter.Name + "/gradient_histogram");
            (weights[0], weights[^2]).ShouldBe((values.Min(), values.Max()), parameter.Name);
            weights.Chunk(3).Sum(row => row[2]).ShouldBe(values.Length);
            gradients.Chunk(3).Sum(row => row[2]).ShouldBe(values.Length);
            moved += gradients[0] < gradients[^2] ? 1 : 0;
        }

        moved.ShouldBeGreaterThan(parameters.Parameters.Count / 2, "parameters with gradients");

        double[] Single(string tag) => histograms.Single(value => value.Tag == tag && value.Step == 3).Numbers;
    }

    /// <summary>With a loss scale of thousands, a gradient that still had it would be larger than the norm of all.</summary>
    [Fact]
    public void Gradients_are_unscaled()
    {
        TrainingFixture.Run(_fixture.Options("run") with { MixedPrecision = true, Epochs = 1 });

        List<BoardValue> train = Read("run", "train");
        double norm = Scalars(train)["optim/batch_grad_norm"][^1].Value;
        double largest = train.Where(value => value.Tag.EndsWith("/gradient_histogram", StringComparison.Ordinal))
            .Max(value => Math.Max(-value.Numbers[0], value.Numbers[^2]));
        Scalars(train)["optim/loss_scale"][^1].Value.ShouldBeGreaterThan(1);
        largest.ShouldBeInRange(norm / 1e4, norm);
    }

    [Fact]
    public void Pictures_and_pr_curves_are_of_every_epoch()
    {
        TrainingFixture.Run(_fixture.Options("run"));

        List<BoardValue> validation = Read("run", "validation");
        foreach (string tag in new[] { "confusion_matrix", "roc" })
        {
            BoardValue[] pictures = [.. validation.Where(value => value.Tag == tag)];
            pictures.Select(value => value.Step).ShouldBe([1, 2, 3, 4]);
            pictures.ShouldAllBe(value => value.Kind == "images" && value.Strings.Length == 3 && value.Shape.SequenceEqual(new[] { 3 }));
            foreach (byte[][] parts in pictures.Select(value => value.Strings))
            {
                using SKBitmap picture = SKBitmap.Decode(parts[2]);
                Encoding.ASCII.GetString(parts[0]).ShouldBe($"{picture.Width}");
                Encoding.ASCII.GetString(parts[1]).ShouldBe($"{picture.Height}");
                picture.Pixels.Distinct().Count().ShouldBeGreaterThan(2);
            }
        }

        BoardValue[] curves = [.. validation.Where(value => value.Kind == "pr_curves")];
        curves.Select(value => (value.Tag, value.Step)).ShouldBe(Enumerable.Range(1, 4).Select(epoch => ("pr_curve", (long)epoch)));
        foreach (BoardValue curve in curves)
        {
            curve.Shape.ShouldBe([6, 201]);
            new WireMessage(curve.Content).With((2, 0, false)).Integer(2).ShouldBe(201);

            // Val has 9 clips, 3 of them violent; all of them reach the threshold 0.
            new[] { 0, 201, 402, 603, 1005 }.Select(at => curve.Numbers[at]).ShouldBe([3, 6, 0, 0, 1]);
        }
    }

    [Fact]
    public void Settings_are_a_trial_and_a_table()
    {
        TrainingFixture.Run(_fixture.Options("run") with { FocalAlpha = [0.25, 0.75] });

        List<BoardValue> settings = Read("run", "");
        string text = Encoding.UTF8.GetString(settings[0].Strings.ShouldHaveSingleItem());
        text.ShouldStartWith("| | |\n|---|---|\n| version | `");
        text.ShouldContain("| batch_size | `8` |\n");
        text.ShouldContain("| focal_alpha | `0.25, 0.75` |\n");
        WireMessage start = Trial(settings[1]).Message(3).With((1, 2, true), (5, 1, false));
        var parameters = start.All(1).Select(entry => new WireMessage(entry).With((1, 2, false), (2, 2, false)))
            .ToDictionary(entry => entry.Text(1), entry => entry.Message(2));
        parameters["batch_size"].Double(2).ShouldBe(8);
        parameters["learning_rate"].Double(2).ShouldBe(0.001);
        parameters["model"].Text(3).ShouldBe("lstm-attention");
        parameters["focal_alpha"].Text(3).ShouldBe("0.25,0.75");
        parameters["use_class_weights"].Integer(4).ShouldBe(1);
        parameters["sync_batch_norm"].Integer(4).ShouldBe(0);
        parameters.Keys.ShouldNotContain("checkpoint_dir");
        parameters.Keys.ShouldNotContain("resume");
        WireMessage end = Trial(settings[2]).Message(4).With((1, 0, false), (2, 1, false));
        end.Integer(1).ShouldBe(1);
        end.Double(2).ShouldBeGreaterThanOrEqualTo(start.Double(5));

        static WireMessage Trial(BoardValue value)
        {
            value.Kind.ShouldBe("hparams");
            value.Shape.ShouldBe([0]);
            return new WireMessage(value.Content).With((3, 2, false), (4, 2, false));
        }
    }

    /// <summary>At the end of an epoch and in its middle.</summary>
    [Theory]
    [InlineData(6, 6, 3)]
    [InlineData(7, 7, 3)]
    [InlineData(1, 1, 1)]
    public void A_resumed_run_goes_on_in_files_of_its_own_and_repeats_nothing(int steps, long trainStart, long validationStart)
    {
        TrainingFixture.Run(_fixture.Options("run"));
        TrainingFixture.RunUntil(_fixture.Options("parts"), steps).Outcome.ShouldBe(RunOutcome.Interrupted);
        TrainingFixture.Run(_fixture.Options("parts") with { Resume = "auto" });

        foreach (string run in new[] { "train", "validation" })
        {
            List<BoardValue> parts = Read("parts", run);
            StepsIncrease(parts);
            Scalars(parts).Keys.Order().ShouldBe(Scalars(Read("run", run)).Keys.Order());
            foreach ((string tag, List<(long Step, double Value)> curve) in Scalars(Read("run", run))
                .Where(curve => !curve.Key.StartsWith("throughput/", StringComparison.Ordinal)))
            {
                Scalars(parts)[tag].ShouldBe(curve, tag);
            }
        }

        EventFileReader[] train = EventFileReader.ReadRun(_fixture.File("parts/tensorboard/train"));
        train.Select(file => file.Starts.ToArray()).ShouldBe([[], [trainStart]]);
        EventFileReader.ReadRun(_fixture.File("parts/tensorboard/validation"))[^1].Starts.ShouldBe([validationStart]);
        StepsIncrease(Read("parts", ""));
        Read("parts", "").Count(value => value.Tag.EndsWith("session_end_info", StringComparison.Ordinal)).ShouldBe(1);
    }

    /// <summary>
    /// What the last checkpoint does not know of was never written, so that the run that goes on from it writes it for the first time.
    /// </summary>
    [Fact]
    public void A_run_that_breaks_off_leaves_no_event_of_what_is_lost()
    {
        RecordingObserver observer = new() { OnStep = step => _ = step < 8 ? step : throw new TimeoutException("broken off") };
        Should.Throw<TimeoutException>(() => TrainingFixture.Run(_fixture.Options("parts"), observer));
        Scalars(Read("parts", "train"))["batch_loss"].Select(point => point.Step).ShouldBe([0, 1, 2, 3, 4, 5]);

        TrainingFixture.Run(_fixture.Options("parts") with { Resume = "auto" });

        StepsIncrease(Read("parts", "train"));
        Scalars(Read("parts", "train"))["batch_loss"].Count.ShouldBe(12);
        Scalars(Read("parts", "validation"))["epoch_loss"].Select(point => point.Step).ShouldBe([1, 2, 3, 4]);
    }

    /// <summary>From an older checkpoint a run goes on at its step, which tells readers to forget what they had from there on.</summary>
    [Fact]
    public void A_run_from_an_older_checkpoint_starts_at_its_step()
    {
        TrainingFixture.Run(_fixture.Options("run"));
        TrainingFixture.Run(_fixture.Options("run") with { Resume = _fixture.File("run/checkpoint_epoch_002.ckpt") });

        EventFileReader again = EventFileReader.ReadRun(_fixture.File("run/tensorboard/train"))[^1];
        again.Starts.ShouldBe([6]);
        again.Values.Where(value => value.Tag == "batch_loss").Select(value => value.Step).ShouldBe([6, 7, 8, 9, 10, 11]);
        again.Values.Where(value => value.Tag == "epoch_loss").Select(value => value.Step).ShouldBe([3, 4]);
    }

    [Fact]
    public void Resuming_a_finished_run_writes_no_file()
    {
        TrainingFixture.Run(_fixture.Options("run"));
        string[] before = Files("run");
        TrainingFixture.Run(_fixture.Options("run") with { Resume = "auto" });

        Files("run").ShouldBe(before);
        before.Length.ShouldBe(3);
    }

    [Fact]
    public void A_folder_that_cannot_be_made_costs_one_warning_and_not_the_run()
    {
        Directory.CreateDirectory(_fixture.File("run"));
        File.WriteAllText(_fixture.File("run/tensorboard"), "in the way");
        RecordingObserver observer = new();

        TrainingFixture.Run(_fixture.Options("run"), observer).Outcome.ShouldBe(RunOutcome.Completed);

        observer.Messages.Where(message => message.Severity == Severity.Warning).ShouldHaveSingleItem().Text.ShouldContain("TensorBoard");
        File.ReadAllText(_fixture.File("run/tensorboard")).ShouldBe("in the way");
        File.ReadAllLines(_fixture.File("run/training_history.csv")).Length.ShouldBe(5);
    }

    [Fact]
    public void Switched_off_it_leaves_nothing_and_changes_nothing()
    {
        TrainingFixture.Run(_fixture.Options("run"));
        TrainingFixture.Run(_fixture.Options("off") with { Tensorboard = false });

        Directory.Exists(_fixture.File("off/tensorboard")).ShouldBeFalse();
        TrainingFixture.Payload(_fixture.File("off/last.ckpt")).ShouldBe(TrainingFixture.Payload(_fixture.File("run/last.ckpt")));
    }

    [Fact]
    public void Without_step_logs_and_histograms_only_epochs_are_there()
    {
        TrainingFixture.Run(_fixture.Options("run") with { LogEverySteps = 0, TensorboardHistograms = 0 });

        Read("run", "train").ShouldAllBe(value => value.Kind == "scalars" && !value.Tag.Contains("batch_", StringComparison.Ordinal));
    }

    [Fact]
    public void Overwriting_removes_the_old_events_and_nothing_else()
    {
        TrainingFixture.Run(_fixture.Options("run"));
        string[] before = Files("run");
        File.WriteAllText(_fixture.File("run/tensorboard/notes.txt"), "mine");
        foreach (string file in Directory.GetFiles(_fixture.File("run")))
        {
            File.Delete(file);
        }

        Should.Throw<RunException>(() => TrainingFixture.Run(_fixture.Options("run"))).Message.ShouldContain("already holds a run");
        TrainingFixture.Run(_fixture.Options("run") with { Overwrite = true, Epochs = 2 });

        Files("run").Intersect(before).ShouldBeEmpty();
        Scalars(Read("run", "train"))["epoch_loss"].Count.ShouldBe(2);
        File.ReadAllText(_fixture.File("run/tensorboard/notes.txt")).ShouldBe("mine");

        File.Delete(_fixture.File("run/tensorboard/notes.txt"));
        TrainingFixture.Run(_fixture.Options("run") with { Overwrite = true, Epochs = 1, Tensorboard = false });
        Directory.Exists(_fixture.File("run/tensorboard")).ShouldBeFalse();
    }

    [Fact]
    public void Only_the_process_that_writes_has_a_log()
    {
        ModelInfo info = new() { Model = "", Inputs = 1, Frames = 1, Backbone = "", BackboneDescription = "", Preprocess = "" };
        using RunFolder follower = RunFolder.Follow(_fixture.File("run"));

        TensorBoardLog.Open(follower, _fixture.Options("run"), info, new RecordingObserver()).ShouldBeNull();
    }

    public void Dispose() => _fixture.Dispose();

    private static Dictionary<string, List<(long Step, double Value)>> Scalars(IEnumerable<BoardValue> values) => values
        .Where(value => value.Kind == "scalars")
        .GroupBy(value => value.Tag)
        .ToDictionary(tag => tag.Key, tag => tag.Select(value => (value.Step, value.Numbers.ShouldHaveSingleItem())).ToList());

    private static void StepsIncrease(IEnumerable<BoardValue> values)
    {
        foreach (IGrouping<string, BoardValue> tag in values.GroupBy(value => value.Tag))
        {
            long[] steps = [.. tag.Select(value => value.Step)];
            steps.Zip(steps.Skip(1)).ShouldAllBe(pair => pair.Second > pair.First, tag.Key);
        }
    }

    /// <param name="columns">Of the table, by tag.</param>
    /// <param name="table">Its first column is the step.</param>
    private static void MatchesColumns(Dictionary<string, List<(long Step, double Value)>> curves, Dictionary<string, string> columns,
        string[][] table)
    {
        foreach ((string tag, string column) in columns)
        {
            int index = Array.IndexOf(table[0], column);
            index.ShouldBeGreaterThan(0);
            curves[tag].ShouldBe(table.Skip(1)
                .Select(row => (long.Parse(row[0], CultureInfo.InvariantCulture), (double)(float)Number(row[index]))), tag);
        }
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private string[][] Csv(string name) => [.. File.ReadAllLines(_fixture.File("run/" + name)).Select(line => line.Split(','))];

    private List<BoardValue> Read(string folder, string run) =>
        [.. EventFileReader.ReadRun(_fixture.File($"{folder}/tensorboard/{run}")).SelectMany(file => file.Values)];

    private string[] Files(string folder) => [
        .. Directory.GetFiles(_fixture.File(folder + "/tensorboard"), "*tfevents*", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal)];
}
