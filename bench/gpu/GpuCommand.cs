using System.Globalization;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Backends.Cuda;
using CudaTrainer.Engine.Backends.Reference;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>
/// <c>bench gpu</c>: every op of a training step against the ceilings that this GPU was measured to have, then whole training steps and the VGG19 pass, as Markdown. Each op is compared with the
/// reference before it is timed.
/// </summary>
internal static class GpuCommand
{
    private const double SingleTolerance = 1e-4;
    private const double HalfTolerance = 4e-3;

    /// <param name="smoke">Small sizes and few rounds: shows that everything runs, on the simulator as well; the times mean nothing.</param>
    /// <returns>The exit code.</returns>
    public static int Run(bool smoke)
    {
        if (!Cuda.IsAvailable)
        {
            Console.Error.WriteLine($"bench gpu: CUDA is not available: {Cuda.UnavailableReason}");
            return 1;
        }

        using (var device = new CudaDevice(0))
        {
            Console.WriteLine($"# GPU measurements\n\n{device.Description}, driver {Cuda.DriverVersion / 1000}.{Cuda.DriverVersion % 1000 / 10}\n");
            foreach (CudaLibrary library in Cuda.Libraries)
            {
                Console.WriteLine($"- {library.Name}: {(library.Found ? $"{library.Version}, {library.Path}" : "not found")}");
            }

            if (Cuda.IsSimulated || smoke)
            {
                Console.WriteLine($"\n**{(Cuda.IsSimulated ? "SIMULATED GPU" : "Smoke run")}: the times below mean nothing.**");
            }

            GpuCeilings ceilings = GpuCeilings.Measure(device, smoke);
            Console.WriteLine($"\n## Ceilings\n\n{ceilings}\n");
            Kernels(device, ceilings, smoke);
        }

        GpuSteps.Run(smoke);
        return 0;
    }

    private static void Kernels(CudaDevice device, GpuCeilings ceilings, bool smoke)
    {
        var kernels = smoke ? new GpuKernels(3, 4, 64) : new GpuKernels(64, 20, Vgg19.Features);
        Console.WriteLine("## Ops\n\nEach against the reference first; bound = the larger of bytes / copy bandwidth and FLOPs / GEMM rate.\n");
        Console.WriteLine("| op | type | µs | GB/s | TFLOP/s | of the bound | error |\n|---|---|---:|---:|---:|---:|---:|");
        foreach (GpuKernel kernel in kernels.All)
        {
            using var tensors = new OpTensors(device);
            Op op = kernel.Build(tensors);
            double error = Check(op, kernel);
            double seconds = device.SecondsPer(op.Run, smoke ? 2 : 200);
            double bound = Math.Max(kernel.Work.Bytes / ceilings.CopyBytes, kernel.Work.Operations / (kernel.Type == DType.Float16 ? ceilings.HalfFlops : ceilings.SingleFlops));
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {kernel.Name} | {(kernel.Type == DType.Float16 ? "fp16" : "fp32")} | {seconds * 1e6:F1} | {kernel.Work.Bytes / seconds * 1e-9:F0} | {(kernel.Work.Operations > 0 ? (kernel.Work.Operations / seconds * 1e-12).ToString("F2", CultureInfo.InvariantCulture) : string.Empty)} | {bound / seconds:P0} | {error:E1} |"));
        }
    }

    /// <returns>The largest relative error of any output.</returns>
    private static double Check(Op op, GpuKernel kernel)
    {
        using var reference = new ReferenceDevice();
        using var tensors = new OpTensors(reference);
        Op expected = kernel.Build(tensors);
        op.Run();
        expected.Run();
        double worst = 0;
        foreach (var (actual, right) in op.Outputs.Zip(expected.Outputs))
        {
            double error = GradientCheck.RelativeError(actual.Value.ToDoubles(), right.Value.ToDoubles());
            WrongResultException.ThrowIfAbove($"{kernel.Name}: {actual.Name}", error, kernel.Type == DType.Float16 ? HalfTolerance : SingleTolerance);
            worst = Math.Max(worst, error);
        }

        return worst;
    }

    /// <summary>Seconds of one of many calls queued behind each other; the best of five series.</summary>
    internal static double SecondsPer(this CudaDevice device, Action run, int calls)
    {
        run();
        device.Synchronize();
        double best = double.PositiveInfinity;
        for (int series = 0; series < 5; series++)
        {
            long began = System.Diagnostics.Stopwatch.GetTimestamp();
            for (int i = 0; i < calls; i++)
            {
                run();
            }

            device.Synchronize();
            best = Math.Min(best, System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds / calls);
        }

        return best;
    }
}

/// <summary>What this GPU was measured to reach.</summary>
/// <param name="CopyBytes">Bytes read and written in a second by a copy on the device.</param>
/// <param name="SingleFlops">FLOP/s of a large product in single precision.</param>
/// <param name="HalfFlops">FLOP/s of a large product in half precision with fp32 sums.</param>
internal readonly record struct GpuCeilings(double CopyBytes, double SingleFlops, double HalfFlops)
{
    public static GpuCeilings Measure(CudaDevice device, bool smoke)
    {
        int bytes = smoke ? 1 << 20 : 1 << 29, side = smoke ? 64 : 4096;
        using Tensor source = Tensor.Zeros(device, [bytes], DType.UInt8), target = Tensor.Zeros(device, [bytes], DType.UInt8);
        double copy = 2.0 * bytes / device.SecondsPer(() => device.Copy(source.Data, target.Data, bytes), smoke ? 2 : 20);
        return new GpuCeilings(copy, Product(DType.Float32), Product(DType.Float16));

        double Product(DType type)
        {
            using var tensors = new OpTensors(device);
            Tensor a = tensors.Random([side, side], 1, type), b = tensors.Random([side, side], 1, type), c = tensors.Zeros([side, side], type);
            return 2.0 * side * side * side / device.SecondsPer(() => tensors.Ops.Gemm(a, false, b, true, c), smoke ? 1 : 10);
        }
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"- copy on the device: {CopyBytes * 1e-9:F0} GB/s\n- matrix product, fp32: {SingleFlops * 1e-12:F1} TFLOP/s\n- matrix product, fp16: {HalfFlops * 1e-12:F1} TFLOP/s");
}
