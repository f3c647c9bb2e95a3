using CudaTrainer.Training.Events;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Keeps what a run tells, and may act on it.</summary>
internal sealed class RecordingObserver : IRunObserver
{
    public List<(Severity Severity, string Text)> Messages { get; } = [];

    public List<HeaderLine> HeaderLines { get; } = [];

    public List<EpochRecord> Epochs { get; } = [];

    /// <summary>Called after each training step with the number of steps seen by this observer.</summary>
    public Action<int>? OnStep { get; init; }

    public int Steps { get; private set; }

    public void Message(Severity severity, string text) => Messages.Add((severity, text));

    public void Header(IReadOnlyList<HeaderLine> lines) => HeaderLines.AddRange(lines);

    public void Dataset(IReadOnlyList<SplitRow> splits)
    {
    }

    public void Progress(StageProgress progress)
    {
        if (progress.Stage == "train")
        {
            OnStep?.Invoke(++Steps);
        }
    }

    public void Epoch(EpochRecord epoch) => Epochs.Add(epoch);
}
