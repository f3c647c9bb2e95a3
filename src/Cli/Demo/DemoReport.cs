using CudaTrainer.Cli.Presentation;
using CudaTrainer.Synthetic;
using CudaTrainer.Training.Inference;
using Spectre.Console;

namespace CudaTrainer.Cli.Demo;

/// <summary>The end of a demo: the unseen clips, right or wrong, and where everything is.</summary>
internal static class DemoReport
{
    public static void Write(Terminal terminal, DemoClipSet clips, IReadOnlyList<Prediction> predictions, TimeSpan time, DemoFolder folder)
    {
        var truth = clips.Unseen.ToDictionary(clip => Path.GetFullPath(clip.Path));
        TextTable table = new("unseen clip", "shows", ">p(violent)", "called", "");
        int right = 0;
        foreach (Prediction prediction in predictions)
        {
            DemoClip clip = truth[Path.GetFullPath(prediction.Path)];
            bool isRight = prediction.Violent is { } violent && violent >= prediction.Threshold == clip.IsViolent;
            right += isRight ? 1 : 0;
            table.Row(
                Path.GetFileName(prediction.Path),
                clip.Activity,
                prediction.Violent is { } probability ? MetricText.Fraction(probability) : "-",
                prediction.Label ?? prediction.Status,
                isRight ? new Cell("right", new Style(Color.Green)) : new Cell("wrong", new Style(Color.Red)));
        }

        TextWriter output = terminal.Output;
        output.WriteLine();
        table.Write(terminal.Results);
        output.WriteLine();
        output.WriteLine($"{right} of {predictions.Count} unseen clips are called right. They are drawn: " +
            "of real ones a model knows nothing that has learned from these.");
        output.WriteLine($"The demo took {ProgressText.Duration(time)}. Everything is in {folder.Path}: dataset, unseen, feature_cache, checkpoints.");
    }
}
