using System.Text.Json;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Synthetic;

namespace CudaTrainer.Bench.Speed;

/// <summary>Whole runs of <c>./cudatrainer</c>.</summary>
internal static class ProgramGoals
{
    private const int Clips = 240, MotionInputs = 348, ManyClips = 4_000;

    /// <param name="dataset">A folder of real clips; clips are drawn if null.</param>
    public static IEnumerable<Goal> Measure(string work, int rounds, string? dataset)
    {
        if (Directory.Exists(work))
        {
            Directory.Delete(work, recursive: true);
        }

        Directory.CreateDirectory(work);
        string clips = dataset ?? DemoClips.Render(new DemoClipOptions
        {
            Directory = Path.Combine(work, "clips"),
            Count = 24,
            UnseenCount = 0,
            IncludeBroken = false,
        }).DatasetDirectory;
        return [.. Small(work), .. Motion(work, clips, rounds, dataset is not null), .. Backbone(work, clips, rounds), Memory(work),
            Threads(rounds)];
    }

    /// <summary>A small model on cached features.</summary>
    private static IEnumerable<Goal> Small(string work)
    {
        string features = Path.Combine(work, "small"), run = Path.Combine(work, "small-run");
        FeatureFolder.Write(features, Clips, 0, MotionInputs);
        MeasuredProgram.Run("train", "--features-dir", features, "--checkpoint-dir", run, "--model", "attention-mil", "--epochs", "60",
            "--batch-size", "16", "--early-stopping-patience", "0", "--device", "cpu", "--quiet");
        using JsonDocument results = Results(run);
        double train = results.RootElement.GetProperty("stages").GetProperty("train").GetDouble();
        double stall = results.RootElement.GetProperty("stall_fraction").GetDouble();
        double saving = results.RootElement.GetProperty("saving_seconds").GetDouble() / train;
        yield return new($"attention-mil on {Clips} clips, batch 16: waiting for data", "≤ 2 % of the epochs", $"{stall:P1}",
            stall <= 0.02);
        yield return new("the same: waiting for checkpoints, best model, Keras file, TensorBoard", "≤ 2 % of training",
            $"{saving:P1} of {train:F1} s, 60 epochs", saving <= 0.02,
            "an epoch is shorter than the files take to be written and flushed to the disk");
    }

    private static IEnumerable<Goal> Motion(string work, string clips, int rounds, bool isReal)
    {
        Seconds extraction = Seconds.Of(Enumerable.Range(0, 3).Select(round =>
        {
            MeasuredProgram run = MeasuredProgram.Run("extract", "--dataset-path", clips, "--stream", "motion", "--cache-dir",
                Path.Combine(work, $"motion-{round}"), "--quiet");
            return run.Seconds;
        }));
        string[] files = [.. Directory.EnumerateFiles(clips, "*", SearchOption.AllDirectories)
            .Where(file => Path.GetExtension(file).ToLowerInvariant() is ".mp4" or ".avi")
            .Order(StringComparer.Ordinal)];
        int count = files.Length;
        yield return new("motion features", "240 real clips ≤ 8 s",
            $"{Report.Number(extraction.Median)} s for {count} {(isReal ? "real" : "drawn")} clips, launch to exit",
            isReal && count >= Clips ? extraction.Median <= 8 : null);
        Seconds predict = Seconds.Of(Enumerable.Range(0, rounds).Select(_ => MeasuredProgram.Run("predict", files[0]).Seconds));
        yield return new("`predict CLIP` with the model of motion, launch to exit", "≤ 0.5 s", $"{Report.Number(predict.Median)} s",
            predict.Median <= 0.5);
    }

