using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Cli.Tests;

/// <summary>How a run looks on a terminal and in a file.</summary>
public class RunPresenterTests
{
    private static readonly TerminalSettings LiveTerminal = new(OutputIsTerminal: true, ErrorIsTerminal: true, Colour: true, Width: 60);

    private readonly StringWriter _error = new();
    private readonly ManualTime _time = new();

    [Fact]
    public void On_a_terminal_progress_is_one_line_redrawn_in_place()
    {
        RunPresenter presenter = Presenter(LiveTerminal);

        for (int done = 0; done <= 100; done++)
        {
            presenter.Progress(Extracting(done));
            _time.Advance(TimeSpan.FromMilliseconds(20));
        }

        presenter.Message(Severity.Info, "next");

        string[] draws = _error.ToString().Split("\r\e[2K", StringSplitOptions.RemoveEmptyEntries);
        draws.Length.ShouldBe(21);
        draws.ShouldAllBe(draw => draw.TrimEnd('\n').Length < 60 || draw.EndsWith("next\n"));
        draws[^1].ShouldBe("extract 100/100 videos (100%), 6.5 frames/s, 3 failed\nnext\n");
    }

    [Fact]
    public void In_a_file_there_is_a_plain_line_every_ten_seconds_at_most()
    {
        RunPresenter presenter = Presenter(TerminalSettings.Pipes);

        for (int done = 0; done <= 100; done++)
        {
            presenter.Progress(Extracting(done));
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        string[] lines = _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines.Length.ShouldBe(10);
        lines[0].ShouldBe("extract 10/100 videos (10%), 6.5 frames/s, 3 failed, 3 min 00 s left");
        _error.ToString().ShouldAllBe(letter => !char.IsControl(letter) || letter == '\n');
    }

    [Fact]
    public void Progress_that_is_not_shown_allocates_nothing()
    {
        foreach (TerminalSettings settings in new[] { LiveTerminal, TerminalSettings.Pipes })
        {
            RunPresenter presenter = Presenter(settings);
            presenter.Progress(Extracting(1));
            presenter.Progress(Extracting(2));

            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int done = 3; done < 100; done++)
            {
                presenter.Progress(Extracting(done));
            }

            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);
        }
    }

    [Fact]
    public void Progress_in_training_names_the_epoch_and_how_it_goes() =>
        ProgressText.Of(new StageProgress(
            "train", 3, 20, "steps", 210.04, "clips/s", TimeSpan.FromSeconds(5),
            Epoch: new EpochProgress(2, 30, 0.12345, 0.625, 4.2e-4, 1.25, 32768, 300L << 20)))
            .ShouldBe("train 3/20 steps (15%), 210 clips/s, 5.0 s left, epoch 2/30 loss 0.1235 accuracy 62.5%, lr 4.20e-4, |g| 1.25, scale 32768, 300 MiB");

    [Fact]
    public void Without_loss_scaling_no_scale_is_shown() =>
        ProgressText.Of(new StageProgress("train", 3, 20, "steps", Epoch: new EpochProgress(2, 30, 0.5, 0.5, 1e-3, double.NaN, 1, 1 << 20)))
            .ShouldBe("train 3/20 steps (15%), epoch 2/30 loss 0.5000 accuracy 50.0%, lr 1.00e-3, |g| NaN, 1 MiB");

    [Fact]
    public void Each_epoch_is_a_line_under_the_same_columns_and_the_best_is_marked()
    {
        RunPresenter presenter = Presenter(TerminalSettings.Pipes);

        presenter.Epoch(Epoch(1, isBest: true));
        presenter.Epoch(Epoch(2, isBest: false));

        string[] lines = _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines.ShouldBe(
        [
            "    epoch    time  wait       lr    loss val_loss    acc val_acc bal_acc   prec    rec     f1   auc",
            "     1/20   1.5 s  2.0%  1.00e-3  0.2500   0.5000  75.0%   50.0%   60.0%      -   0.0%  40.0% 0.625 *",
            "     2/20   1.5 s  2.0%  1.00e-3  0.2500   0.5000  75.0%   50.0%   60.0%      -   0.0%  40.0% 0.625",
        ]);
    }

    [Theory]
    [InlineData(200, 13)]
    [InlineData(101, 13)]
    [InlineData(100, 12)]
    [InlineData(80, 9)]
    [InlineData(60, 7)]
    public void A_narrow_terminal_gets_fewer_columns(int width, int columns)
    {
        RunPresenter presenter = Presenter(LiveTerminal with { Width = width, Colour = false });

        presenter.Epoch(Epoch(1, isBest: true));

        string[] lines = _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines.ShouldAllBe(line => line.Length <= width);
        lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(columns);
    }

    [Fact]
    public void An_epoch_line_replaces_the_live_line()
    {
        RunPresenter presenter = Presenter(LiveTerminal with { Colour = false });

        presenter.Progress(Extracting(1));
        presenter.Epoch(Epoch(1, isBest: false));

        string text = _error.ToString();
        text.IndexOf("\r\e[2K    epoch", StringComparison.Ordinal)
            .ShouldBeGreaterThan(text.IndexOf("extract 1/100", StringComparison.Ordinal));
        text.ShouldEndWith("0.625\n");
    }

    [Fact]
    public void Without_colour_a_terminal_gets_no_colour_codes()
    {
        foreach (bool colour in new[] { true, false })
        {
            _error.GetStringBuilder().Clear();
            RunPresenter presenter = Presenter(LiveTerminal with { Colour = colour, Width = 200 });

            presenter.Epoch(Epoch(1, isBest: true));
            presenter.Message(Severity.Warning, "careful");
            presenter.Header([new HeaderLine("device", "cpu [2 threads]")]);

            _error.ToString().Contains("\e[33m").ShouldBe(colour);
            _error.ToString().Contains("\e[32m").ShouldBe(colour);
            _error.ToString().ShouldContain("cpu [2 threads]");
        }
    }

    [Fact]
    public void Quiet_shows_warnings_and_errors_only()
    {
        var presenter = new RunPresenter(new Terminal(TextWriter.Null, _error, LiveTerminal with { Colour = false }, quiet: true), _time);

        presenter.Header([new HeaderLine("device", "cpu")]);
        presenter.Dataset([new SplitRow("train", 1, 2, 1, 0)]);
        presenter.Progress(Extracting(1));
        presenter.Epoch(Epoch(1, isBest: true));
        presenter.Message(Severity.Info, "info");
        presenter.Message(Severity.Warning, "careful");
        presenter.Message(Severity.Error, "broken");

        _error.ToString().ShouldBe("warning: careful\nerror: broken\n");
    }

    [Fact]
    public void The_dataset_is_a_table_with_shares()
    {
        Presenter(TerminalSettings.Pipes).Dataset([new SplitRow("train", 30, 10, 7, 1), new SplitRow("val", 0, 0, 0, 0)]);

        string[] rows = _error.ToString().Split('\n')
            .Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToArray();
        rows[..4].ShouldBe(
        [
            "split clips nonviolent (0) violent (1) sources left out",
            "train 40 30 (75.0%) 10 (25.0%) 7 1",
            "val 0 0 (-) 0 (-) - 0",
            "all 40 30 (75.0%) 10 (25.0%) 7 1",
        ]);
    }

    [Theory]
    [InlineData(0.04, "0.0 s")]
    [InlineData(9.94, "9.9 s")]
    [InlineData(42.4, "42 s")]
    [InlineData(59.6, "1 min 00 s")]
    [InlineData(185, "3 min 05 s")]
    [InlineData(3599.9, "1 h 00 min")]
    [InlineData(7620, "2 h 07 min")]
    public void Durations_are_read_at_a_glance(double seconds, string expected) =>
        ProgressText.Duration(TimeSpan.FromSeconds(seconds)).ShouldBe(expected);

    private static StageProgress Extracting(int done) =>
        new("extract", done, 100, "videos", 6.54, "frames/s", TimeSpan.FromSeconds((100 - done) * 2), 3);

    private static EpochRecord Epoch(int epoch, bool isBest) => new()
    {
        Epoch = epoch,
        Epochs = 20,
        Seconds = 1.5,
        StallSeconds = 0.03,
        LearningRate = 0.001,
        Loss = 0.25,
        Accuracy = 0.75,
        ValLoss = 0.5,
        ValAccuracy = 0.5,
        ValBalancedAccuracy = 0.6,
        ValAuc = 0.625,
        ValPrecision = double.NaN,
        ValRecall = 0,
        ValF1 = 0.4,
        GradientNorm = 1,
        LossScale = 1,
        SkippedSteps = 0,
        IsBest = isBest,
    };

    private RunPresenter Presenter(TerminalSettings settings) => new(new Terminal(TextWriter.Null, _error, settings), _time);

    private sealed class ManualTime : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan time) => _ticks += time.Ticks;
    }
}
