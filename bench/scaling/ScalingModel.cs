using System.Globalization;
using System.Text;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Bench.Gpu;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Bench.Scaling;

/// <summary>
/// What steps on many GPUs could take: the roofline's step (<see cref="Roofline"/>) and then all-reduces of its gradients by the α–β model,
/// none of it beside computing. Estimates from datasheets and assumptions. Writes the tables of docs/scaling.md.
/// </summary>
internal static class ScalingModel
{
    /// <summary>Clips of a GPU, the global batch fixed by it (weak) or fixed (strong).</summary>
    private const int BatchPerGpu = 64, GlobalBatch = 1024;

    private const int GpusPerMachine = 8, Frames = 20;

    private const double Videos = 10e6, VideoBytes = Frames * 4096.0 * sizeof(float);

    /// <summary>Frames in a second by two cores, README's table.</summary>
    private const double FramesPerSecondOfTwoCores = 16.1;

    private static readonly int[] Sizes = [2, 4, 8, 16, 64, 256, 1000];

    private static readonly Link Host = new("PCIe 4.0 x16, by way of the host's memory", 20e-6, 12.5e9, GpusPerMachine,
        "each byte crosses the bus twice: half of the next row; α assumed");
    private static readonly Link Pcie = new("PCIe 4.0 x16, peer to peer", 10e-6, 25e9, GpusPerMachine,
        "31.5 GB/s one way by the standard, 80 % assumed; α assumed");
    private static readonly Link Nvlink3 = new("NVLink 3 (A100)", 5e-6, 240e9, GpusPerMachine,
        "NVIDIA: 600 GB/s, both ways together, 80 % of half of it assumed; α assumed");
    private static readonly Link Nvlink4 = new("NVLink 4 (H100)", 5e-6, 360e9, GpusPerMachine,
        "NVIDIA: 900 GB/s, both ways together, 80 % of half of it assumed; α assumed");
    private static readonly Link Rdma = new("100 Gb/s with RDMA", 10e-6, 11.25e9, int.MaxValue,
        "one adapter a machine, 90 % assumed; α assumed");
    private static readonly Link Tcp = new("100 Gb/s with TCP", 50e-6, 8.75e9, int.MaxValue,
        "one adapter a machine, 70 % assumed; α assumed");

    /// <summary>NVIDIA's datasheet of the A100 SXM4 80 GB, as the cards of <see cref="Roofline"/>.</summary>
    private static readonly Roofline.Card A100 = new("A100 SXM", 108, 312e12, 19.5e12, 2.039e12, 1.41e9, 31.5e9);

    private static Roofline.Card Ada => Roofline.Cards[0];

    private static Roofline.Card H100 => Roofline.Cards[1];

