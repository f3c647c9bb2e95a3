using System.Globalization;
using System.Runtime.InteropServices;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Bench.Compare;

/// <summary>VGG19 to fc2 against ONNX Runtime and PyTorch: same weights, same frames, features compared before anything is timed.</summary>
internal static class VggComparison
{
    /// <summary>The frames of one video.</summary>
    public const int OneVideo = 20;

    /// <summary>A batch of the extraction: three videos.</summary>
    public const int ManyVideos = 60;

    private const double Tolerance = 1e-4;

    public static void Run(Report report, string work, int rounds)
    {
        Directory.CreateDirectory(work);
        byte[] frames = OwnBackbone.Frames(ManyVideos);
        NpyFile.Write<byte>(Path.Combine(work, "frames.npy"), frames, ManyVideos, Vgg19.ImageSize, Vgg19.ImageSize, 3);
        OwnBackbone.WriteWeights(Path.Combine(work, "weights.safetensors"));
        string threads = Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture);
        using OwnBackbone ours = new(null, frames);
        using Peer? torch = Peers.StartPython("vgg19_torch.py", out string noTorch, work, threads);
        using Peer? onnx = Peers.StartNode("vgg19_onnxruntime.js", out string noOnnx, work, threads);
        double[] own = ours.Features(OneVideo);
        var errors = new List<(string, double)>();
        foreach (Peer? peer in (Peer?[])[onnx, torch])
        {
            if (peer is not null)
            {
                errors.Add((peer.Version, Error(peer, own, Path.Combine(work, "features.f32"))));
            }
        }

        report.Heading("VGG19 to fc2");
        report.Paragraph(
            $"Frames per second, best / median of {rounds} interleaved rounds. Frames reach the peers normalised; ours begins with " +
                $"bytes. Relative error of the features before timing: "
            + $"{string.Join(", ", errors.Select(e => $"{e.Item2:E1} against {e.Item1}"))} (limit {Tolerance:E0}).");
        var rows = new List<IReadOnlyList<string>>();
        foreach ((string what, int count)
            in ((string, int)[])[("60 frames of three videos", ManyVideos), ("20 frames of one video", OneVideo)])
        {
            List<Contestant> contestants = [new("ours", () => ours.Run(count))];
            contestants.AddRange(onnx is null ? [] : [new("onnx", () => onnx.Ask($"run {count}")[0])]);
            contestants.AddRange(torch is null ? [] : [new("torch", () => torch.Ask($"run {count}")[0])]);
            Seconds[] times = Interleaved.Measure(contestants, rounds);
            rows.Add([what, "CudaTrainer", Rates(times[0], count), string.Empty]);
            int next = 1;
            rows.Add(Row(what, onnx, noOnnx, "ONNX Runtime"));
            rows.Add(Row(what, torch, noTorch, "PyTorch"));

            IReadOnlyList<string> Row(string label, Peer? peer, string reason, string name)
            {
                if (peer is null)
                {
                    return [label, name, $"skipped: {reason}", string.Empty];
                }

                Seconds time = times[next++];
                return [label, peer.Version, Rates(time, count), Report.Times(time.Median / times[0].Median)];
            }
        }

        report.Table(["what", "engine", "frames/s best / median", "ours is faster by (medians)"], rows);
        Levels(report, frames, rounds);
    }

    private static string Rates(Seconds time, int count) => $"{Report.Number(count / time.Best)} / {Report.Number(count / time.Median)}";

    /// <summary>All SIMD levels of this machine, and one thread against all.</summary>
    private static void Levels(Report report, byte[] frames, int rounds)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (SimdLevel level in SimdSelection.Available)
        {
            using OwnBackbone all = new(level, frames);
            using OwnBackbone one = new(level, frames, threads: 1);
            Seconds[] times = Interleaved.Measure([new("all", () => all.Run(OneVideo)), new("one", () => one.Run(OneVideo))], rounds);
            rows.Add(
                [CpuDevice.LevelName(level), Rates(times[1], OneVideo), Rates(times[0], OneVideo),
                    $"{Report.Times(times[1].Best / times[0].Best)} / {Report.Times(times[1].Median / times[0].Median)}"]);
        }

        report.Paragraph($"By SIMD level, {OneVideo} frames.");
        report.Table(["level", "1 thread, frames/s best / median", $"{Environment.ProcessorCount} threads", "scaling best / median"], rows);
    }

    private static double Error(Peer peer, double[] own, string file)
    {
        peer.Ask($"save {OneVideo} {file}");
        float[] theirs = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file)).ToArray();
        double error = Engine.Checks.GradientCheck.RelativeError(own, [.. theirs.Select(v => (double)v)]);
        return error < Tolerance
            ? error
            : throw new InvalidOperationException($"{peer.Version} computes other features (relative error {error:E1}); not worth timing.");
    }
}
