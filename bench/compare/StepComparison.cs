using System.Globalization;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Compare;

/// <summary>
/// A whole training step of the default classifier against PyTorch: same weights and batch, losses of the first steps compared before
/// anything is timed.
/// </summary>
internal static class StepComparison
{
    private const int CheckedSteps = 5;
    private const int StepsPerRound = 3;

    /// <summary>Steps before the first round: until then the runtime still compiles in the background.</summary>
    private const int WarmSteps = 30;

    private const double Tolerance = 1e-4;

    public static void Run(Report report, string work, int rounds)
    {
        report.Heading("Training step of lstm-attention, batch 64 × 20 × 4096");
        using var team = new ThreadTeam(Environment.ProcessorCount);
        (double peak, double medianPeak) = FmaPeak.Measure(team);
        double bound = OwnStep.Operations / 1e9 / peak;
        report.Paragraph(
            $"Milliseconds of a step, best / median of {rounds} interleaved rounds of {StepsPerRound} steps, each after one that does " +
                $"not count. The {OwnStep.Operations / 1e9:F1} GFLOP of the recurrent layers' products take {bound * 1e3:F1} ms at the " +
                $"FMA "
            + $"peak measured now ({peak:F0} GFLOP/s best, {medianPeak:F0} median): no engine that multiplies them all in single precision can be faster.");
        var rows = new List<IReadOnlyList<string>>();
        var scaling = new List<IReadOnlyList<string>>();
        foreach ((string what, double zeros) in ((string, double)[])[("dense features", 0), ("75 % zeros", 0.75)])
        {
            Compare(work, what, zeros, rounds, bound, rows, scaling);
        }

        report.Table(["features", "engine", "ms best / median", "ours is faster by (medians)", "of the dense FMA bound (best)"], rows);
        report.Paragraph("By SIMD level.");
        report.Table(["features", "level", "1 thread, ms best / median", $"{Environment.ProcessorCount} threads", "scaling best / median"],
            scaling);
    }

    private static void Compare(
        string work, string what, double zeros, int rounds, double bound, List<IReadOnlyList<string>> rows,
        List<IReadOnlyList<string>> scaling)
    {
        string folder = Path.Combine(work, zeros == 0 ? "dense" : "sparse");
        Directory.CreateDirectory(folder);
        float[] features = OwnStep.Features(zeros);
        long[] labels = [.. Enumerable.Range(0, OwnStep.Batch).Select(i => (long)(i * 7 % 3 % 2))];
        NpyFile.Write<float>(Path.Combine(folder, "features.npy"), features, OwnStep.Batch, OwnStep.Time, OwnStep.Inputs);
        NpyFile.Write<long>(Path.Combine(folder, "labels.npy"), labels, OwnStep.Batch);
        using (var check = new OwnStep(null, 0, features, labels, dropout: 0))
        {
            check.SaveParameters(Path.Combine(folder, "initial.safetensors"));
            using Peer? torch = Peers.StartPython("step_torch.py", out string reason, folder,
                Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture));
            using var ours = new OwnStep(null, 0, features, labels, dropout: 0.5f);
            ours.Run(WarmSteps);
            List<Contestant> contestants = [new("ours", () => ours.Run(StepsPerRound))];
            if (torch is not null)
            {
                RequireEqual(check.Losses(CheckedSteps), torch.Ask($"losses {CheckedSteps}"), torch.Version);
                torch.Ask($"run {WarmSteps}");
                contestants.Add(new("torch", () => torch.Ask($"run {StepsPerRound}")[0]));
            }

            Seconds[] times = Interleaved.Measure(contestants, rounds);
            rows.Add([what, "CudaTrainer", Milliseconds(times[0]), string.Empty, Report.Times(times[0].Best / bound)]);
            rows.Add(torch is null
                ? [what, "PyTorch", $"skipped: {reason}", string.Empty, string.Empty]
                : [what, torch.Version, Milliseconds(times[1]), Report.Times(times[1].Median / times[0].Median),
                    Report.Times(times[1].Best / bound)]);
        }

        foreach (SimdLevel level in SimdSelection.Available)
        {
            using var all = new OwnStep(level, 0, features, labels, 0.5f);
            using var one = new OwnStep(level, 1, features, labels, 0.5f);
            all.Run(WarmSteps);
            one.Run(WarmSteps);
            Seconds[] times = Interleaved.Measure([new("all", () => all.Run(StepsPerRound)), new("one", () => one.Run(StepsPerRound))],
                rounds);
            scaling.Add(
                [what, CpuDevice.LevelName(level), Milliseconds(times[1]), Milliseconds(times[0]),
                    $"{Report.Times(times[1].Best / times[0].Best)} / {Report.Times(times[1].Median / times[0].Median)}"]);
        }
    }

    private static string Milliseconds(Seconds time) => $"{Report.Number(time.Best * 1e3)} / {Report.Number(time.Median * 1e3)}";

    private static void RequireEqual(double[] own, double[] theirs, string version)
    {
        double worst = own.Zip(theirs, (a, b) => Math.Abs(a - b) / Math.Abs(b)).Max();
        Console.WriteLine($"check: losses of {own.Length} steps differ from {version} by at most {worst:E1}");
        if (!(worst < Tolerance))
        {
            throw new InvalidOperationException("The losses differ; not worth timing.");
        }
    }
}