    /// <param name="file">The document whose tables are replaced.</param>
    public static int Run(string file)
    {
        double[] pieces = Pieces();
        Scenario[] scenarios =
        [
            new(Ada, true, Host, false), new(Ada, true, Pcie, false), new(Ada, false, Pcie, false), new(A100, true, Nvlink3, false),
            new(H100, true, Nvlink4, false), new(H100, false, Nvlink4, false),
            new(H100, true, Rdma, false), new(H100, true, Rdma, true), new(H100, false, Rdma, false), new(H100, true, Tcp, false),
            new(H100, true, Tcp, true),
        ];
        var text = new StringBuilder();
        text.Append("\n### Links assumed\n\n| link | α, µs | 1/β, GB/s | from |\n|---|---:|---:|---|\n");
        foreach (Link link in new[] { Host, Pcie, Nvlink3, Nvlink4, Rdma, Tcp })
        {
            text.Append(CultureInfo.InvariantCulture,
                $"| {link.Name} | {link.Alpha * 1e6:0} | {link.BytesPerSecond / 1e9:0.##} | {link.Source} |\n");
        }

        text.Append(CultureInfo.InvariantCulture,
            $"\nGradients of lstm-attention travel in {pieces.Length} pieces, of {string.Join(" and ", pieces.Select(bytes => $"{bytes / 1e6:0.00} MB"))} in single precision, the second when backward has ended.\n");
        text.Append(CultureInfo.InvariantCulture,
            $"\n### Weak scaling (estimate): {BatchPerGpu} clips on each GPU\n\nµs of a step, and what is left of R GPUs' speed.\n\n");
        Table(text, scenarios, pieces, "alone", scenario => scenario.Step(BatchPerGpu),
            (scenario, ranks) => (scenario.Step(BatchPerGpu), 1));
        text.Append(CultureInfo.InvariantCulture,
            $"\n### Strong scaling (estimate): {GlobalBatch:N0} clips on all GPUs together\n\nµs of a step, and what is left of R " +
                $"GPUs' speed; the largest share counts.\n\n");
        Table(
            text, scenarios, pieces, "one GPU", scenario => scenario.Step(GlobalBatch),
            (scenario, ranks) => (scenario.Step((GlobalBatch + ranks - 1) / ranks),
                scenario.Step(GlobalBatch) / ranks / scenario.Step((GlobalBatch + ranks - 1) / ranks)));
        Algorithms(text, pieces);
        Data(text);
        return WrittenTables.Replace(file, "bench scaling-model", text.Append('\n').ToString());
    }

    /// <summary>Bytes of the pieces of the gradients, as the engine cuts them.</summary>
    private static double[] Pieces()
    {
        using var device = new CpuDevice(1);
        using var parameters = new ParameterSet(device, Classifiers.Create("lstm-attention", new ClassifierOptions(Vgg19.Features)));
        var buckets = new GradientBuckets(parameters, tailApart: false);
        return [.. Enumerable.Range(0, buckets.Count).Select(i => (double)buckets.Piece(i).Bytes)];
    }

