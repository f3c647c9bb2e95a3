using System.Globalization;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Backends.Cuda;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Training;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>Whole training steps (precision × graph × LSTM) and the VGG19 pass.</summary>
internal static class GpuSteps
{
    public static void Run(bool smoke)
    {
        int batch = smoke ? 3 : 64, time = smoke ? 4 : 20, inputs = smoke ? 64 : Vgg19.Features, steps = smoke ? 2 : 200;
        Console.WriteLine($"\n## Training step\n\nlstm-attention, batch {batch}, {time} frames of {inputs} features, the next batch copied meanwhile. Medians of 5 series of {steps} steps.\n");
        Console.WriteLine("| precision | step | LSTM | ms | clips/s | against the first row | first loss |\n|---|---|---|---:|---:|---:|---:|");
        double first = 0;
        foreach (LstmPath lstm in Cuda.HasCudnn ? new[] { LstmPath.Fused, LstmPath.Cudnn } : [LstmPath.Fused])
        {
            foreach (bool half in new[] { false, true })
            {
                foreach (bool graph in new[] { false, true })
                {
                    var (seconds, loss) = Step(lstm, half, graph, batch, time, inputs, steps);
                    first = first == 0 ? seconds : first;
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture,
                        $"| {(half ? "fp16" : "fp32")} | {(graph ? "graph" : "eager")} | {(lstm == LstmPath.Fused ? "ours" : "cuDNN")} | {seconds * 1e3:F3} | {batch / seconds:F0} | {first / seconds:F2} | {loss:F5} |"));
                }
            }
        }

        if (!Cuda.HasCudnn)
        {
            Console.WriteLine($"\nVGG19 and cuDNN's LSTM were not run: {Cuda.CudnnReason}");
            return;
        }

        Console.WriteLine("\n## VGG19\n\n| precision | frames | frames/s |\n|---|---:|---:|");
        foreach (bool half in new[] { false, true })
        {
            int frames = smoke ? 1 : 60;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {(half ? "fp16" : "fp32")} | {frames} | {FramesPerSecond(half, frames, smoke ? 1 : 10):F1} |"));
        }
    }

    private static (double Seconds, double Loss) Step(LstmPath lstm, bool half, bool graph, int batch, int time, int inputs, int steps)
    {
        using var device = new CudaDevice(0, new CudaDeviceOptions(Lstm: lstm));
        var options = new LearnerOptions(new LossOptions(true, 2, 0.1f), [1, 1], [0.25f, 0.25f], new AdamOptions(), half, Seed: 42, FuseStep: graph);
        using var learner = new Learner(device, Classifiers.Create("lstm-attention", new ClassifierOptions(inputs, 0.5f, half)), options);
        learner.Parameters.Initialize(42);
        using HostBatch even = NewBatch(1), odd = NewBatch(2);
        double loss = learner.Train(even, 1e-4).Loss;
        for (int i = 1; i < 5; i++)
        {
            learner.Train(i % 2 == 0 ? even : odd, 1e-4);
        }

        double[] series = new double[5];
        for (int s = 0; s < series.Length; s++)
        {
            long began = System.Diagnostics.Stopwatch.GetTimestamp();
            for (int i = 0; i < steps; i++)
            {
                learner.Start(i % 2 == 0 ? even : odd, 1e-4);
                learner.Prefetch(i % 2 == 0 ? odd : even);
                learner.Finish();
            }

            series[s] = System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds / steps;
        }

        Array.Sort(series);
        return (series[2], loss);

        HostBatch NewBatch(int seed)
        {
            var host = new HostBatch(device, batch, (long)time * inputs * (half ? 2 : 4)) { Count = batch };
            float[] values = NativeArray.RandomManaged(batch * time * inputs, seed);
            if (half)
            {
                values.Select(value => (Half)value).ToArray().CopyTo(host.Features.AsSpan<Half>(0, values.Length));
            }
            else
            {
                values.CopyTo(host.Features.AsSpan<float>(0, values.Length));
            }

            for (int i = 0; i < batch; i++)
            {
                host.Labels[i] = (i * 7) % 3 % 2;
            }

            return host;
        }
    }

    private static double FramesPerSecond(bool half, int frames, int calls)
    {
        using var device = new CudaDevice(0, new CudaDeviceOptions(HalfBackbone: half));
        using var network = new Vgg19(device, new RandomVgg19(42), ImageNormalization.Torch);
        using Tensor rgb = Tensor.Allocate(device, [frames, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8), features = Tensor.Allocate(device, [frames, Vgg19.Features]);
        byte[] pixels = new byte[rgb.Bytes];
        new Random(1).NextBytes(pixels);
        device.Upload(pixels, rgb.Data);
        return frames / device.SecondsPer(() => network.Forward(rgb, features), calls);
    }
}
