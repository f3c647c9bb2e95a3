using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Engine.Backends.Cpu;
using CudaTrainer.Engine.Formats;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Training;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Compare;

/// <summary>A whole training step of the default classifier against PyTorch: same weights and batch, losses of the first steps compared before anything is timed.</summary>
internal static class StepComparison
{
    public const int Batch = 64;
    public const int Time = 20;
    public const int Inputs = Vgg19.Features;

    private const int CheckedSteps = 5;
    private const int StepsPerRound = 3;
    private const double Tolerance = 1e-4;

    /// <summary>The multiplications of lstm_1's input product, forward and for the weight gradient: all other layers together are 3 % of that.</summary>
    private const double InputProductOperations = 2 * 2.0 * Batch * Time * Inputs * 4 * 128;

    public static void Run(Report report, string work, int rounds)
    {
        report.Heading("Training step of lstm-attention, batch 64 × 20 × 4096");
        using var team = new ThreadTeam(Environment.ProcessorCount);
        var (peak, medianPeak) = FmaPeak.Measure(team);
        double bound = InputProductOperations / 1e9 / peak;
        report.Paragraph($"Seconds of a step, best / median of {rounds} interleaved rounds of {StepsPerRound} steps. The multiplications of lstm_1's input product alone take {bound * 1e3:F1} ms at the FMA peak measured now ({peak:F0} GFLOP/s best, {medianPeak:F0} median).");
        var rows = new List<IReadOnlyList<string>>();
        var scaling = new List<IReadOnlyList<string>>();
        foreach (var (what, zeros, goal) in ((string, double, double)[])[("dense features", 0, 2.5), ("75 % zeros", 0.75, 5)])
        {
            Compare(work, what, zeros, goal, rounds, bound, rows, scaling);
        }

        report.Table(["features", "engine", "ms best / median", "ours is faster by (medians)", "goal", "of the dense FMA bound (best)"], rows);
        report.Paragraph("By SIMD level; goal of the scaling: ≥ 1.7 × on two cores.");
        report.Table(["features", "level", "1 thread, ms best / median", $"{Environment.ProcessorCount} threads", "scaling best / median"], scaling);
    }

    private static void Compare(
        string work, string what, double zeros, double goal, int rounds, double bound, List<IReadOnlyList<string>> rows, List<IReadOnlyList<string>> scaling)
    {
        string folder = Path.Combine(work, zeros == 0 ? "dense" : "sparse");
        Directory.CreateDirectory(folder);
        float[] features = Features(zeros);
        long[] labels = [.. Enumerable.Range(0, Batch).Select(i => (long)(i * 7 % 3 % 2))];
        NpyFile.Write<float>(Path.Combine(folder, "features.npy"), features, Batch, Time, Inputs);
        NpyFile.Write<long>(Path.Combine(folder, "labels.npy"), labels, Batch);
        using (var check = new Ours(null, 0, features, labels, dropout: 0))
        {
            check.SaveParameters(Path.Combine(folder, "initial.safetensors"));
            using Peer? torch = Peers.StartPython("lstm_step_torch.py", out string reason, folder, Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture));
            using var ours = new Ours(null, 0, features, labels, dropout: 0.5f);
            List<Contestant> contestants = [new("ours", () => ours.Run(StepsPerRound))];
            if (torch is not null)
            {
                RequireEqual(check.Losses(CheckedSteps), torch.Ask($"losses {CheckedSteps}"), torch.Version);
                contestants.Add(new("torch", () => torch.Ask($"run {StepsPerRound}")[0]));
            }

            Seconds[] times = Interleaved.Measure(contestants, rounds);
            rows.Add([what, "CudaTrainer", Milliseconds(times[0]), string.Empty, string.Empty, Report.Times(times[0].Best / bound)]);
            rows.Add(torch is null
                ? [what, "PyTorch", $"skipped: {reason}", string.Empty, string.Empty, string.Empty]
                : [what, torch.Version, Milliseconds(times[1]), Report.Times(times[1].Median / times[0].Median), $"≥ {Report.Times(goal)}", Report.Times(times[1].Best / bound)]);
        }

        foreach (SimdLevel level in SimdSelection.Available)
        {
            using var all = new Ours(level, 0, features, labels, 0.5f);
            using var one = new Ours(level, 1, features, labels, 0.5f);
            Seconds[] times = Interleaved.Measure([new("all", () => all.Run(StepsPerRound)), new("one", () => one.Run(StepsPerRound))], rounds);
            scaling.Add(
                [what, CpuDevice.LevelName(level), Milliseconds(times[1]), Milliseconds(times[0]), $"{Report.Times(times[1].Best / times[0].Best)} / {Report.Times(times[1].Median / times[0].Median)}"]);
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

    /// <summary>Standardised numbers, or what a ReLU leaves of numbers shifted so far that the given part becomes zero.</summary>
    private static float[] Features(double zeros)
    {
        var random = new Random(17);
        float[] values = new float[Batch * Time * Inputs];
        for (int i = 0; i < values.Length; i++)
        {
            // The sum of four uniform numbers is close enough to a normal one, and much faster.
            float normal = (random.NextSingle() + random.NextSingle() + random.NextSingle() + random.NextSingle() - 2) * 1.732f;
            values[i] = zeros == 0 ? normal : random.NextSingle() < zeros ? 0 : Math.Abs(normal);
        }

        return values;
    }

    /// <summary>The engine's own step with the command line's defaults, at a small learning rate so that the losses stay comparable.</summary>
    private sealed class Ours : IDisposable
    {
        private const double Rate = 1e-4;

        private readonly CpuDevice _device;
        private readonly Learner _learner;
        private readonly HostBatch _batch;

        public Ours(SimdLevel? level, int threads, float[] features, long[] labels, float dropout)
        {
            _device = new CpuDevice(threads, level: level);
            Classifier model = Classifiers.Create("lstm-attention", new ClassifierOptions(Inputs, dropout));
            _learner = new Learner(_device, model, new LearnerOptions(new LossOptions(true, 2, 0.1f), [1, 1], [0.25f, 0.25f], new AdamOptions(), MixedPrecision: false, Seed: 42));
            _learner.Parameters.Initialize(42);
            _batch = new HostBatch(_device, Batch, (long)Time * Inputs * sizeof(float)) { Count = Batch };
            unsafe
            {
                features.CopyTo(new Span<float>((void*)_batch.Features.Pointer, features.Length));
            }

            for (int i = 0; i < Batch; i++)
            {
                _batch.Labels[i] = (int)labels[i];
            }
        }

        public double Run(int steps)
        {
            long began = Stopwatch.GetTimestamp();
            for (int i = 0; i < steps; i++)
            {
                _learner.Train(_batch, Rate);
            }

            return Stopwatch.GetElapsedTime(began).TotalSeconds / steps;
        }

        public double[] Losses(int steps) => [.. Enumerable.Range(0, steps).Select(_ => _learner.Train(_batch, Rate).Loss)];

        public void SaveParameters(string path) => SafetensorsWriter.Write(path, _learner.Parameters.State.Select(parameter =>
            NamedTensor.Of<float>(parameter.Name, parameter.Value.Read<float>(), WeightFile.Lengths(parameter.Shape))));

        public void Dispose()
        {
            _batch.Dispose();
            _learner.Dispose();
            _device.Dispose();
        }
    }
}
