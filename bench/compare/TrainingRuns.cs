using System.Globalization;

namespace CudaTrainer.Bench.Compare;

/// <summary>Whole runs of <c>train</c> on cached features: the epoch, the wait for data, memory, and how soon it starts.</summary>
internal static class TrainingRuns
{
    private const int Clips = 10_000;

    public static void Run(Report report, string work, int rounds)
    {
        report.Heading("Training on cached features");
        var rows = new List<IReadOnlyList<string>>();
        foreach ((string what, double zeros) in ((string, double)[])[("dense features", 0), ("75 % zeros", 0.75)])
        {
            string features = Path.Combine(work, "features");
            FeatureFolder.Write(features, Clips, zeros);
            MeasuredProgram run = Train(features, work, epochs: rounds);
            EpochTimes[] epochs = Epochs(work);
            Seconds seconds = Seconds.Of(epochs.Select(epoch => epoch.Seconds)),
                stall = Seconds.Of(epochs.Select(epoch => epoch.StallSeconds / epoch.Seconds));
            rows.Add([$"epoch over {Clips} × 20 × 4096, {what}", $"{seconds.Best:F2} / {seconds.Median:F2} s"]);
            rows.Add([$"waiting for data, {what}", $"{stall.Best:P2} / {stall.Median:P2}"]);
            rows.Add([$"peak RssAnon, {Clips} clips (3.3 GB), {what}", Megabytes(run)]);
            Directory.Delete(features, recursive: true);
        }

        string small = Path.Combine(work, "small");
        FeatureFolder.Write(small, 1000, 0);
        rows.Add(["peak RssAnon, 1000 clips (0.3 GB), dense features", Megabytes(Train(small, work, 2))]);
        FeatureFolder.Write(small, 64, 0);
        Seconds oneStep = Seconds.Of(Enumerable.Range(0, rounds).Select(_ => Train(small, work, 1).Seconds));
        rows.Add(["`train` of one step on 64 clips, launch to exit (validation and checkpoints included)",
            $"{oneStep.Best:F2} / {oneStep.Median:F2} s"]);
        Seconds help = Seconds.Of(Enumerable.Range(0, 3 * rounds).Select(_ => MeasuredProgram.Run("--help").Seconds));
        rows.Add(["`cudatrainer --help`", $"{help.Best * 1e3:F0} / {help.Median * 1e3:F0} ms"]);
        rows.Add(["GC heap allocated by a training step", $"{OwnStep.AllocatedPerStep():F0} bytes"]);
        report.Table(["what", "best / median"], rows);
    }

    /// <summary>Seconds of the second epoch of a run.</summary>
    public static double EpochSeconds(string features, string work)
    {
        Train(features, work, 2);
        return Epochs(work)[1].Seconds;
    }

    private static string Megabytes(MeasuredProgram run) => $"{run.PeakAnonymousBytes / 1e6:F0} MB";

    private static MeasuredProgram Train(string features, string work, int epochs) => MeasuredProgram.Run(
        "train", "--features-dir", features, "--checkpoint-dir", Path.Combine(work, "run"), "--overwrite", "--epochs",
        epochs.ToString(CultureInfo.InvariantCulture), "--warmup-epochs", "0",
        "--early-stopping-patience", "0", "--device", "cpu", "--quiet");

    private static EpochTimes[] Epochs(string work)
    {
        string[] lines = File.ReadAllLines(Path.Combine(work, "run", "training_history.csv"));
        string[] header = lines[0].Split(',');
        int seconds = Array.IndexOf(header, "seconds"), stall = Array.IndexOf(header, "stall_seconds");
        return [.. lines.Skip(1).Select(line => line.Split(','))
            .Select(cells => new EpochTimes(Number(cells[seconds]), Number(cells[stall])))];

        static double Number(string cell) => double.Parse(cell, CultureInfo.InvariantCulture);
    }

    private readonly record struct EpochTimes(double Seconds, double StallSeconds);
}
