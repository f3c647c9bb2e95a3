namespace CudaTrainer.Training.Events;

/// <summary>
/// Nobody listens: for processes beside the one that speaks, and for programs that say nothing. Errors are exceptions all the same.
/// </summary>
public sealed class SilentObserver : IRunObserver
{
    public void Message(Severity severity, string text)
    {
    }

    public void Header(IReadOnlyList<HeaderLine> lines)
    {
    }

    public void Dataset(IReadOnlyList<SplitRow> splits)
    {
    }

    public void Progress(StageProgress progress)
    {
    }

    public void Epoch(EpochRecord epoch)
    {
    }
}
