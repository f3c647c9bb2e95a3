using System.Diagnostics;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.OnnxRuntime;

namespace CudaTrainer.Bench.Speed;

/// <summary>VGG19 to fc2 against ONNX Runtime in this process: the same graph and weights, and frames as bytes in both.</summary>
internal static class VggGoals
{
    private const int Frames = VggComparison.OneVideo;

    private const double Tolerance = 1e-4;

    public static IEnumerable<Goal> Measure(int rounds)
    {
        byte[] frames = OwnBackbone.Frames(Frames);
        using var ours = new OwnBackbone(null, frames);
        using IOnnxSession peer = Load();
        var input = new OnnxInput("frames", ElementType.U8, [Frames, Vgg19.ImageSize, Vgg19.ImageSize, 3], frames);
        double error = GradientCheck.RelativeError(ours.Features(Frames), [.. peer.Run(input).Values.Select(value => (double)value)]);
        Seconds[] times = Interleaved.Measure([new("ours", () => ours.Run(Frames)), new("peer", () => Run(peer, input))], rounds);
        double ratio = times[1].Median / times[0].Median;
        yield return new($"VGG19 to fc2, fp32, {Frames} frames", "≥ 3.6 × ONNX Runtime, relative error ≤ 1e-4",
            $"{Report.Times(ratio)} ({Report.Number(Frames / times[0].Median)} frames/s; ONNX Runtime " +
                $"{Report.Number(Frames / times[1].Median)}), error {error:E1}", ratio >= 3.6 && error <= Tolerance,
            "Winograd tiles of 4 × 4 outputs, with conv1_1 and conv1_2 at 55 and 67 % of the peak");
        yield return new("VGG19 to fc2, int8", "≥ 1.8 × our fp32, ≥ 2 × ONNX Runtime's int8", "not built", false,
            "VPDPBUSD has 1.6 times the rate of multiply-adds here, where Winograd's transformation saves 2.25 to 4 times");
    }

    private static double Run(IOnnxSession session, OnnxInput input)
    {
        long began = Stopwatch.GetTimestamp();
        session.Run(input);
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private static IOnnxSession Load()
    {
        var graph = new OnnxGraph("vgg19");
        string frames = graph.Input("frames", ElementType.U8, "n", Vgg19.ImageSize, Vgg19.ImageSize, 3);
        graph.Output(Vgg19Onnx.Export(graph, frames, new RandomVgg19(), ImageNormalization.Torch), ElementType.F32, "n", Vgg19.Features);
        using var file = new MemoryStream();
        OnnxWriter.Write(file, graph, "bench", new Dictionary<string, string>(), default);
        return new OnnxRuntimeRunner().Load("vgg19.onnx", file.ToArray(), threads: 0);
    }
}
