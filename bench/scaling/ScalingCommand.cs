using System.Globalization;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Bench.Scaling;

/// <summary>
/// <c>bench scaling</c>: what all-reduces, the communication of training steps, and replicas cost on this machine, as Markdown in
/// bench/results/scaling.md.
/// </summary>
internal static class ScalingCommand
{
    private const int Steps = 6;

    private const int Frames = 8;

    /// <summary>Of a loss between runs with as many replicas, whose sums are taken in other orders.</summary>
    private const double LossTolerance = 1e-5;

    private static readonly string[] Shared = [];

    private static readonly string[] Tcp = ["--mca", "btl", "tcp,self"];

    /// <param name="rounds">Of the steps, each of which starts every process once; all-reduces and frames have half as many.</param>
    /// <returns>The exit code.</returns>
    public static int Run(int rounds, string output)
    {
        var report = new Report();
        report.Paragraph("# What communication costs");
        report.Paragraph(
            $"Made by `scripts/bench.sh scaling` on {DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}: " +
                $"{Comparison.Machine()}, {Environment.ProcessorCount} cores, SIMD level {SimdSelection.Current}, "
            + $".NET {Environment.Version}, {(MpiWorld.IsAvailable ? MpiWorld.InstalledVersion : "no MPI")}. Medians of {rounds} rounds (all-reduces and frames: {Fewer(rounds)}); in each round every program is started once, in turn, and never two at a time. "
            + $"Load average before the first round: {LoadAverage()} (0 = the machine had nothing else to do). "
            + "Every sum is compared with the right one on every replica before it is timed. No network and no GPU: processes share the cores, the caches and the memory's bandwidth of one machine, and have to change turns where there are more of them than cores.");
        if (Launch.WhyNoMpi is { } missing)
        {
            report.Paragraph($"**Rows with several processes are missing: {missing}.**");
        }

        Dictionary<string, RingCost> costs = AllReduces(report, Fewer(rounds));
        report.Save(output);
        TrainingSteps(report, rounds, costs);
        report.Save(output);
        Extraction(report, Fewer(rounds));
        report.Save(output);
        Console.WriteLine($"written: {output}");
        return 0;
    }

    /// <summary>What each of the processes that <see cref="Launch"/> starts does.</summary>
    public static int RunRank(ReadOnlySpan<string> arguments)
    {
        switch (arguments[0])
        {
            case "mpi":
                AllReduceTimes.RunMpi();
                return 0;
            case "host":
                AllReduceTimes.RunHost(Integer(arguments[1]));
                return 0;
            case "steps":
                StepTimes.Run(Integer(arguments[1]), Integer(arguments[2]), Integer(arguments[3]));
                return 0;
            case "frames":
                FrameTimes.Run(Integer(arguments[1]), Integer(arguments[2]));
                return 0;
            default:
                return 2;
        }
    }

    private static int Fewer(int rounds) => (rounds + 1) / 2;

