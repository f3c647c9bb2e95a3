using CudaTrainer.Live.Cameras;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Live.Watching;

/// <summary>Compares what a camera shows with what the model learned from, and tells what has changed since the last window.</summary>
internal sealed class CameraDrift(Predictor predictor, string camera)
{
    private readonly DriftMonitor? _monitor = predictor.Info.Drift is { } reference ? new DriftMonitor(reference) : null;
    private readonly string[] _classes = [.. predictor.Info.ClassList.Names];

    /// <summary>Seconds of earlier connections, and where the latest window of this one ended.</summary>
    private double _offset, _end;

    /// <summary>What goes on.</summary>
    public IReadOnlyList<DriftBegan> Current { get; private set; } = [];

    /// <param name="status">Of the camera.</param>
    /// <returns>What began and what ended with this window.</returns>
    public IReadOnlyList<LiveNews> Add(DueWindow window, LiveAnswer answer, CameraStatus status)
    {
        _offset += answer.To < _end ? _end : 0;
        _end = answer.To;
        if (_monitor is null || !_monitor.Add(new DriftObservation(_offset + answer.From, _offset + answer.To)
        {
            Called = answer.Label is null ? null : Array.IndexOf(_classes, answer.Label),
            Distance = answer.Distance,
            Speed = window.Speed,
            Pictures = window.Pictures,
            FrameRate = status.FrameRate,
            Height = status.Height,
        }))
        {
            return [];
        }

        IReadOnlyList<DriftBegan> before = Current;
        Current = [.. _monitor.Alarms.Select(alarm => new DriftBegan(
            answer.At, camera, alarm.Quantity, alarm.Class, alarm.Sentence, alarm.Value, alarm.Low, alarm.High))];
        return [
            .. before.Where(one => !Current.Any(other => IsSame(one, other)))
                .Select(one => new DriftEnded(answer.At, camera, one.Quantity, one.Class)),
            .. Current.Where(one => !before.Any(other => IsSame(one, other))),
        ];
    }

    private static bool IsSame(DriftBegan one, DriftBegan other) => one.Quantity == other.Quantity && one.Class == other.Class;
}
