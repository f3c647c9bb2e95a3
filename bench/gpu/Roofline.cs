using System.Globalization;
using System.Text;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Bench.Gpu;

/// <summary>
/// The least time that a training step and a VGG19 frame can take on a GPU, from datasheets: each launch at the speed of what it needs
/// most, arithmetic, memory or a chain of dependent steps. An estimate
/// of what is possible, not a prediction. Writes the tables of docs/performance.md.
/// </summary>
internal static class Roofline
{
    private const int Batch = 64, Time = 20, Features = 4096, Hidden = 128;

    private const int Frames = 60, ConvolutionBatch = 10;

    private const long FrameBytes = Frames * 3L * Vgg19.ImageSize * Vgg19.ImageSize;

    /// <summary>Between the end of one node of a graph and the start of the next that needs its result. Not from a datasheet: launches
    /// inside graphs are usually measured at 1 to 2 µs.</summary>
    private const double SecondsPerNode = 1.5e-6;

    /// <summary>NVIDIA's datasheets: RTX 5000 Ada Generation, H100 SXM5 80 GB. Tensor cores: FP16 with FP32 sums, dense. Host: PCI Express
    /// 4.0 and 5.0, 16 lanes, one way.</summary>
    internal static readonly Card[] Cards =
    [
        new("RTX 5000 Ada", 100, 261.1e12, 65.3e12, 576e9, 2.55e9, 31.5e9),
        new("H100 SXM", 132, 989.4e12, 66.9e12, 3.35e12, 1.98e9, 63e9),
    ];

    /// <param name="file">The document whose tables are replaced.</param>
    public static int Run(string file) => WrittenTables.Replace(file, "bench roofline", Tables());

