using System.Diagnostics;
using CudaTrainer.Bench.Compare;

namespace CudaTrainer.Bench.Speed;

/// <summary>Steps of models so small that what happens between the sums counts.</summary>
internal static class SmallModelGoals
{
    private const int Inputs = 348, StepsPerRound = 40, WarmSteps = 150;

    /// <summary>Seconds until it is settled how many threads steps take.</summary>
    private const double Warm = 3;

    public static IEnumerable<Goal> Measure(string work, int rounds)
    {
        foreach (string model in (string[])["frame-mlp", "attention-mil", "simple-lstm"])
        {
            foreach (int batch in (int[])[16, 64])
            {
                var steps = new TorchSteps(Path.Combine(work, $"{model}-{batch}"), model, batch, Inputs, zeros: 0);
                steps.Write();
                using Peer? torch = steps.Start("fp32", out string missing);
                using OwnStep own = steps.Own(0);
                for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalSeconds < Warm;)
                {
                    own.Run(StepsPerRound);
                }

                List<Contestant> contestants = [new("ours", () => own.Run(StepsPerRound))];
                if (torch is not null)
                {
                    torch.Ask($"run {WarmSteps}");
                    contestants.Add(new("torch", () => torch.Ask($"run {StepsPerRound}")[0]));
                }

                Seconds[] times = Interleaved.Measure(contestants, rounds);
                string threads = own.Threads == 1 ? "one thread" : $"{own.Threads} threads";
                string ours = $"{Report.Number(times[0].Median * 1e6)} µs by {threads}";
                double ratio = torch is null ? double.NaN : times[1].Median / times[0].Median;
                yield return new($"{model}, batch {batch}, {Inputs} motion features", "≥ 2 × PyTorch", torch is null
                    ? $"{ours}; PyTorch skipped: {missing}"
                    : $"{Report.Times(ratio)} ({ours}; {torch.Version} {Report.Number(times[1].Median * 1e6)} µs)",
                    torch is null ? null : ratio >= 2);
            }
        }
    }
}
