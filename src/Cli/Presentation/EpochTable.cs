using System.Globalization;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Cli.Presentation;

/// <summary>One line an epoch, in fixed columns; the best so far ends in <c>*</c>.</summary>
internal sealed class EpochTable
{
    private static readonly (string Title, int Width, Func<EpochRecord, string> Value)[] Columns =
    [
        ("epoch", 9, epoch => $"{epoch.Epoch}/{epoch.Epochs}"),
        ("time", 8, epoch => ProgressText.Duration(TimeSpan.FromSeconds(epoch.Seconds))),
        ("wait", 6, epoch => Percent(epoch.Seconds > 0 ? epoch.StallSeconds / epoch.Seconds : 0)),
        ("lr", 9, epoch => epoch.LearningRate.ToString("0.00e+0", CultureInfo.InvariantCulture)),
        ("loss", 8, epoch => Loss(epoch.Loss)),
        ("val_loss", 9, epoch => Loss(epoch.ValLoss)),
        ("acc", 7, epoch => Percent(epoch.Accuracy)),
        ("val_acc", 8, epoch => Percent(epoch.ValAccuracy)),
        ("bal_acc", 8, epoch => Percent(epoch.ValBalancedAccuracy)),
        ("prec", 7, epoch => Percent(epoch.ValPrecision)),
        ("rec", 7, epoch => Percent(epoch.ValRecall)),
        ("f1", 7, epoch => Percent(epoch.ValF1)),
        ("auc", 6, epoch => MetricText.Fraction(epoch.ValAuc)),
    ];

    private bool _titled;

    /// <summary>The epoch's line, the first time below the titles.</summary>
    public IEnumerable<string> Lines(EpochRecord epoch)
    {
        if (!_titled)
        {
            _titled = true;
            yield return string.Concat(Columns.Select(column => column.Title.PadLeft(column.Width)));
        }

        string line = string.Concat(Columns.Select(column => column.Value(epoch).PadLeft(column.Width)));
        yield return epoch.IsBest ? line + " *" : line;
    }

    private static string Percent(double value) => MetricText.Percent(value);

    private static string Loss(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);
}