    private static IEnumerable<Goal> Backbone(string work, string clips, int rounds)
    {
        string some = Path.Combine(work, "some"), weights = Path.Combine(work, "vgg19.safetensors"), run = Path.Combine(work, "vgg-run");
        PipelineComparison.LinkClips(clips, some, 24);
        OwnBackbone.WriteWeights(weights);
        MeasuredProgram train = MeasuredProgram.Run("train", "--dataset-path", some, "--weights", weights, "--cache-dir",
            Path.Combine(work, "vgg-cache"), "--checkpoint-dir", run, "--preset", "original", "--epochs", "10", "--early-stopping-patience",
            "0", "--device", "cpu", "--quiet");
        yield return new("memory of extraction and training, 24 clips", "≤ 1.0 GB", $"{train.PeakAnonymousBytes / 1e6:F0} MB RssAnon",
            train.PeakAnonymousBytes <= 1e9);
        string clip = Directory.EnumerateFiles(some, "*.*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .First(file => !file.EndsWith(".csv", StringComparison.Ordinal));
        Seconds predict = Seconds.Of(Enumerable.Range(0, rounds).Select(_ =>
            MeasuredProgram.Run("predict", clip, "--checkpoint", run, "--weights", weights).Seconds));
        yield return new("`predict CLIP` with VGG19, 20 frames, launch to exit", "≤ 2 s", $"{Report.Number(predict.Median)} s",
            predict.Median <= 2, "0.8 s for the frames; the rest reads and transforms 0.56 GB of weights");

        string[] parts = [Path.Combine(work, "part-0"), Path.Combine(work, "part-1")];
        foreach (string part in parts)
        {
            PipelineComparison.LinkClips(clips, part, 12);
        }

        double Extract(string part, string cache) => MeasuredProgram.Run("extract", "--dataset-path", part, "--weights", weights,
            "--cache-dir", Path.Combine(work, cache), "--threads", "1", "--workers", "1", "--quiet").Seconds;
        double one = Seconds.Of(Enumerable.Range(0, 3).Select(round => Extract(parts[0], $"one-{round}"))).Median;
        double both = Seconds.Of(Enumerable.Range(0, 3).Select(round =>
        {
            Task<double>[] runs = [.. parts.Select((part, i) => Task.Run(() => Extract(part, $"both-{round}-{i}")))];
            return runs.Max(task => task.Result);
        })).Median;
        yield return new("two processes of extraction with a thread each", "≥ 1.9 × one on two cores", Report.Times(2 * one / both),
            2 * one / both >= 1.9, "both share the memory's bandwidth, and each reads the weights");
    }

    private static Goal Memory(string work)
    {
        string features = Path.Combine(work, "many");
        FeatureFolder.Write(features, ManyClips, 0);
        MeasuredProgram run = MeasuredProgram.Run("train", "--features-dir", features, "--checkpoint-dir", Path.Combine(work, "many-run"),
            "--epochs", "2", "--warmup-epochs", "0", "--early-stopping-patience", "0", "--device", "cpu", "--quiet");
        Directory.Delete(features, recursive: true);
        return new($"memory of training, {ManyClips} clips of 20 × 4096", "≤ 250 MB RssAnon", $"{run.PeakAnonymousBytes / 1e6:F0} MB",
            run.PeakAnonymousBytes <= 250e6);
    }

    /// <summary>The command line's limit, at which a team of more threads than processors would be slower.</summary>
    private static Goal Threads(int rounds)
    {
        int cores = Environment.ProcessorCount;
        float[] features = OwnStep.Features(0);
        using OwnStep own = new(null, cores, features, new long[OwnStep.Batch], 0.5f),
            more = new(null, 4 * cores, features, new long[OwnStep.Batch], 0.5f);
        own.Run(10);
        more.Run(10);
        Seconds[] times = Interleaved.Measure([new("cores", () => own.Run(3)), new("more", () => more.Run(3))], rounds);
        return new($"`--threads {4 * cores}` on {cores} cores", "never slower than at the cores; capped with a word",
            $"capped at {cores} with a word; uncapped a step would take {Report.Times(times[1].Median / times[0].Median)} as long", true);
    }

    private static JsonDocument Results(string run) => JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "training_results.json")));
}