    private static string Tables()
    {
        var text = new StringBuilder();
        text.Append("\n### Figures\n\n| GPU | multiprocessors | FP16 tensor, TFLOP/s | FP32, TFLOP/s | memory, GB/s | clock, GHz | from the host, GB/s |\n|---|---:|---:|---:|---:|---:|---:|\n");
        foreach (Card card in Cards)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"| {card.Name} | {card.Multiprocessors} | {card.TensorFlops / 1e12:F0} | {card.Flops / 1e12:F0} | " +
                    $"{card.Bandwidth / 1e9:F0} | {card.Clock / 1e9:F2} | {card.HostBandwidth / 1e9:F0} |\n");
        }

        List<Work>[] step = [StepWork(half: true, Batch), StepWork(half: false, Batch)];
        text.Append(CultureInfo.InvariantCulture,
            $"\n### A training step: lstm-attention, batch {Batch}, {Time} frames of {Features} features\n\n");
        Section(text, step, "part of the step", 1, "µs", 1e6);
        Summary(text, step, "step", 1, "µs", 1e6, half => FeatureBytes(half, Batch));

        List<Work>[] frame = [FrameWork(half: true), FrameWork(half: false)];
        text.Append(CultureInfo.InvariantCulture,
            $"\n### A VGG19 frame, of {Frames} that go through together ({ConvolutionBatch} at a time through the convolutions)\n\n");
        Section(text, frame, "part of the pass", Frames, "µs", 1e6);
        Summary(text, frame, "frame", Frames, "µs", 1e6, _ => FrameBytes);
        return text.Append('\n').ToString();
    }

    /// <summary>The bound of a training step with a part of a batch, without communication.</summary>
    internal static double StepSeconds(Card card, bool half, int batch) => Bound(StepWork(half, batch), card, FeatureBytes(half, batch));

    /// <summary>The bound of a VGG19 frame.</summary>
    internal static double FrameSeconds(Card card, bool half) => Bound(FrameWork(half), card, FrameBytes) / Frames;

    private static double Bound(List<Work> all, Card card, long hostBytes) =>
        Math.Max(all.Sum(work => work.Seconds(card)) + (all.Sum(work => work.Launches) * SecondsPerNode), hostBytes / card.HostBandwidth);

    private static long FeatureBytes(bool half, int batch) => (long)batch * Time * Features * (half ? 2 : 4);

    private static void Section(StringBuilder text, List<Work>[] both, string heading, int divisor, string unit, double scale)
    {
        text.Append(CultureInfo.InvariantCulture, $"| {heading} | GFLOP | MB fp16 | MB fp32 | launches |");
        foreach (Card card in Cards)
        {
            text.Append(CultureInfo.InvariantCulture, $" {card.Name} fp16, {unit} | fp32, {unit} |");
        }

        text.Append("\n|---|---:|---:|---:|---:|").Append(string.Concat(Cards.Select(_ => "---:|---:|"))).Append('\n');
        foreach (string part in both[0].Select(work => work.Part).Distinct())
        {
            Work[][] rows = [.. both.Select(all => all.Where(work => work.Part == part).ToArray())];
            text.Append(CultureInfo.InvariantCulture,
                $"| {part} | {Number(rows[0].Sum(work => work.Flops) / divisor / 1e9)} | " +
                    $"{Number(rows[0].Sum(work => work.Bytes) / divisor / 1e6)} | " +
                    $"{Number(rows[1].Sum(work => work.Bytes) / divisor / 1e6)} | " +
                    $"{Number((double)rows[0].Sum(work => work.Launches) / divisor)} |");
            foreach (Card card in Cards)
            {
                foreach (Work[] row in rows)
                {
                    string bound = row.GroupBy(work => work.Bound(card)).MaxBy(group => group.Sum(work => work.Seconds(card)))!.Key;
                    text.Append(CultureInfo.InvariantCulture,
                        $" {Number(row.Sum(work => work.Seconds(card)) / divisor * scale)} {bound} |");
                }
            }

            text.Append('\n');
        }
    }

    private static void Summary(StringBuilder text, List<Work>[] both, string what, int divisor, string unit, double scale,
        Func<bool, long> hostBytes)
    {
        text.Append(CultureInfo.InvariantCulture,
            $"\n| a {what} at best | GFLOP | MB | launches | {unit} by the parts above | + {SecondsPerNode * 1e6:F1} µs a launch | " +
                $"copy from the host, {unit} | bound, {unit} | {what}s/s |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        foreach (Card card in Cards)
        {
            for (int i = 0; i < 2; i++)
            {
                List<Work> all = both[i];
                double parts = all.Sum(work => work.Seconds(card)), launches = all.Sum(work => work.Launches), gaps = parts
                    + (launches * SecondsPerNode), copy = hostBytes(i == 0) / card.HostBandwidth;
                double bound = Math.Max(gaps, copy);
                text.Append(CultureInfo.InvariantCulture,
                    $"| {card.Name}, {(i == 0 ? "fp16" : "fp32")} | {Number(all.Sum(work => work.Flops) / divisor / 1e9)} | " +
                        $"{Number(all.Sum(work => work.Bytes) / divisor / 1e6)} | {Number(launches / divisor)} | " +
                        $"{Number(parts / divisor * scale)} | {Number(gaps / divisor * scale)} | {Number(copy / divisor * scale)} | " +
                        $"**{Number(bound / divisor * scale)}** | {Number(divisor / bound)} |\n");
            }
        }
    }

    private static string Number(double value) => value == 0 ? "0" : Report.Number(value);

    // What CudaOps queues, in its order. Every operand is counted once from memory for each launch that reads or writes it, as if no cache
    // kept anything between launches.
    private static List<Work> StepWork(bool half, int batch)
    {
        int size = half ? 2 : 4, rows = batch * Time;
        var work = new List<Work>();
        for (int layer = 1; layer <= 3; layer++)
        {
            int inputs = layer == 1 ? Features : Hidden;
            string products = $"lstm_{layer}: matrix products";
            Gemm(products, rows, 4 * Hidden, inputs, size);
            Recurrence(layer);
            Norm($"batch normalisation and dropout of lstm_1 to 3", rows, Hidden);

            // Backward: weight gradients are added to in single precision.
            Gemm(products, 4 * Hidden, inputs, rows, 4, accumulates: true);
            Gemm(products, 4 * Hidden, Hidden, rows, 4, accumulates: true);
            if (layer > 1)
            {
                Gemm(products, rows, inputs, 4 * Hidden, size);
            }

            Add(products, (double)rows * 4 * Hidden, rows * 4L * Hidden * size);
            Add(products, 0, 2L * rows * Hidden * size);
        }

        const string Attention = "attention, dense head, loss";
        Add(Attention, 4.0 * rows * Hidden, (rows * (long)Hidden * size) + (4 * rows));
        Add(Attention, 8.0 * rows * Hidden, 2L * rows * Hidden * size);
        Add(Attention, batch * Hidden, 4L * batch * Hidden);
        int[] widths = [Hidden, 256, 128, 64, Classifier.Classes];
        for (int i = 0; i + 1 < widths.Length; i++)
        {
            Gemm(Attention, batch, widths[i + 1], widths[i], size);
            Add(Attention, 2 * batch * widths[i + 1], 2L * batch * widths[i + 1] * size);
            Gemm(Attention, widths[i + 1], widths[i], batch, 4, accumulates: true);
            Add(Attention, batch * widths[i + 1], (long)batch * widths[i + 1] * size);
            Gemm(Attention, batch, widths[i], widths[i + 1], size);
        }

        Norm(Attention, batch, 256);
        Norm(Attention, batch, 128);
        Add(Attention, batch * 64, 2L * batch * 64 * size);
        Add(Attention, batch * 64, 3L * batch * 64 * size);
        Add(Attention, 100 * batch, 2L * batch * Classifier.Classes * size);

        const string Update = "clear gradients, unscale, norms, clip, Adam";
        long parameters = Classifiers.Create("lstm-attention", new ClassifierOptions(Features))
            .Parameters.Sum(parameter => parameter.Shape.Count);
        Add(Update, 0, 4 * parameters);
        Add(Update, 0, 0);
        Add(Update, 3.0 * parameters, 8 * parameters);
        Add(Update, 0, 0);
        Add(Update, 0, 0);
        Add(Update, 12.0 * parameters, (28 + (half ? 2 : 0)) * parameters);

        // Begin the step, loss scale, restore the statistics.
        Add(Update, 0, 0, launches: 3);
        return work;

        void Add(string part, double flops, long bytes, int launches = 1) => work.Add(new Work(part, flops, false, bytes, 0, launches));

        // cuBLAS: on tensor cores in half precision, by FMAs in single (no TF32).
        void Gemm(string part, long m, long n, long k, int resultSize, bool accumulates = false) =>
            work.Add(new Work(part, 2.0 * m * n * k, half, (((m * k) + (k * n)) * size) + (m * n * resultSize * (accumulates ? 2 : 1)), 0,
                1));

        void Norm(string part, long count, long channels)
        {
            Add(part, 8.0 * count * channels, 2 * count * channels * size);
            Add(part, 12.0 * count * channels, 3 * count * channels * size);
        }

        // The recurrence: one block a sequence, FMAs whatever the type. In half precision W_hh is in registers: 1000 cycles of FMAs and
        // 300 of gates a step; in single it comes from the L2 cache
        // at every step, at no more than 64 bytes a cycle and multiprocessor.
        void Recurrence(int layer)
        {
            string part = "recurrence of lstm_1 to 3";
            double flops = 8.0 * Hidden * Hidden * rows, cycles = Time * (half ? 1300 : 300 + (16.0 * Hidden * Hidden / 64));
            work.Add(new Work(part, flops, false, (rows * (long)Hidden * ((9 * size) + 4)) + (4L * Hidden * Hidden * size), cycles, 1,
                batch));
            work.Add(new Work(part, flops, false, (rows * (long)Hidden * ((9 * size) + 4)) + (4L * Hidden * Hidden * size), cycles, 1,
                batch));
        }
    }

    private static List<Work> FrameWork(bool half)
    {
        int size = half ? 2 : 4;
        var work = new List<Work>();
        int[][] blocks = [[64, 64], [128, 128], [256, 256, 256, 256], [512, 512, 512, 512], [512, 512, 512, 512]];
        int channels = 8, edge = Vgg19.ImageSize;
        const string Other = "normalise, pool, flatten";
        Add(Other, 0, false, Frames * (long)edge * edge * (3 + (channels * size)), Frames / ConvolutionBatch);
        for (int block = 0; block < blocks.Length; block++)
        {
            string part = $"conv{block + 1}, {blocks[block].Length} layers of {edge} × {edge}";
            long pixels = Frames * (long)edge * edge;
            foreach (int filters in blocks[block])
            {
                Add(part, 18.0 * channels * filters * pixels, half,
                    (pixels * (channels + filters) * size)
                    + (Frames / ConvolutionBatch * 9L * channels * filters * size), Frames / ConvolutionBatch);
                channels = filters;
            }

            Add(Other, 0, false, pixels * channels * size * 5 / 4, Frames / ConvolutionBatch);
            edge /= 2;
        }

        int flat = channels * edge * edge;
        Add(Other, 0, false, 2L * Frames * flat * size, Frames / ConvolutionBatch);
        foreach (int inputs in new[] { flat, Vgg19.Features })
        {
            Add("fc1 and fc2", 2.0 * Frames * inputs * Vgg19.Features, half,
                ((Frames * (long)(inputs + Vgg19.Features)) + ((long)inputs * Vgg19.Features)) * size, 1);
            Add("fc1 and fc2", Frames * Vgg19.Features, false, 2L * Frames * Vgg19.Features * size, 1);
        }

        return work;

        void Add(string part, double flops, bool tensor, long bytes, int launches) =>
            work.Add(new Work(part, flops, tensor, bytes, 0, launches));
    }

    /// <param name="Tensor">Whether tensor cores do it.</param>
    /// <param name="Cycles">Of a chain of dependent steps, at the GPU's clock.</param>
    /// <param name="Chains">Of these, one on a multiprocessor at a time.</param>
    private sealed record Work(string Part, double Flops, bool Tensor, long Bytes, double Cycles, int Launches, int Chains = 1)
    {
        public double Seconds(Card card) => Limits(card).Max(limit => limit.Seconds);

        public string Bound(Card card) => Limits(card).MaxBy(limit => limit.Seconds).Name;

        private (string Name, double Seconds)[] Limits(Card card) =>
            [("arithmetic", Flops / (Tensor ? card.TensorFlops : card.Flops)), ("memory", Bytes / card.Bandwidth),
                ("chain", Cycles * ((Chains + card.Multiprocessors - 1) / card.Multiprocessors) / card.Clock)];
    }

    internal sealed record Card(string Name, int Multiprocessors, double TensorFlops, double Flops, double Bandwidth, double Clock,
        double HostBandwidth);
}
