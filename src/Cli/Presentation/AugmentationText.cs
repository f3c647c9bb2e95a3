using System.Globalization;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What test-time augmentation is made of.</summary>
internal static class AugmentationText
{
    public static string Cost { get; } = string.Create(
        CultureInfo.InvariantCulture,
            $"test-time augmentation: mean over {ClipView.ForPrediction} views " +
                $"({string.Join(", ", ClipView.All.Take(ClipView.ForPrediction).Select(view => view.Name))}), {ClipView.ForPrediction} " +
                $"times the cost");
}
