using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Inference;

/// <summary>What is watched for drift, and how.</summary>
public sealed record DriftOptions
{
    /// <summary>The model; <see cref="WindowOptions.Window"/> is by default as long as half of the training clips are.</summary>
    [Settings(Except = SettingRole.Offline, Without = nameof(WindowOptions.Stride))]
    public PredictionOptions Prediction { get; init; } = new();

    [Setting(SettingGroup.Data, "Seconds from the start of one window to the start of the next: those next to each other show the same " +
        "moment",
        Above = 0)]
    public double Spacing { get; init; } = 10;
}

/// <summary>One quantity in a camera's recordings.</summary>
/// <param name="Quantity">As in the model, or <see cref="DriftAlarm.ClassRate"/>.</param>
/// <param name="Title">For people.</param>
/// <param name="Low">One in a hundred training clips is lower; of a class the share of clips called so that it had not learned
/// from.</param>
/// <param name="High">One in a hundred is higher; of a class as <paramref name="Low"/>.</param>
/// <param name="Windows">Of the recordings, that tell it.</param>
/// <param name="HereLow">One in twenty of them is lower; NaN without any.</param>
/// <param name="Here">Their median; of a class the share called so.</param>
/// <param name="HereHigh">One in twenty is higher.</param>
/// <param name="Verdict"><c>as in training</c>, <c>lower</c>, <c>higher</c>, <c>too few windows</c> <c>unknown</c>, or of a class
/// <c>as usual</c>.</param>
public sealed record DriftRow(string Quantity, string Title, double Low, double High, int Windows, double HereLow, double Here,
    double HereHigh, string Verdict);

/// <summary>An alarm in recordings.</summary>
/// <param name="Alarm">As it was last; its times are seconds in the recordings one after the other, with a gap between them.</param>
/// <param name="File">The recording in which it began.</param>
/// <param name="Seconds">From the beginning of that.</param>
/// <param name="Windows">From the first to the last that it was for.</param>
/// <param name="Ended">Whether it was over before the recordings were.</param>
public sealed record DriftEvent(DriftAlarm Alarm, string File, double Seconds, int Windows, bool Ended);

/// <summary>A camera's recordings compared with what a model learned from.</summary>
/// <param name="Path">As it was named.</param>
/// <param name="Videos">That anything was read of.</param>
/// <param name="Unreadable">What could not be read to its end, with the reason.</param>
/// <param name="Seconds">Watched, in the time of the videos.</param>
public sealed record DriftReport(string Path, int Videos, IReadOnlyList<IgnoredFile> Unreadable, double Seconds,
    IReadOnlyList<DriftRow> Quantities, IReadOnlyList<DriftEvent> Alarms);