    /// <param name="compute">Seconds of a step's computing, and its efficiency against one GPU.</param>
    private static void Table(StringBuilder text, Scenario[] scenarios, double[] pieces, string first, Func<Scenario, double> alone,
        Func<Scenario, int, (double Seconds, double Efficiency)> compute)
    {
        text.Append(CultureInfo.InvariantCulture,
            $"| GPU, link | {first} | {string.Join(" | ", Sizes.Select(ranks => $"R = {ranks:N0}"))} |\n|---|---:|{string.Concat(Sizes.Select(_ => "---:|"))}\n");
        foreach (Scenario scenario in scenarios)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {scenario.Name} | {Report.Number(alone(scenario) * 1e6)} |");
            foreach (int ranks in Sizes)
            {
                if (ranks > scenario.Link.Limit || (scenario.Link.Limit == int.MaxValue && ranks <= GpusPerMachine))
                {
                    text.Append(" – |");
                    continue;
                }

                var (seconds, efficiency) = compute(scenario, ranks);
                double communication = scenario.Communicate(ranks, pieces);
                text.Append(CultureInfo.InvariantCulture,
                    $" {Report.Number((seconds + communication) * 1e6)}, " +
                        $"{100 * efficiency * RingCost.Efficiency(seconds, communication):0} % |");
            }

            text.Append('\n');
        }
    }

    private static void Algorithms(StringBuilder text, double[] pieces)
    {
        var scenario = new Scenario(H100, true, Rdma, true);
        double compute = scenario.Step(BatchPerGpu), bytes = pieces.Sum() / 2;
        RingCost outside = Rdma.Cost, inside = Nvlink4.Cost;
        text.Append(CultureInfo.InvariantCulture,
            $"\n### Other algorithms (estimate): H100, fp16 on the wire, {BatchPerGpu} clips each, {GpusPerMachine} GPUs a machine, " +
                $"100 Gb/s with RDMA\n\n");
        text.Append("µs of the all-reduces of a step, and what is left of R GPUs' speed.\n\n| all-reduce | R = 64 | R = 256 | R = 1,000 |\n|---|---:|---:|---:|\n");
        Row("ring over all GPUs, two pieces (now)", ranks => scenario.Communicate(ranks, pieces));
        Row("ring over all GPUs, one piece", ranks => outside.AllReduce(ranks, bytes));
        Row("within machines, then a ring over machines, one piece",
            ranks => inside.AllReduce(GpusPerMachine, bytes) + outside.AllReduce(ranks / GpusPerMachine, bytes));
        Row("within machines, then a tree over machines: 2 log₂(M) α + 2nβ",
            ranks => inside.AllReduce(GpusPerMachine, bytes) + (2 * Math.Log2((double)ranks / GpusPerMachine) * outside.Alpha)
            + (2 * bytes * outside.Beta));
        Row("the same with a tenth of the bytes (compressed gradients)",
            ranks => inside.AllReduce(GpusPerMachine, bytes) + (2 * Math.Log2((double)ranks / GpusPerMachine) * outside.Alpha)
            + (0.2 * bytes * outside.Beta));

        void Row(string name, Func<int, double> seconds) => text.Append(
            CultureInfo.InvariantCulture,
            $"| {name} | {string.Join(" | ", new[] { 64, 256, 1000 }.Select(ranks => $"{Report.Number(seconds(ranks) * 1e6)}, {100 * RingCost.Efficiency(compute, seconds(ranks)):0} %"))} |\n");
    }

    private static void Data(StringBuilder text)
    {
        double frames = Videos * Frames;
        text.Append(CultureInfo.InvariantCulture, $"\n### {Videos:N0} videos (estimate)\n\n| what | figure |\n|---|---:|\n");
        Row("features in single precision", $"{VideoBytes / 1e3:0} KB a video, {Videos * VideoBytes / 1e12:0.0} TB");
        Row("features in half precision", $"{Videos * VideoBytes / 2e12:0.0} TB");
        foreach (Roofline.Card card in new[] { Ada, A100, H100 })
        {
            foreach (bool half in new[] { true, false })
            {
                double step = Roofline.StepSeconds(card, half, BatchPerGpu);
                Row(
                    $"{card.Name}, {(half ? "fp16" : "fp32")}: features from the host while it trains at its bound; an epoch on one " +
                        $"GPU; VGG19",
                    string.Create(CultureInfo.InvariantCulture,
                        $"{BatchPerGpu * VideoBytes / (half ? 2 : 1) / step / 1e9:0.0} GB/s; {Videos / BatchPerGpu * step / 60:0.0} " +
                            $"min; {frames * Roofline.FrameSeconds(card, half) / 3600:0.0} GPU-hours"));
            }
        }

        Row("VGG19 on processors like the one measured",
            string.Create(CultureInfo.InvariantCulture, $"{frames / FramesPerSecondOfTwoCores * 2 / 3600:N0} core-hours"));

        void Row(string name, string figure) => text.Append(CultureInfo.InvariantCulture, $"| {name} | {figure} |\n");
    }

    /// <param name="BytesPerSecond">One way, for each GPU's part in the ring.</param>
    /// <param name="Limit">Most GPUs.</param>
    /// <param name="Source">Of the figures.</param>
    private sealed record Link(string Name, double Alpha, double BytesPerSecond, int Limit, string Source)
    {
        public RingCost Cost => new(Alpha, 1 / BytesPerSecond);
    }

    /// <param name="Half">Computes in half precision.</param>
    /// <param name="HalfOnWire">Gradients travel in half precision.</param>
    private sealed record Scenario(Roofline.Card Card, bool Half, Link Link, bool HalfOnWire)
    {
        public string Name => $"{Card.Name} {(Half ? "fp16" : "fp32")}, {Link.Name}{(HalfOnWire ? ", fp16 on the wire" : string.Empty)}";

        public double Step(int batch) => Roofline.StepSeconds(Card, Half, batch);

        public double Communicate(int ranks, double[] pieces) =>
            Link.Cost.AllReduce(ranks, pieces.Select(bytes => HalfOnWire ? bytes / 2 : bytes));
    }
}