    private static string LoadAverage() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    private static int Integer(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    /// <returns>The fitted costs by way and wire.</returns>
    private static Dictionary<string, RingCost> AllReduces(Report report, int rounds)
    {
        List<(string Name, int Ranks, Func<Answer[]> Run)> ways = [("two devices in one process", 2, () => Launch.Alone("host", "2"))];
        string? peer = null;
        string peerReason = "there is no mpirun";
        if (Launch.WhyNoMpi is null)
        {
            peer = Launch.BuildPeer(out peerReason);
            string[] sizes = [.. AllReduceTimes.Sizes.SelectMany(bytes => new[] { $"{bytes}", $"{AllReduceTimes.Repetitions(bytes)}" })];
            foreach (int ranks in new[] { 2, 4 })
            {
                Add(ranks, "shared memory", Shared, sizes);
                if (Launch.IsOpenMpi)
                {
                    Add(ranks, "TCP on loopback", Tcp, sizes);
                }
            }
        }

        // By way, size and wire.
        var times = new Dictionary<(string Way, string What, int Bytes, string Wire), List<double>>();
        for (int round = 0; round < rounds; round++)
        {
            foreach ((string name, _, Func<Answer[]> run) in ways)
            {
                Console.Error.WriteLine($"all-reduce, round {round + 1} of {rounds}: {name}");
                foreach (Answer answer in run())
                {
                    (string, string What, int, string) key =
                        (answer.What == "memcpy" ? string.Empty : name, answer.What, Integer(answer.Fields[0]), answer.Fields[1]);
                    (times.TryGetValue(key, out List<double>? list) ? list : times[key] = []).Add(answer.Number(2));
                }
            }
        }

        report.Heading("All-reduces");
        report.Paragraph(
            "µs of one all-reduce of an array of so many bytes in single precision, on all replicas, of several that follow one " +
                "another. Half: numbers travel in half precision and are added in single. Copy: one thread copies as many bytes, "
            + "alone; two replicas have to receive so much each. MPI: MPI_Allreduce of the same library by a C program (half precision is not a type of MPI's). Model: by the α and β further down. One thread a replica."
            + (peer is null ? $" **MPI's own is missing: {peerReason}.**" : string.Empty));
        var costs = new Dictionary<string, RingCost>();
        List<string[]> fits = [];
        foreach ((string name, int ranks, _) in ways.Where(way => !IsPeer(way.Name)))
        {
            foreach (string wire in new[] { "fp32", "fp16" })
            {
                int divisor = wire == "fp16" ? 2 : 1;
                (int ranks, double, double Value)[] points = AllReduceTimes.Sizes.Select(
                    bytes => (ranks, (double)bytes / divisor, Median(name, "allreduce", bytes, wire)!.Value)).ToArray();
                RingCost cost = RingCost.Fit(points);
                costs[name + wire] = cost;
                double[] ratios = [.. points.Select(point => point.Item3 / cost.AllReduce(ranks, point.Item2))];
                fits.Add([$"{name}, {wire}", Report.Number(cost.Alpha * 1e6), Report.Number(cost.Beta * 1e9),
                    Report.Number(1e-9 / cost.Beta), $"{Report.Number(ratios.Min())} to {Report.Number(ratios.Max())}"]);
            }

            bool hasPeer = peer is not null && ways.Any(way => way.Name == PeerOf(name));
            report.Line($"\n### {char.ToUpperInvariant(name[0])}{name[1..]}\n");
            report.Table(
                ["bytes", "fp32", "half", "copy", .. hasPeer ? ["MPI"] : Array.Empty<string>(), "fp32 / copy",
                    .. hasPeer ? ["fp32 / MPI"] : Array.Empty<string>(), "model fp32", "fp32 / model"],
                AllReduceTimes.Sizes.Select(bytes =>
                {
                    double single = Median(name, "allreduce", bytes, "fp32")!.Value,
                        half = Median(name, "allreduce", bytes, "fp16")!.Value, copy = Median(string.Empty, "memcpy", bytes, "-")!.Value;
                    double model = costs[name + "fp32"].AllReduce(ranks, bytes);
                    double? theirs = Median(PeerOf(name), "allreduce", bytes, "fp32");
                    return (string[])[
                        bytes.ToString("N0", CultureInfo.InvariantCulture), Micro(single), Micro(half), Micro(copy),
                        .. theirs is { } t ? [Micro(t)] : Array.Empty<string>(), Report.Number(single / copy),
                        .. theirs is { } u ? [Report.Number(single / u)] : Array.Empty<string>(), Micro(model),
                            Report.Number(single / model)];
                }));
        }

        report.Line("\n### α and β\n");
        report.Paragraph(
            "Of 2(R − 1)(α + nβ/R), n being the bytes on the wire, by least squares of the relative errors over all sizes. One α and " +
                "one β cannot fit caches of three sizes, two protocols of MPI and, with four processes, the "
            + "scheduler: the last column says how far off they are.");
        report.Table(["way", "α, µs", "β, ns a byte", "1/β, GB/s", "measured / model"], fits);
        return costs;

        void Add(int ranks, string by, string[] options, string[] sizes)
        {
            string name = $"{ranks} processes by {by}";
            ways.Add((name, ranks, () => Launch.Mpi(ranks, options, "mpi")));
            if (peer is not null)
            {
                ways.Add((PeerOf(name), ranks, () => Launch.MpiProgram(ranks, options, peer, sizes)));
            }
        }

        double? Median(string way, string what, int bytes, string wire) =>
            times.TryGetValue((way, what, bytes, wire), out List<double>? list) ? Seconds.Of(list).Median : null;
    }

    private static void TrainingSteps(Report report, int rounds, Dictionary<string, RingCost> costs)
    {
        List<(string Name, string Way, int Replicas, Func<Answer[]> Run)> ways =
        [
            ("1 process, 1 thread", string.Empty, 1, () => Launch.Alone("steps", "1", "1", $"{Steps}")),
            ("1 process, 2 threads", string.Empty, 1, () => Launch.Alone("steps", "1", "2", $"{Steps}")),
            ("1 process, cpu:2", "two devices in one process", 2, () => Launch.Alone("steps", "2", "1", $"{Steps}")),
        ];
        if (Launch.WhyNoMpi is null)
        {
            ways.Add(("2 processes, 1 thread each", "2 processes by shared memory", 2,
                () => Launch.Mpi(2, Shared, "steps", "1", "1", $"{Steps}")));
            ways.Add(("4 processes, 1 thread each", "4 processes by shared memory", 4,
                () => Launch.Mpi(4, Shared, "steps", "1", "1", $"{Steps}")));
        }

        var answers = new Dictionary<(string Way, string Wire), List<Answer>>();
        for (int round = 0; round < rounds; round++)
        {
            foreach ((string name, _, _, Func<Answer[]> run) in ways)
            {
                Console.Error.WriteLine($"steps, round {round + 1} of {rounds}: {name}");
                foreach (Answer answer in run())
                {
                    (answers.TryGetValue((name, answer.Fields[0]), out List<Answer>? list) ? list : answers[(name, answer.Fields[0])] = [])
                        .Add(answer);
                }
            }
        }

        foreach (IGrouping<int, (string Name, string Way, int Replicas, Func<Answer[]> Run)> sameReplicas
            in ways.GroupBy(way => way.Replicas))
        {
            double[] losses = [.. sameReplicas.SelectMany(way => answers.Where(pair => pair.Key.Way == way.Name))
                .SelectMany(pair => pair.Value).Select(answer => answer.Number(7))];
            if (losses.Max() - losses.Min() > LossTolerance * losses.Min())
            {
                throw new WrongResultException(
                    $"losses with {sameReplicas.Key} replicas reach from {losses.Min():G9} to {losses.Max():G9}");
            }
        }

        report.Heading("Communication of a training step");
        report.Paragraph(
            "lstm-attention, batch 64 in all, 20 frames of 4096 features, random. Replicas were compared bit by bit after the steps, " +
                "and the first loss of runs with as many replicas to five digits. Of rank 0, for a step: bytes and messages (of the "
            + "gradients, the running statistics and the loss together), time from the moment that gradients were ready to their sums, waiting for the slower replica included, and how much of it passed beside computing. "
            + "Model: messages · α + bytes · β by the fit above, which knows nothing of waiting for the slower replica.");
        report.Table(
            ["replicas", "MB", "messages", "all-reduces", "ms", "of the step", "beside computing", "model, ms"],
            ways.Where(way => way.Replicas > 1).SelectMany(way => new[] { "fp32", "fp16" }.Select(wire =>
            {
                Answer any = answers[(way.Name, wire)][0];
                double step = Median(way.Name, wire, 1), communication = Median(way.Name, wire, 5), exposed = Median(way.Name, wire, 6);
                RingCost cost = costs[way.Way + wire];
                return (string[])[
                    $"{way.Name}, {wire}", Report.Number(any.Number(4) / 1e6), Report.Number(any.Number(3)), Report.Number(any.Number(2)),
                    Report.Number(communication * 1e3), $"{100 * communication / step:F1} %",
                    $"{100 * (1 - (exposed / communication)):F0} %",
                        Report.Number(((any.Number(3) * cost.Alpha) + (any.Number(4) * cost.Beta)) * 1e3)];
            })));

        report.Heading("The same batch on replicas");
        report.Paragraph(
            "Steps of the same batch of 64 clips. Each replica has a 64/R share, hence smaller matrix products. Two threads of one " +
                "process share one set of packed weights; two processes have one each.");
        double reference = Median(ways[1].Name, "fp32", 1);
        report.Table(
            ["", "steps/s fp32", "best", "against 2 threads", "steps/s fp16 on the wire"],
            ways.Select(way => (string[])[
                way.Name, Report.Number(1 / Median(way.Name, "fp32", 1)),
                Report.Number(1 / answers[(way.Name, "fp32")].Min(answer => answer.Number(1))),
                Report.Number(reference / Median(way.Name, "fp32", 1)), way.Replicas > 1
                    ? Report.Number(1 / Median(way.Name, "fp16", 1))
                    : "–"]));

        double Median(string way, string wire, int field) => Seconds.Of(answers[(way, wire)].Select(answer => answer.Number(field))).Median;
    }

    private static void Extraction(Report report, int rounds)
    {
        List<(string Name, Func<Answer[]> Run)> ways = [("1 process, 2 threads", () => Launch.Alone("frames", "2", $"{Frames}"))];
        if (Launch.WhyNoMpi is null)
        {
            ways.Add(("2 processes, 1 thread each", () => Launch.Mpi(2, Shared, "frames", "1", $"{Frames}")));
        }

        List<Answer>[] answers = [.. ways.Select(_ => new List<Answer>())];
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < ways.Count; i++)
            {
                Console.Error.WriteLine($"frames, round {round + 1} of {rounds}: {ways[i].Name}");
                answers[i].AddRange(ways[i].Run());
            }
        }

        if (answers.SelectMany(list => list).Select(answer => answer.Fields[1]).Distinct().Count() > 1)
        {
            throw new WrongResultException("features of the first frame differ between processes");
        }

        report.Heading("VGG19 frames");
        report.Paragraph($"{Frames} frames in all, the same features bit for bit; the slowest process counts. No decoding.");
        double reference = Seconds.Of(answers[0].Select(answer => answer.Number(0))).Median;
        report.Table(
            ["", "frames/s", "best", "against 2 threads"],
            ways.Select((way, i) =>
            {
                Seconds seconds = Seconds.Of(answers[i].Select(answer => answer.Number(0)));
                return (string[])[way.Name, Report.Number(1 / seconds.Median), Report.Number(1 / seconds.Best),
                    Report.Number(reference / seconds.Median)];
            }));
    }

    private static string PeerOf(string way) => $"MPI's own with {way}";

    private static bool IsPeer(string way) => way.StartsWith("MPI's own", StringComparison.Ordinal);

    private static string Micro(double seconds) => Report.Number(seconds * 1e6);
}
