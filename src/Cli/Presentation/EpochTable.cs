using System.Globalization;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Cli.Presentation;

/// <summary>One line an epoch, in fixed columns; the best so far ends in <c>*</c>. A narrow terminal gets fewer columns.</summary>
internal sealed class EpochTable
{
    private const string Best = " *";

    /// <summary>Columns that a narrow terminal can do without, in the order in which they go.</summary>
    private static readonly string[] Expendable = ["wait", "prec", "rec", "f1", "lr", "time"];

    private static readonly Column[] All =
    [
        new("epoch", 9, epoch => $"{epoch.Epoch}/{epoch.Epochs}"),
        new("time", 8, epoch => ProgressText.Duration(TimeSpan.FromSeconds(epoch.Seconds))),
        new("wait", 6, epoch => MetricText.Percent(epoch.Seconds > 0 ? epoch.StallSeconds / epoch.Seconds : 0)),
        new("lr", 9, epoch => epoch.LearningRate.ToString("0.00e+0", CultureInfo.InvariantCulture)),
        new("loss", 8, epoch => MetricText.Loss(epoch.Loss)),
        new("val_loss", 9, epoch => MetricText.Loss(epoch.ValLoss)),
        new("acc", 7, epoch => MetricText.Percent(epoch.Accuracy)),
        new("val_acc", 8, epoch => MetricText.Percent(epoch.ValAccuracy)),
        new("bal_acc", 8, epoch => MetricText.Percent(epoch.ValBalancedAccuracy)),
        new("prec", 7, epoch => MetricText.Percent(epoch.ValPrecision)),
        new("rec", 7, epoch => MetricText.Percent(epoch.ValRecall)),
        new("f1", 7, epoch => MetricText.Percent(epoch.ValF1)),
        new("auc", 6, epoch => MetricText.Fraction(epoch.ValAuc)),
    ];

    private readonly List<Column> _columns = [.. All];
    private bool _titled;

    /// <param name="width">Columns of text a line may take.</param>
    public EpochTable(int width)
    {
        foreach (string name in Expendable)
        {
            if (_columns.Sum(column => column.Width) + Best.Length > width)
            {
                _columns.RemoveAll(column => column.Title == name);
            }
        }
    }

    /// <summary>The epoch's line, the first time below the titles.</summary>
    public IEnumerable<string> Lines(EpochRecord epoch)
    {
        if (!_titled)
        {
            _titled = true;
            yield return string.Concat(_columns.Select(column => column.Title.PadLeft(column.Width)));
        }

        string line = string.Concat(_columns.Select(column => column.Value(epoch).PadLeft(column.Width)));
        yield return epoch.IsBest ? line + Best : line;
    }

    private sealed record Column(string Title, int Width, Func<EpochRecord, string> Value);
}
