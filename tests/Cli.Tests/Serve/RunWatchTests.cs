using CudaTrainer.Formats;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>A run in whatever state is an answer.</summary>
public sealed class RunWatchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RunFolderWriter _run;
    private readonly Clock _clock = new();

    public RunWatchTests() => _run = new RunFolderWriter(_folder.Path);

    [Fact]
    public void A_run_goes_from_nothing_to_its_end()
    {
        RunWatch watch = new(_folder.Path, _clock);
        new RunWatch(_folder.File("nowhere"), _clock).Read().Stage.ShouldBe(RunStage.Absent);
        watch.Read().Stage.ShouldBe(RunStage.Absent);

        _run.WriteConfig(epochs: 20);
        watch.Read().Stage.ShouldBe(RunStage.Stopped);
        using (FolderLock held = _run.Hold())
        {
            watch.Read().Stage.ShouldBe(RunStage.Starting);

            _run.WriteHistory(epochs: 3);
            RunState running = watch.Read();
            (running.Stage, running.Epoch, running.Epochs, running.Message).ShouldBe((RunStage.Running, 3, 20, null));
            running.Record!.History.Select(row => row["val_balanced_accuracy"]).ShouldBe([0.51, 0.52, 0.53]);
        }

        watch.Read().Stage.ShouldBe(RunStage.Stopped);
        _run.WriteResults(bestEpoch: 2);
        RunState end = watch.Read();
        end.Stage.ShouldBe(RunStage.Finished, end.Message);
        end.Record!.Result!.BestEpoch.ShouldBe(2);
        end.Remaining.ShouldBeNull();
    }

    [Fact]
    public void What_remains_is_told_by_the_last_epochs_and_shrinks()
    {
        _run.WriteConfig(epochs: 20);
        _run.WriteHistory(epochs: 4);
        using FolderLock held = _run.Hold();
        RunWatch watch = new(_folder.Path, _clock);
        _clock.Now = File.GetLastWriteTimeUtc(_run.History);

        watch.Read().Remaining.ShouldBe(TimeSpan.FromSeconds(160));
        _clock.Now += TimeSpan.FromSeconds(7);
        watch.Read().Remaining.ShouldBe(TimeSpan.FromSeconds(153));

        // Nobody has said anything for long: whoever trained is gone, though his lock file may lie there.
        _clock.Now += TimeSpan.FromMinutes(5);
        RunState later = watch.Read();
        (later.Stage, later.Remaining).ShouldBe((RunStage.Stopped, null));
    }

    [Theory]
    [InlineData("training_history.csv", "epoch,epoch\n1,2\n", "a column occurs twice")]
    [InlineData("training_history.csv", "epoch,\"los", "quote")]
    [InlineData("training_history.csv", "epoch\0", "binary")]
    [InlineData("training_config.json", "{ \"Epochs\": 2", "cudatrainer train")]
    [InlineData("training_config.json", "", "cudatrainer train")]
    [InlineData("training_results.json", "[]", "cudatrainer train")]
    public void What_cannot_be_read_is_said_beside_what_could_be(string file, string content, string expected)
    {
        _run.WriteConfig(epochs: 5);
        _run.WriteHistory(epochs: 2);
        RunWatch watch = new(_folder.Path, _clock), late = new(_folder.Path, _clock);
        watch.Read();
        File.WriteAllText(_folder.File(file), content);

        RunState damaged = watch.Read();

        damaged.Stage.ShouldBe(RunStage.Damaged);
        damaged.Message!.ShouldContain(expected);
        damaged.Message!.ShouldContain(file);
        damaged.Message!.ShouldNotContain(_folder.Path);
        damaged.Epoch.ShouldBe(2);
        late.Read().Record.ShouldBeNull();

        // A moment later it is whole.
        File.Delete(_folder.File("training_results.json"));
        _run.WriteConfig(epochs: 5);
        _run.WriteHistory(epochs: 3);
        (watch.Read().Stage, watch.Read().Epoch).ShouldBe((RunStage.Stopped, 3));
    }

    /// <summary>A row that ends early, or holds words, is a row with gaps.</summary>
    [Fact]
    public void A_half_written_row_is_no_number()
    {
        _run.WriteConfig(epochs: 5);
        string whole = RunFolderWriter.HistoryOf(2);
        RunWatch watch = new(_folder.Path, _clock);
        for (int length = whole.Length; length > 0; length--)
        {
            File.WriteAllText(_run.History, whole[..length]);
            watch.Read().Message.ShouldBeNull(whole[..length]);
        }
    }

    public void Dispose() => _folder.Dispose();

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UtcNow;

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
