using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>VGG19 to fc2 in frames a second beside PyTorch's in channels_last, features compared first.</summary>
internal static class GpuVgg
{
    private const double SingleTolerance = 1e-4, HalfTolerance = 2e-2;

    /// <returns>Whether the features are right.</returns>
    public static bool Run(GpuOptions options, GpuFindings findings)
    {
        Console.WriteLine("\n## VGG19\n");
        if (!Cuda.HasCudnn)
        {
            Console.WriteLine($"Not run: {Cuda.CudnnReason}");
            findings.Set("vgg_skipped", Cuda.CudnnReason);
            return true;
        }

        int frames = options.Smoke ? 1 : 60, calls = options.Smoke ? 1 : options.Quick ? 4 : 10;
        byte[] pixels = OwnBackbone.Frames(frames);
        string folder = Directory.CreateTempSubdirectory("gpu-vgg-").FullName;
        try
        {
            NpyFile.Write<byte>(Path.Combine(folder, "frames.npy"), pixels, frames, Vgg19.ImageSize, Vgg19.ImageSize, 3);
            if (TorchPeer.IsPossible(options, out _))
            {
                OwnBackbone.WriteWeights(Path.Combine(folder, "vgg19.safetensors"));
            }

            TorchPeer torch = TorchPeer.Run(options, TimeSpan.FromSeconds(options.Quick ? 60 : 600), "vgg", folder, "--calls",
                calls.ToString(CultureInfo.InvariantCulture));
            Console.WriteLine(torch.Skipped.Length > 0 ? $"PyTorch: not compared: {torch.Skipped}\n" : $"PyTorch: {torch.Description}\n");
            foreach (string error in torch.Errors)
            {
                Console.WriteLine($"PyTorch, {error}\n");
            }

            findings.Set("torch_vgg", torch.Result.DeepClone());
            return Compare(options, findings, torch, folder, pixels, frames, calls);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static bool Compare(GpuOptions options, GpuFindings findings, TorchPeer torch, string folder, byte[] pixels, int frames,
        int calls)
    {
        Console.WriteLine("| precision | frames | frames/s | PyTorch, frames/s | × PyTorch | features from our fp32 | from PyTorch | |\n|---|---:|---:|---:|---:|---:|---:|---|");
        double[]? single = null;
        bool passed = true;
        foreach (bool half in new[] { false, true })
        {
            string precision = half ? "fp16" : "fp32", file = Path.Combine(folder, $"torch_{precision}.npy");
            (double perSecond, double[] features) = Measure(half, pixels, frames, calls, options.Smoke);
            single ??= features;
            double fromSingle = GradientCheck.RelativeError(features, single), tolerance = half ? HalfTolerance : SingleTolerance;
            double? fromTorch = File.Exists(file)
                ? GradientCheck.RelativeError(features, [.. NpyFile.ReadSingle(file).Data.Select(value => (double)value)])
                : null;
            bool right = fromSingle <= tolerance && !(fromTorch > tolerance);
            passed &= right;
            double? theirs = frames / (torch.Milliseconds(precision) * 1e-3);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {precision} | {frames} | {perSecond:F1} | {theirs:F1} | {perSecond / theirs:F2} | {fromSingle:E1} | {fromTorch:E1} | {(right ? "ok" : $"**more than {tolerance:E0}**")} |"));
            findings.Add("vgg", new JsonObject { ["precision"] = precision, ["frames_per_second"] = perSecond, ["torch_frames_per_second"] = theirs, ["from_fp32"] = fromSingle, ["from_torch"] = fromTorch, ["right"] = right });
        }

        return passed;
    }

    private static (double FramesPerSecond, double[] Features) Measure(bool half, byte[] pixels, int frames, int calls, bool smoke)
    {
        using var device = new CudaDevice(0, new CudaDeviceOptions(HalfBackbone: half));
        using var network = new Vgg19(device, new RandomVgg19(), ImageNormalization.Torch);
        using Tensor rgb = Tensor.Allocate(device, [frames, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8),
            features = Tensor.Allocate(device, [frames, Vgg19.Features]);
        device.Upload(pixels, rgb.Data);
        long began = Stopwatch.GetTimestamp();
        network.Forward(rgb, features);
        device.Synchronize();

        // A single pass takes seconds on the simulator.
        double seconds = smoke
            ? Stopwatch.GetElapsedTime(began).TotalSeconds
            : device.SecondsPer(() => network.Forward(rgb, features), calls);
        return (frames / seconds, features.ToDoubles());
    }
}
