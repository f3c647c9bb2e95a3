using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Data.Video;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Serve;

/// <summary>Predicts the videos of a queue, one after the other, on the thread that calls it.</summary>
internal sealed class VideoWorker(Predictor predictor, ServeOptions options, VideoQueue queue, ServeMetrics metrics, IRunObserver observer)
{
    /// <summary>Pictures of each result.</summary>
    private const int KeyFrameCount = 8;

    /// <exception cref="OperationCanceledException">Stopped; nothing else ends it.</exception>
    public void Run(CancellationToken stop)
    {
        while (true)
        {
            VideoJob job = queue.Take(stop);
            long began = Stopwatch.GetTimestamp();
            (VideoResult? result, JobError? error) = Answer(job, stop);
            metrics.CountVideo(error?.Code ?? "done", Stopwatch.GetElapsedTime(began).TotalSeconds, result?.Video.Frames ?? 0);
            UploadFolder.Delete(job.File);
            queue.Finish(job, result, error);
            observer.Message(Severity.Info,
                result is null
                ? $"{job.Name}: {error!.Message}"
                : string.Create(CultureInfo.InvariantCulture,
                $"{job.Name}: {result.Score:0.000} {result.Label ?? "no class"}, {result.Seconds:0.0} s"));
        }
    }

    private (VideoResult? Result, JobError? Error) Answer(VideoJob job, CancellationToken stop)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop, job.Stop);
        limited.CancelAfter(TimeSpan.FromSeconds(options.Timeout));
        try
        {
            return Answer(job, Stopwatch.GetTimestamp(), limited.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return job.Stop.IsCancellationRequested
                ? (null, new JobError("deleted", "The video was deleted."))
                : (null, new JobError("timeout",
                    string.Create(CultureInfo.InvariantCulture,
                    $"The video took longer than {options.Timeout} s, the most that is spent on one.")));
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // One video must not end the server. The text may name files of this machine, so it stays on it.
            observer.Message(Severity.Error, $"{exception.GetType().Name}: {exception.Message}");
            return (null, new JobError("internal", "The server failed on this video; its own output says why."));
        }
    }

    private (VideoResult? Result, JobError? Error) Answer(VideoJob job, long began, CancellationToken stop)
    {
        WindowedPrediction answer = predictor.ByWindow(job.File, options.Plan, seconds => queue.Report(job, seconds), stop);
        Prediction prediction = answer.Prediction;
        if (!prediction.IsAnswered)
        {
            return (null, new JobError(prediction.Status.Replace(' ', '_'),
                $"The video cannot be read ({prediction.Status}): {prediction.Error ?? "it has no frames"}."));
        }

        IReadOnlyList<WindowScore> windows = prediction.Windows!;
        if (!windows.All(window => double.IsFinite(window.Smoothed)))
        {
            return (null, new JobError("internal", "The model does not answer with numbers; its weights may be damaged."));
        }

        IReadOnlyList<KeyFrame> frames = KeyFrames.Read(answer, KeyFrameCount, TimeSpan.FromSeconds(options.Prediction.DecodeTimeout),
            stop);
        VideoInfo video = answer.Video;
        bool isViolence = prediction.Violent is not null;
        return (new VideoResult(
            prediction.Violent, prediction.Label, isViolence ? prediction.Threshold : null, isViolence ? prediction.Release : null,
            prediction.Status, prediction.Error,
            [.. windows.Zip(answer.Samples, (window, sample) => WindowAnswer.Of(window, sample.Attention))],
            prediction.Events!,
            [.. frames.Select((frame, number) => new FrameAnswer(
                number, frame.Time, frame.Window, isViolence ? windows[frame.Window].Violent : null, frame.Attention, frame.Width,
                frame.Height, VideoEndpoints.FrameUrl(job.Id, number)))],
            new VideoFacts(video.Width, video.Height, double.IsFinite(video.FrameRate) ? video.FrameRate : 0, video.DecodedFrames,
                windows[^1].End, video.Codec, video.Container),
            Math.Round(Stopwatch.GetElapsedTime(began).TotalSeconds, 3))
        {
            Probabilities = prediction.Probabilities,
            Thresholds = prediction.Thresholds,
            Unfamiliar = prediction.Unfamiliar,
            Note = prediction.Note,
            Pictures = [.. frames.Select(frame => frame.Png)],
        }, null);
    }
}
