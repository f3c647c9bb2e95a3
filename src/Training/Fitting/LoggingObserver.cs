using CudaTrainer.Training.Events;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>Writes what a run tells also to its train.log; progress is too much for a log and only passed on.</summary>
internal sealed class LoggingObserver(IRunObserver inner, RunFolder folder) : IRunObserver
{
    public void Message(Severity severity, string text)
    {
        folder.Log(severity == Severity.Info ? text : $"{severity}: {text}");
        inner.Message(severity, text);
    }

    public void Header(IReadOnlyList<HeaderLine> lines)
    {
        foreach (HeaderLine line in lines)
        {
            folder.Log($"{line.Label}: {line.Text}");
        }

        inner.Header(lines);
    }

    public void Dataset(IReadOnlyList<SplitRow> splits)
    {
        foreach (SplitRow split in splits)
        {
            folder.Log($"{split.Split}: {string.Join(", ", split.Clips.Select(of => $"{of.Value} {of.Key}"))}, {split.Failed} left out");
        }

        inner.Dataset(splits);
    }

    public void Progress(StageProgress progress) => inner.Progress(progress);

    public void Epoch(EpochRecord epoch)
    {
        string best = epoch.IsBest ? " *" : string.Empty;
        folder.Log($"epoch {epoch.Epoch}/{epoch.Epochs} loss {epoch.Loss:F4} accuracy {epoch.Accuracy:F4} val_loss {epoch.ValLoss:F4} val_accuracy {epoch.ValAccuracy:F4} stall {epoch.StallSeconds:F4}s{best}");
        inner.Epoch(epoch);
    }
}
