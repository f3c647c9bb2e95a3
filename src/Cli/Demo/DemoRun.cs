using System.Diagnostics;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Synthetic;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Demo;

/// <summary>Draws the clips, trains on them through the normal path and predicts the unseen ones.</summary>
internal sealed class DemoRun(DemoOptions options, Terminal terminal, RunPresenter presenter)
{
    private readonly DemoFolder _folder = DemoFolder.At(options.Output);

    /// <summary>What the demo trains with: what <c>train</c> would choose for these clips.</summary>
    public static TrainingOptions Training(DemoOptions options)
    {
        var folder = DemoFolder.At(options.Output);
        return new TrainingOptions
        {
            Given = new HashSet<string>(),
            DatasetPath = folder.Dataset,
            CacheDir = folder.Cache,
            CheckpointDir = folder.Checkpoints,
            Overwrite = true,
            Threads = options.Threads,
            Seed = options.Seed,
        };
    }

    /// <returns>The exit code.</returns>
    public int Run(CancellationToken stop)
    {
        long start = Stopwatch.GetTimestamp();
        DemoClipSet clips = Render(stop);
        if (options.ClipsOnly)
        {
            terminal.Output.WriteLine($"The clips are in {_folder.Dataset} and {_folder.Unseen}.");
            return ExitCode.Ok;
        }

        TrainingOptions training = Training(options);
        TrainingResult result = TrainingRun.Execute(training, presenter, stop);
        presenter.CloseLine();
        if (result.Outcome == RunOutcome.Interrupted)
        {
            terminal.WriteLog($"stopped; run the demo again, or go on by hand with train --resume auto in {options.Output}");
            return ExitCode.Interrupted;
        }

        TrainingReport.Write(terminal, result);
        IReadOnlyList<Prediction> predictions = PredictionRun.Execute(
            new PredictionOptions
            {
                Checkpoint = Path.Combine(result.CheckpointDir, TrainingReport.BestModel),
                Paths = [clips.UnseenDirectory],
                Threads = options.Threads
            }, presenter, stop);
        presenter.CloseLine();
        DemoReport.Write(terminal, clips, predictions, Stopwatch.GetElapsedTime(start), _folder);
        return ExitCode.Ok;
    }

    private DemoClipSet Render(CancellationToken stop)
    {
        _folder.Prepare();
        long start = Stopwatch.GetTimestamp();
        var drawn = new DemoClipOptions { Directory = _folder.Path, Count = options.Clips, Seed = options.Seed };
        DemoClipSet clips = DemoClips.Render(
            options.Activities ? drawn with { ByActivity = true, ViolentShare = 0.5, IncludeBroken = false } : drawn,
            progress => presenter.Progress(new StageProgress("draw", progress.Done, progress.Total, "clips")),
            stop);
        presenter.CloseLine();
        int violent = clips.Labelled.Count(clip => clip.IsViolent);
        presenter.Message(
            Severity.Info,
            $"drawn in {ProgressText.Duration(Stopwatch.GetElapsedTime(start))}: {clips.Labelled.Count} labelled clips ({violent} " +
                $"violent), "
            + $"{clips.Unseen.Count} unseen ones, {clips.Broken.Count} files broken on purpose");
        return clips;
    }
}
