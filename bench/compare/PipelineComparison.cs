using System.Globalization;
using System.Text.Json;
using CudaTrainer.Synthetic;

namespace CudaTrainer.Bench.Compare;

/// <summary>
/// From raw clips to a trained model, against a plain Python program of OpenCV and PyTorch with the same frames, weights and model.
/// </summary>
internal static class PipelineComparison
{
    private const int Epochs = 10;

    public static void Run(Report report, string work, string? dataset, int clips)
    {
        string folder = Path.Combine(work, "clips");
        if (Directory.Exists(work))
        {
            Directory.Delete(work, recursive: true);
        }

        Directory.CreateDirectory(folder);
        string source = dataset is null ? "made-up clips" : Path.GetFileName(dataset);
        if (dataset is null)
        {
            folder = DemoClips.Render(new DemoClipOptions { Directory = folder, Count = clips, UnseenCount = 0, IncludeBroken = false })
                .DatasetDirectory;
        }
        else
        {
            LinkClips(dataset, folder, clips);
        }

        string weights = Path.Combine(work, "vgg19.safetensors");
        OwnBackbone.WriteWeights(weights);
        string run = Path.Combine(work, "run");
        MeasuredProgram own = MeasuredProgram.Run(
            "train", "--dataset-path", folder, "--weights", weights, "--cache-dir", Path.Combine(work, "cache"), "--checkpoint-dir", run,
            "--epochs", Epochs.ToString(CultureInfo.InvariantCulture),
            "--early-stopping-patience", "0", "--device", "cpu", "--quiet");
        using JsonDocument results = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "training_results.json")));
        var stages = results.RootElement.GetProperty("stages").EnumerateObject()
            .ToDictionary(stage => stage.Name, stage => stage.Value.GetDouble());
        report.Heading("From raw clips to a trained model");
        int found = Directory.EnumerateFiles(folder, "*.*", SearchOption.AllDirectories)
            .Count(file => !file.EndsWith(".csv", StringComparison.Ordinal));
        using Peer? python = Peers.StartPython("pipeline_torch.py", out string reason, folder, weights,
            Epochs.ToString(CultureInfo.InvariantCulture));
        double[] theirs = python?.Ask("run") ?? [];
        report.Paragraph(
            $"{found} clips ({source}), 20 frames each, {Epochs} epochs, one run each. {(python is null ? $"Python skipped: {reason}." : $"The Python program is {python.Version}.")} Extraction decodes and computes at the same time "
            + $"in ours, one after the other in Python. Peak RssAnon of ours: {own.PeakAnonymousBytes / 1e6:F0} MB.");
        double ownExtract = stages["extract"], ownTrain = stages["train"];
        report.Table(
            ["stage", "CudaTrainer, s", "Python, s", "ours is faster by"],
            [
                Row("decode and features", ownExtract, python is null ? null : theirs[0] + theirs[1]),
                Row("of that decoding", null, python is null ? null : theirs[0]),
                Row($"training, {Epochs} epochs", ownTrain, python is null ? null : theirs[2]),
                Row("all, launch to exit", own.Seconds, python is null ? null : theirs[3]),
            ]);

        static IReadOnlyList<string> Row(string stage, double? ours, double? others) =>
        [
            stage, ours is { } o ? Report.Number(o) : "–", others is { } t ? Report.Number(t) : "–", ours is { } a && others is { } b ? Report.Times(b / a) : "–",
        ];
    }

    /// <summary>Evenly chosen clips of each class, as links, with the sources file if there is one.</summary>
    internal static void LinkClips(string dataset, string folder, int clips)
    {
        string[] classes = [.. Directory.GetDirectories(dataset).Order(StringComparer.Ordinal)];
        foreach (string label in classes)
        {
            string target = Path.Combine(folder, Path.GetFileName(label));
            Directory.CreateDirectory(target);
            string[] files = [.. Directory.GetFiles(label).Order(StringComparer.Ordinal)];
            int wanted = Math.Min(files.Length, clips / classes.Length);
            for (int i = 0; i < wanted; i++)
            {
                string file = files[i * files.Length / wanted];
                File.CreateSymbolicLink(Path.Combine(target, Path.GetFileName(file)), file);
            }
        }
    }
}
