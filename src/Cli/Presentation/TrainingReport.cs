using System.Globalization;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What a training run ends with on standard output: metrics, where everything is, and the command to use it.</summary>
internal static class TrainingReport
{
    public const string BestModel = "best_model.safetensors";

    private static readonly (string Name, string Description)[] Files =
    [
        (BestModel, "the best epoch's weights"),
        ("best_model.h5", "the same for Keras"),
        ("ema_model.safetensors", "the moving average of the weights"),
        ("swa_model.safetensors", "the mean of the weights of epochs"),
        ("last.ckpt", "full state, for --resume auto"),
        ("training_results.json", "these results"),
        ("training_history.csv", "one row an epoch"),
        ("training_steps.csv", "one row a step"),
        ("training_config.json", "the effective options"),
        ("train.log", "everything printed"),
        ("profile_trace.json", "for ui.perfetto.dev"),
        ("report.html", "the run as a page"),
        ("tensorboard", "for tensorboard --logdir"),
    ];

    public static void Write(Terminal terminal, TrainingResult result)
    {
        TrainingOptions options = result.Options!;
        TextWriter output = terminal.Output;
        string epoch = result.StoppedEarly ? $"epoch {result.BestEpoch}, training stopped early" : $"epoch {result.BestEpoch}";
        output.WriteLine(Classifiers.IsFitted(options.Model)
            ? $"Results of the fitted {options.Model} model, loaded from its file"
            : string.Create(CultureInfo.InvariantCulture,
                $"Results of the best checkpoint ({epoch}; {result.Monitor} {result.BestValue:0.0000}), loaded from its file"));
        output.WriteLine();
        List<KeyValuePair<string, ClassificationMetrics>> splits = [];
        if (result.Val is not null)
        {
            splits.Add(new("val", result.Val));
        }

        if (result.Test is not null)
        {
            splits.Add(new("test", result.Test));
        }

        MetricsReport.Write(terminal.Results, splits);
        MetricsReport.WriteDatasets(terminal.Results,
        [
            .. from dataset in result.Datasets ?? new Dictionary<string, DatasetResult>()
               from split in new[] { ("val", dataset.Value.Val), ("test", dataset.Value.Test) }
               where split.Item2 is not null
               select (dataset.Key, split.Item1, split.Item2),
        ]);
        if (result.TestAtHalf is { } atHalf)
        {
            output.WriteLine();
            output.WriteLine($"test at threshold 0.5: accuracy {MetricText.Percent(atHalf.Accuracy)}, balanced {MetricText.Percent(atHalf.BalancedAccuracy)}");
        }

        WriteAverages(terminal, result);
        output.WriteLine();
        WriteVerdict(output, result);
        output.WriteLine();
        output.WriteLine($"backbone   {result.Backbone}");
        output.WriteLine($"device     {result.Device}; {result.Precision}");
        output.WriteLine($"time       {Stages(result.Stages)}; waiting for data {MetricText.Percent(result.StallFraction)} of training");
        if (result.Communication is { } communication)
        {
            output.WriteLine("gradients  " + string.Create(
                CultureInfo.InvariantCulture,
                $"{communication.Replicas} replicas {communication.Transport}: {communication.BytesPerStep / 1e6:0.00} MB and " +
                    $"{communication.SecondsPerStep * 1e3:0.00} ms a step, {100 * communication.OverlapFraction:0} % of it beside " +
                    $"computing"));
        }

        if (result.Profile is { } profile)
        {
            output.WriteLine();
            ProfileReport.Write(terminal, profile);
            output.WriteLine();
        }

        output.WriteLine($"files      {result.CheckpointDir}");
        foreach ((string name, string description) in Files)
        {
            if (Path.Exists(Path.Combine(result.CheckpointDir, name)))
            {
                output.WriteLine($"             {name,-24} {description}");
            }
        }

        output.WriteLine();
        if (options.FeaturesDir is null)
        {
            output.WriteLine("Predict    " + PredictCommandLine(result, options));
        }
    }