/// <summary>Runs a <see cref="DriftMonitor"/> over recordings.</summary>
public static class DriftRun
{
    /// <param name="cameras">A video, or a folder or pattern of a camera's recordings in the order of their names, for each camera.</param>
    /// <returns>One report for each.</returns>
    /// <exception cref="RunException">Something the user can act on is wrong; among this a model that does not say what its clips were
    /// like.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static IReadOnlyList<DriftReport> Execute(DriftOptions options, IReadOnlyList<string> cameras, IRunObserver observer,
        CancellationToken stop)
    {
        FoundVideos[] found = [.. cameras.Select(camera => VideoPaths.Find([camera], observer, stop))];
        using Predictor predictor = Predictor.Open(options.Prediction, stop);
        DriftReference reference = predictor.Info.Drift ?? throw new RunException(
            $"'{options.Prediction.Checkpoint}' does not say what the clips were like that it learned from: it is of an earlier " +
                "version, or of too few clips.",
            $"Train it anew with this version on {DriftReference.FewestClips} clips or more.");
        observer.Header(predictor.Header);
        if (!reference.Quantities.ContainsKey(DriftQuantity.All[0].Name))
        {
            observer.Message(Severity.Warning, "the model does not say what its training clips look like, only " +
                $"{string.Join(", ", reference.Quantities.Keys)}: it was trained without motion, or on features that an earlier version " +
                    "extracted. 'cudatrainer cache clear' and training anew would tell more");
        }

        return [.. cameras.Zip(found, (camera, videos) =>
            new Watch(options, predictor, reference).Run(camera, videos, observer, stop))];
    }

    /// <summary>One camera.</summary>
    private sealed class Watch(DriftOptions options, Predictor predictor, DriftReference reference)
    {
        private readonly DriftMonitor _monitor = new(reference) { Spacing = options.Spacing };
        private readonly List<DriftObservation> _windows = [];

        /// <summary>The recording that each window is of, and where that begins.</summary>
        private readonly List<(string Path, double Offset)> _places = [];
        private readonly List<DriftEvent> _alarms = [];

        public DriftReport Run(string camera, FoundVideos found, IRunObserver observer, CancellationToken stop)
        {
            double length = options.Prediction.Windows.Window ?? reference.Seconds ?? 2, offset = 0, watched = 0;
            var plan = new WindowPlan(length, Math.Max(length, options.Spacing));
            List<IgnoredFile> unreadable = [.. found.Unreadable];
            int read = 0;
            foreach (string path in found.Videos)
            {
                WindowedPrediction video = predictor.ByWindow(path, plan, Progress, stop);
                IReadOnlyList<WindowScore> windows = video.Prediction.Windows!;
                foreach (WindowScore window in windows)
                {
                    Add(Observation(window, video, offset), path, offset);
                }

                if (video.Prediction.Error is { } error)
                {
                    unreadable.Add(new IgnoredFile(path, $"{video.Prediction.Status}: {error}"));
                }

                if (windows.Count > 0)
                {
                    read++;
                    watched += windows[^1].End;
                    offset += windows[^1].End + options.Spacing;
                }

                void Progress(double end) => observer.Progress(new StageProgress($"watch {Path.GetFileName(path)}", (int)end, 0,
                    "s of video"));
            }

            return new DriftReport(camera, read, unreadable, watched, [.. _monitor.Readings.Select(RowOf), .. ClassRows()], _alarms);
        }

        private DriftObservation Observation(WindowScore window, WindowedPrediction video, double offset) =>
            new(offset + window.Start, offset + window.End)
            {
                Called = ClassScores.Called(window.Scores ?? [window.Violent], predictor.Threshold),
                Distance = window.Distance,
                Speed = window.Speed,
                Pictures = window.Pictures,
                FrameRate = video.Video.FrameRate,
                Height = video.Video.Height,
            };

        private void Add(in DriftObservation observation, string path, double offset)
        {
            if (!_monitor.Add(observation))
            {
                return;
            }

            _windows.Add(observation);
            _places.Add((path, offset));
            IReadOnlyList<DriftAlarm> now = _monitor.Alarms;
            for (int i = 0; i < _alarms.Count; i++)
            {
                if (!_alarms[i].Ended)
                {
                    _alarms[i] = now.FirstOrDefault(alarm => IsSame(alarm, _alarms[i].Alarm)) is { } goesOn
                        ? _alarms[i] with { Alarm = goesOn, Windows = _alarms[i].Windows + 1 }
                        : _alarms[i] with { Ended = true };
                }
            }

            foreach (DriftAlarm alarm in now.Where(alarm => !_alarms.Any(known => !known.Ended && IsSame(alarm, known.Alarm))))
            {
                int first = _windows.FindIndex(window => window.Start == alarm.Since);
                _alarms.Add(new DriftEvent(alarm, _places[first].Path, alarm.Since - _places[first].Offset, _windows.Count - first,
                    Ended: false));
            }
        }

        private static bool IsSame(DriftAlarm one, DriftAlarm other) => one.Quantity == other.Quantity && one.Since == other.Since;

        private DriftRow RowOf(DriftReading reading)
        {
            DriftQuantity quantity = DriftQuantity.All.First(quantity => quantity.Name == reading.Quantity);
            double[] values = [.. _windows.Select(quantity.Value).Where(double.IsFinite).Order()];
            DriftEvent? alarm = _alarms.LastOrDefault(alarm => alarm.Alarm.Quantity == reading.Quantity);
            string verdict = values.Length == 0 ? "unknown"
                : values.Length < DriftMonitor.Enough(values.Length) ? "too few windows"
                : alarm is null ? "as in training"
                : alarm.Alarm.Value < alarm.Alarm.Low ? "lower" : "higher";
            return new DriftRow(reading.Quantity, reading.Title, reading.Reference.Low, reading.Reference.High, values.Length,
                At(0.05), At(0.5), At(0.95), verdict);

            double At(double level) => values.Length == 0 ? double.NaN : QuantileSketch.At(values, level);
        }

        private IEnumerable<DriftRow> ClassRows()
        {
            int[] called = [.. _windows.Select(window => window.Called).OfType<int>()];
            for (int label = reference.Classes.Count == 2 ? 1 : 0; label < reference.Classes.Count; label++)
            {
                ClassReference own = reference.Classes[label];
                double share = called.Length == 0 ? double.NaN : (double)called.Count(one => one == label) / called.Length;
                DriftEvent? alarm = _alarms.LastOrDefault(alarm => alarm.Alarm.Class == own.Name);
                string verdict = alarm is null ? "as usual" : alarm.Alarm.Value < alarm.Alarm.Low ? "lower" : "higher";
                yield return new DriftRow(DriftAlarm.ClassRate, $"share called {own.Name}", own.Called, own.Called, called.Length,
                    share, share, share, verdict);
            }
        }
    }
}
