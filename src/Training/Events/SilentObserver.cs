namespace CudaTrainer.Training.Events;

/// <summary>For processes beside the one that speaks. Errors end the process and are told by its caller.</summary>
internal sealed class SilentObserver : IRunObserver
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