    /// <summary>Whether anything was learned, and what to try next.</summary>
    private static void WriteVerdict(TextWriter output, TrainingResult result)
    {
        var verdict = Verdict.Of(result.Test ?? result.Val!);
        output.WriteLine(verdict.Text);
        bool beaten = false;
        if (result.Yardstick is { } yardstick)
        {
            output.WriteLine(yardstick.Compare(result.Val!, result.Test));
            beaten = (yardstick.Test ?? yardstick.Val).BalancedAccuracy >= (result.Test ?? result.Val!).BalancedAccuracy;
        }

        TrainingOptions options = result.Options!;
        string data = options.DatasetPath is not null
            ? $"{string.Join(' ', options.Datasets.Select(folder => $"--dataset-path {ShellWord.Quote(folder)}"))}{BackboneOf(options)}"
            : $"--features-dir {ShellWord.Quote(options.FeaturesDir!)}";
        string classes = options.Classes is { } merged ? $" --classes {ShellWord.Quote(merged)}" : "";
        data += classes + (options.Labels is { } labels ? $" --labels {ShellWord.Quote(labels)}" : "");
        (string command, string what) = (verdict.Learned, beaten) switch
        {
            (_, true) => ($"train {data} --model linear --checkpoint-dir {ShellWord.Quote(options.CheckpointDir + "-linear")}",
                "the linear model as a run of its own"),
            (false, _) when options.Datasets is [var scanned] =>
                ($"data scan {ShellWord.Quote(scanned)}{classes}", "what would limit a model on these clips"),
            (true, _) => ($"cv {data}", "how good this recipe is on sources that it has not seen, with an interval"),
            _ => ($"cv {data} --model linear", "whether a linear model learns anything from these features"),
        };
        output.WriteLine($"Next       {Shell.Program} {command}");
        output.WriteLine($"             {what}");
    }

    /// <summary>The averages of the weights beside the best epoch: val to choose by, test to know.</summary>
    private static void WriteAverages(Terminal terminal, TrainingResult result)
    {
        if (result.Averages.Count == 0)
        {
            return;
        }

        terminal.Output.WriteLine();
        TextTable table = new("weights", "averaged", ">val loss", ">val balanced", ">val ROC-AUC", ">test balanced", ">test ROC-AUC");
        Row("best epoch", "1", result.Val!, result.Test);
        foreach (AverageResult average in result.Averages)
        {
            Row(average.Name, $"{average.Updates} {(average.Name == "ema" ? "steps" : "epochs")}", average.Val, average.Test);
        }

        table.Write(terminal.Results);

        void Row(string name, string averaged, ClassificationMetrics val, ClassificationMetrics? test) => table.Row(
            name, averaged, MetricText.Loss(val.Loss), MetricText.Percent(val.BalancedAccuracy), MetricText.Fraction(val.Auc),
            test is null ? "–" : MetricText.Percent(test.BalancedAccuracy), test is null ? "–" : MetricText.Fraction(test.Auc));
    }

    /// <summary>The command that predicts new videos with this run's model.</summary>
    private static string PredictCommandLine(TrainingResult result, TrainingOptions options) =>
        $"{Shell.Program} predict CLIP.mp4 --checkpoint {ShellWord.Quote(Path.Combine(result.CheckpointDir, BestModel))}" +
            BackboneOf(options);

    /// <summary>The options that name the backbone, as they were given.</summary>
    private static string BackboneOf(TrainingOptions options) => string.Concat(
        from setting in Setting.Of(typeof(VideoOptions))
        where setting.Property.Name is nameof(options.Weights) or nameof(options.Backbone) or nameof(options.BackboneLayer)
            or nameof(options.BackboneInput)
        let text = setting.Shown(options)
        where text.Length > 0
        select $" --{setting.Name} {ShellWord.Quote(text)}");

    public static string Stages(IReadOnlyDictionary<string, double> stages) =>
        string.Join(", ", stages.Select(stage => $"{stage.Key} {ProgressText.Duration(TimeSpan.FromSeconds(stage.Value))}"));
}
