using CudaTrainer.Bench.Compare;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Speed;

/// <summary>The default classifier's step, dense and with three quarters of zeros, in both precisions, against PyTorch's.</summary>
internal static class StepGoals
{
    private const int StepsPerRound = 3, WarmSteps = 30, LossSteps = 20;

    public static IEnumerable<Goal> Measure(string work, int rounds)
    {
        using var all = new ThreadTeam(Environment.ProcessorCount);
        double bound = OwnStep.Operations / 1e9 / FmaPeak.Measure(all).Best;
        using var one = new ThreadTeam(1);
        double boundOfOne = OwnStep.Operations / 1e9 / FmaPeak.Measure(one).Best;
        return [.. Of(work, 0, rounds, bound, boundOfOne), .. Of(work, 0.75, rounds, bound, boundOfOne)];
    }

    private static List<Goal> Of(string work, double zeros, int rounds, double bound, double boundOfOne)
    {
        var steps = new TorchSteps(Path.Combine(work, zeros == 0 ? "dense" : "sparse"), "lstm-attention", OwnStep.Batch, OwnStep.Inputs,
            zeros);
        steps.Write();
        using OwnStep single = steps.Own(0), half = steps.Own(0, mixed: true), alone = steps.Own(1);
        List<Contestant> contestants = [];
        foreach (OwnStep own in (OwnStep[])[single, half, alone])
        {
            own.Run(WarmSteps);
            contestants.Add(new("ours", () => own.Run(StepsPerRound)));
        }

        List<Peer> peers = [];
        string missing = "";
        foreach (string precision in zeros == 0 ? (string[])["fp32", "autocast", "bf16"] : ["fp32"])
        {
            if (steps.Start(precision, out missing) is { } peer)
            {
                peers.Add(peer);
                peer.Ask($"run {WarmSteps / 3}");
                contestants.Add(new(peer.Version, () => peer.Ask($"run {StepsPerRound}")[0]));
            }
        }

        double[] times = [.. Interleaved.Measure(contestants, rounds).Select(time => time.Median)];
        peers.ForEach(peer => peer.Dispose());
        string ours = $"fp32 {Ms(times[0])}, bf16 {Ms(times[1])}, fp32 by one thread {Ms(times[2])}";
        string torch = peers.Count == 0
            ? $"PyTorch skipped: {missing}"
            : string.Join(", ", peers.Select((peer, i) => $"{peer.Version} {Ms(times[3 + i])}"));
        double? fp32 = peers.Count == 0 ? null : times[3];
        if (zeros > 0)
        {
            return
            [
                new("training step, 75 % zeros, fp32", "≥ 3.5 × PyTorch fp32", $"{Ratio(fp32 / times[0])} ({ours}; {torch})",
                    fp32 / times[0] >= 3.5),
                new("training step, 75 % zeros, bf16", "≥ 4 × PyTorch fp32", Ratio(fp32 / times[1]), fp32 / times[1] >= 4),
            ];
        }

        double? bf16 = peers.Count < 3 ? null : Math.Min(times[4], times[5]);
        double loss = LossDifference(steps);
        return
        [
            new("dense training step, batch 64 × 20 × 4096, bf16", "≥ 2.5 × PyTorch fp32",
                $"{Ratio(fp32 / times[1])} ({ours}; {torch})", fp32 / times[1] >= 2.5),
            new("the same", "≥ 1.3 × PyTorch bf16, the faster way", Ratio(bf16 / times[1]), bf16 / times[1] >= 1.3),
            new($"losses of {LossSteps} steps in bf16", "within 2e-2 of fp32", $"{loss:E1} of the first loss", loss <= 2e-2),
            new("dense training step, fp32", "≤ 1.3 × the FMA bound",
                $"{Ratio(times[0] / bound)} (bound {Ms(bound)}; PyTorch {Ratio(fp32 / bound)})", times[0] <= 1.3 * bound),
            new("the same", "two threads ≥ 1.85 × one",
                $"{Ratio(times[2] / times[0])} (multiply-adds on registers alone {Ratio(boundOfOne / bound)})",
                times[2] / times[0] >= 1.85),
        ];
    }

    private static double LossDifference(TorchSteps steps)
    {
        using OwnStep single = steps.Own(0, dropout: 0), half = steps.Own(0, mixed: true, dropout: 0);
        double[] a = single.Losses(LossSteps), b = half.Losses(LossSteps);
        return a.Zip(b, (x, y) => Math.Abs(x - y)).Max() / a[0];
    }

    private static string Ms(double seconds) => $"{Report.Number(seconds * 1e3)} ms";

    private static string Ratio(double? ratio) => ratio is { } r ? Report.Times(r) : "–";
}
